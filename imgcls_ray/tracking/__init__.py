"""Runs, the model registry and the UI: the only room that imports MLflow."""

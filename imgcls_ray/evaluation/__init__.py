"""Metrics of a model's answers."""

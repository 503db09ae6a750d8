"""Engines that run a model on batches. Those that load TensorFlow (`engine`, `conversion`) are imported by name."""

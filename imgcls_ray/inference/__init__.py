"""Engines that run a model on batches. `engine` loads TensorFlow and is therefore imported by name."""

"""Scores by class, from sums that add up over batches and workers: three for each class, not a confusion matrix."""

import numpy as np
import tensorflow as tf


def count_classes(predicted: tf.Tensor, labels: tf.Tensor, classes: int) -> tf.Tensor:
    """Right answers, answers and samples of each class (3, K) float32, of predicted and true labels (n,) int64."""
    right = tf.cast(tf.equal(predicted, labels), tf.float32)
    samples = tf.math.unsorted_segment_sum(tf.stack([right, tf.ones_like(right)], 1), labels, classes)
    answers = tf.math.unsorted_segment_sum(tf.ones_like(right), predicted, classes)
    return tf.stack([samples[:, 0], answers, samples[:, 1]])


def f1_macro(counts: np.ndarray) -> float:
    """Mean F1 over the classes that occur among the labels, of sums (3, K); a class never answered has 0."""
    right, answers, samples = counts[:, counts[2] > 0]
    return float(np.mean(2 * right / (answers + samples)))


def balanced_accuracy(counts: np.ndarray) -> float:
    """Mean recall over the classes that occur among the labels, of sums (3, K): scikit-learn's balanced accuracy."""
    right, _, samples = counts[:, counts[2] > 0]
    return float(np.mean(right / samples))

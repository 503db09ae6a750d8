"""What the kept weights of a trial answer on a split."""

from pathlib import Path

import numpy as np

from imgcls_ray.data.sources import Split
from imgcls_ray.training.checkpoint import load_variables
from imgcls_ray.training.job import TrialJob
from imgcls_ray.training.network import build_network
from imgcls_ray.training.warm import BATCH, Warm


def predict(job: TrialJob, weights: Path, split: Split, warm: Warm) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, K) float32 and labels (n,) int64, in the order of storage.

    What the trial learned from is what is read: features, maps or pictures; the frozen layers do not run again.
    """
    network = build_network(job, warm.backbone(job))
    load_variables(weights, network.variables)
    probabilities, labels = [], []
    for chunk in warm.feed(job, split).chunks(None):
        samples = chunk.samples.numpy()
        for start in range(0, len(samples), BATCH):
            batch = samples[start : start + BATCH].astype(np.float32)
            probabilities.append(np.asarray(network(batch, training=False)))
        labels.append(chunk.labels.numpy())
    return np.concatenate(probabilities), np.concatenate(labels)

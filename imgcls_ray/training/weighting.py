"""How much each class counts in a trial's loss."""

from collections.abc import Sequence

import numpy as np

from imgcls_ray.config.weighting import parse_weighting
from imgcls_ray.data.labels import Labels
from imgcls_ray.errors import SettingsError, nearest


def class_weights(weighting: str, labels: Labels, counts: Sequence[int]) -> np.ndarray:
    """The weight of each class (K,) float32; their mean over the samples is 1, so that a learning rate keeps its sense.

    `balanced` is scikit-learn's: samples / (classes x the class's samples). Named weights are shares of one another.

    Raises:
        SettingsError: no class has this name.
    """
    samples = np.asarray(counts, np.float64)
    if weighting == "balanced":
        weights = np.divide(1.0, samples, out=np.zeros_like(samples), where=samples > 0)
    else:
        weights = np.ones(len(samples))
        for name, weight in parse_weighting(weighting).items():
            if name not in labels.names:
                raise SettingsError(
                    f"'class_weighting' names classes of the data; received '{name}'{nearest(name, labels.names)}; "
                    f"there are {', '.join(labels.names)}."
                )
            weights[labels.names.index(name)] = weight
    return (weights * samples.sum() / max((weights * samples).sum(), 1e-12)).astype(np.float32)

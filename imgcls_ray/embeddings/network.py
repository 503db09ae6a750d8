"""The network of a job. Loads TensorFlow."""

import keras

from imgcls_ray.config import Size
from imgcls_ray.embeddings.job import EmbeddingJob
from imgcls_ray.models.features import build_features
from imgcls_ray.models.tail import trunk


def network(job: EmbeddingJob) -> keras.Model:
    """From pictures (n, H, W, C), 0-255, to what is stored of them.

    Raises:
        WeightsError: the weights do not fit the backbone.
        SettingsError: it has fewer layers than are left out.
    """
    size = Size(job.pixels.height, job.pixels.width)
    return trunk(build_features(job.backbone, size, job.pixels.channels, job.weights), job.unfrozen)

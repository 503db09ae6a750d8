"""The network of a trial."""

import keras

from imgcls_ray.models.network import build_head, build_scratch
from imgcls_ray.training.job import TrialJob


def build_network(job: TrialJob) -> keras.Model:
    """A head (features in) where the job has embeddings, else a whole network (pixels in); probabilities out.

    Weights follow from the job's seed: every worker that builds it starts from the same.
    """
    keras.utils.set_random_seed(job.seed)
    if job.data.embeddings is not None:
        return build_head(job.settings, job.data.embeddings.features, job.data.classes)
    return build_scratch(job.settings, job.data.size, job.data.channels, job.data.classes)

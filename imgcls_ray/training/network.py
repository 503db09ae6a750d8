"""The network of a trial."""

import keras

from imgcls_ray.models.network import build_head, build_scratch
from imgcls_ray.training.job import TrialJob


def build_network(job: TrialJob) -> keras.Model:
    """A head (features in) where the job has embeddings, else a whole network (pixels in); probabilities out.

    Weights follow from the job's seed: every worker that builds it starts from the same.
    """
    keras.utils.set_random_seed(job.seed)
    if job.embeddings is not None:
        return build_head(job.settings, job.embeddings.features, job.classes)
    return build_scratch(job.settings, job.size, job.channels, job.classes)

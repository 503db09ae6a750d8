"""The network of a trial."""

import io

import keras

from imgcls_ray.config import TrialSettings
from imgcls_ray.models.features import build_features
from imgcls_ray.models.network import assemble, build_head, build_scratch
from imgcls_ray.models.tail import section, trainable_copy
from imgcls_ray.models.weights import NO_WEIGHTS
from imgcls_ray.training.checkpoint import read_weights
from imgcls_ray.training.job import Input, TrialJob


def load_backbone(job: TrialJob) -> keras.Model | None:
    """The pretrained backbone of a job, pixels to features; None for a network from scratch."""
    embeddings = job.data.embeddings
    if embeddings is None:
        return None
    return build_features(job.settings.backbone, job.data.size, job.data.channels, embeddings.weights)


def build_network(job: TrialJob, backbone: keras.Model | None) -> keras.Model:
    """What a trial trains; probabilities out.

    A head (features in), the last layers of the backbone and a head (maps in), or a whole network (pixels in).
    Weights follow from the job's seed, the backbone and the head that it starts from: every worker that builds it
    starts from the same. With a head that was trained before on the frozen features, and the last layers trained only
    then, this is LP-FT (Kumar et al., 2022): a random head would first distort what the backbone knows.
    """
    keras.utils.set_random_seed(job.seed)
    settings, data = job.settings, job.data
    if data.embeddings is None:
        return build_scratch(settings, data.size, data.channels, data.classes)
    head = build_head(settings, data.embeddings.features, data.classes)
    if job.start is not None:
        head.set_weights(read_weights(io.BytesIO(job.start)))
    if settings.unfrozen_layers == 0 or backbone is None:
        return head
    tail = trainable_copy(section(backbone, settings.unfrozen_layers, 0))
    return keras.Model(tail.input, head(tail.output))


def untrained_network(settings: TrialSettings, given: Input) -> keras.Model:
    """The whole network of a trial, pixels in, as it would be served; with random weights."""
    if not given.pretrained:
        return build_scratch(settings, given.size, given.channels, given.classes)
    features = build_features(settings.backbone, given.size, given.channels, NO_WEIGHTS)
    return assemble(features, build_head(settings, features.output_shape[-1], given.classes))


def whole_network(job: TrialJob, backbone: keras.Model | None, trained: keras.Model) -> keras.Model:
    """One flat model from pixels to probabilities, with the weights of a trained `build_network`.

    The layers of `backbone` that were trained get their new weights in place.
    """
    if job.data.embeddings is None or backbone is None:
        return trained
    if job.settings.unfrozen_layers == 0:
        return assemble(backbone, trained)
    head = trained.layers[-1]
    for layer in trained.layers[:-1]:
        if layer.weights:
            backbone.get_layer(layer.name).set_weights(layer.get_weights())
    return assemble(backbone, head)

"""The network of a job, as Keras and as OpenVINO has it. Loads TensorFlow."""

import keras

from imgcls_ray.config import Size
from imgcls_ray.embeddings.job import EmbeddingJob, check_engine
from imgcls_ray.errors import ModelError
from imgcls_ray.inference.base import EngineChoice
from imgcls_ray.inference.program import Program
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


def program_for(job: EmbeddingJob, engine: EngineChoice, gpus: int) -> Program | None:
    """The network for OpenVINO; None where TensorFlow is to compute. `gpus` are those of the cluster.

    `auto` is TensorFlow where there are GPUs, else OpenVINO, however few the pictures: one conversion here takes a
    second, and no worker loads TensorFlow.

    Raises:
        SettingsError: bfloat16 from TensorFlow, or OpenVINO is asked for and not installed here.
        ModelError: OpenVINO is asked for and can't run this network.
        WeightsError: the weights do not fit the backbone.
    """
    from imgcls_ray.inference.engine import log_once, without_openvino

    check_engine(engine, job.precision)
    free = engine == "auto" and job.precision == "float32"
    reason = without_openvino(gpus) if free else ""
    if engine == "tensorflow" or reason:
        log_once(reason or "TensorFlow is used, as asked.")
        return None
    from imgcls_ray.inference.conversion import convert

    try:
        return convert(network(job))
    except ModelError as error:
        if not free:
            raise
        log_once(str(error))
        return None

"""TensorFlow set to the share of the machine that Ray gave this process."""

import math
import os
from pathlib import Path

from imgcls_ray import quiet


def claim(cpus: float, training: bool = False) -> None:
    """Load TensorFlow with `cpus` threads, and of the visible GPUs only the memory that is needed.

    Call it before TensorFlow is used. For `training` a GPU may multiply in TF32, as is TensorFlow's default; what is
    stored, compared or served is computed in float32.

    Ray sets OMP_NUM_THREADS only: without this two trials on two cores fight for both.
    """
    quiet.own_process()  # Ray's workers are
    quiet.import_tensorflow()
    import tensorflow as tf

    threads = max(1, math.floor(cpus))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_tensor_float_32_execution(training)


def without_gpus() -> None:
    """Load TensorFlow for the CPU alone: Ray may leave a node's GPUs in sight of workers that hold none.

    Call it before TensorFlow is used.
    """
    quiet.own_process()
    quiet.import_tensorflow()
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")


def tensorflow_gpus() -> int:
    """How many GPUs TensorFlow can use in this process; loads it."""
    quiet.own_process()
    quiet.import_tensorflow()
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def visible_gpus() -> int:
    """How many NVIDIA GPUs this process may use, found out without TensorFlow: by their devices, and by what
    CUDA_VISIBLE_DEVICES leaves of them, which Ray sets for its workers.
    """
    devices = sum(1 for _ in Path("/dev").glob("nvidia[0-9]*"))
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None or not devices:
        return devices
    # As CUDA reads the list: it ends where one is named that there is not.
    listed = [name.strip() for name in named.split(",")]
    return sum(1 for name in listed if name and name not in ("-1", "NoDevFiles"))

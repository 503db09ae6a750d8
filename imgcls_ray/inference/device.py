"""TensorFlow set to the share of the machine that Ray gave this process."""

import math

from imgcls_ray import quiet


def claim(cpus: float) -> None:
    """Load TensorFlow with `cpus` threads, and of the visible GPUs only the memory that is needed.

    Call it before TensorFlow is used.

    Ray sets OMP_NUM_THREADS only: without this two trials on two cores fight for both.
    """
    quiet.import_tensorflow()
    import tensorflow as tf

    threads = max(1, math.floor(cpus))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)

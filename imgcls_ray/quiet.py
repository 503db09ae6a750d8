"""Loading TensorFlow: without the notes that its native code prints before any setting of ours can reach it, in
processes of ours without what its Keras loads for others, and sooner."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from imgcls_ray.garbage import uncollected

SETTINGS = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "NONE", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
"""Environment for processes of ours; what the user has set stays. The last: no process takes a GPU's whole memory at
its start, not even one that builds a single network before the trials begin."""
UNUSED = ("matplotlib", "sklearn")
"""Keras looks for these at its start, for its wrappers and galleries, which we do not use: of the 3.6 s of CPU that
TensorFlow takes to load they are 1.3, and 83 MB."""
_own = threading.Event()


def own_process() -> None:
    """Say that this process runs a program of ours alone: `import_tensorflow` leaves out the packages `UNUSED` then.

    They load as ever when something else asks for them; Keras' wrappers for scikit-learn do not work in this process.
    """
    _own.set()


def set_environment() -> None:
    """Quieten TensorFlow in this process and in those that it starts."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def import_tensorflow() -> None:
    """Import TensorFlow now, its start-up notes kept from stderr. A failing import is told as ever.

    Float32 is float32 then, on GPUs too: by default these multiply with 10 bits of the mantissa (TF32), and a bundle
    that was made on one would not answer on a CPU as it says it does. See `inference.device.claim` for training.
    """
    if "tensorflow" not in sys.modules:
        set_environment()
        # The modules of TensorFlow are no garbage: looking for some among them is a quarter of its import.
        with native_messages_hidden(), uncollected(), missing(UNUSED if _own.is_set() else ()):
            import tensorflow as tf
        tf.config.experimental.enable_tensor_float_32_execution(False)
        # Its Python part warns of retracing whenever models of several shapes are used in turn.
        tf.get_logger().setLevel("ERROR")


@contextmanager
def missing(packages: tuple[str, ...]) -> Iterator[None]:
    """Let `packages` seem not to be installed in the block, those that are loaded already excepted."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: "there is no such module"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def native_messages_hidden() -> Iterator[None]:
    """Keep from stderr whatever is written there in the block, by native code too."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)

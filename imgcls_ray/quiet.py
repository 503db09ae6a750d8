"""Loading TensorFlow without the notes that its native code prints before any setting of ours can reach it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SETTINGS = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "NONE"}
"""Environment for processes of ours; what the user has set stays."""


def set_environment() -> None:
    """Quieten TensorFlow in this process and in those that it starts."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def import_tensorflow() -> None:
    """Import TensorFlow now, its start-up notes kept from stderr. A failing import is told as ever."""
    if "tensorflow" not in sys.modules:
        set_environment()
        with native_messages_hidden():
            import tensorflow as tf
        # Its Python part warns of retracing whenever models of several shapes are used in turn.
        tf.get_logger().setLevel("ERROR")


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

"""The network in a `.keras` file."""

from pathlib import Path
from unittest import mock

import keras
from keras.src.saving import saving_lib


def load_network(file: Path) -> keras.Model:
    """The network, not compiled, without anything in it that could run code.

    Where weights are larger than half of the memory that Keras believes to be free (1 GB where it can't ask), it would
    unpack them into the folder of the file: other processes would find a bundle with a folder too much, and a kill
    would leave it there.
    """
    with mock.patch.object(saving_lib, "is_memory_sufficient", lambda _: True):
        model: keras.Model = keras.saving.load_model(file, compile=False, safe_mode=True)
    return model

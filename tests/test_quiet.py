"""What TensorFlow brings along: little in our own processes, everything in a user's."""

import subprocess
import sys

import pytest

LOOK = """
import sys
from imgcls_ray import quiet
{before}
quiet.import_tensorflow()
import keras, tensorflow
assert not tensorflow.config.experimental.tensor_float_32_execution_enabled()
print(*(name for name in quiet.UNUSED if name in sys.modules))
import sklearn, matplotlib
print(sklearn.__name__, matplotlib.__name__, keras.src.wrappers.sklearn_wrapper.sklearn is None)
"""


@pytest.mark.parametrize(
    ("before", "loaded", "without"),
    [
        ("", "matplotlib sklearn", "False"),
        ("quiet.own_process()", "", "True"),
    ],
    ids=["a user's process", "ours"],
)
def test_packages_for_keras_wrappers_are_left_out_in_processes_of_ours_alone(
    before: str, loaded: str, without: str
) -> None:
    done = subprocess.run([sys.executable, "-c", LOOK.format(before=before)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [loaded, f"sklearn matplotlib {without}"]

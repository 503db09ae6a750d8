"""The working folder of a job's processes."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def leave() -> None:
    """Go to the system's folder for temporary files, from the copy of `--working-dir` that Ray gives to a job.

    Ray writes that copy anew under the same path when a second node of the same machine first needs it. Whatever ran in
    the old one has no working folder from then on, and `os.getcwd` fails in it. Run in each worker of a job.
    """
    os.chdir(tempfile.gettempdir())


@contextmanager
def left() -> Iterator[None]:
    """`leave` for the length of the block."""
    before = Path.cwd()
    leave()
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):  # Ray may be done with it
            os.chdir(before)

"""What every shard format offers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from imgcls_ray.data.files import Written
from imgcls_ray.errors import DataError

VERSION = 1
"""Version of the layout inside a shard."""

Encoding = Literal["raw", "jpeg"]
"""How pixels lie in a shard: as they are, or as JPEG of quality 95, which loses a little (see `jpeg.py`)."""

Images = np.ndarray[Any, np.dtype[np.uint8]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]
Pictures = Images | Sequence[Images]
"""uint8 (n, height, width, channels), or n single pictures (height, width, channels)."""


@dataclass(frozen=True)
class Shard:
    """The pictures of one shard, in memory."""

    images: Images
    """uint8 (n, height, width, channels), 0 to 255, RGB or gray."""
    labels: Numbers
    """int64 (n,)."""
    keys: tuple[str, ...]
    """Path of each picture, relative to the data folder."""


class ShardFormat(Protocol):
    """Writes and reads shards. The same input gives the same bytes, so that a shard's digest names its content."""

    suffix: str
    """Of the file name, with its dot."""

    def write(
        self,
        path: Path,
        images: Pictures,
        labels: Numbers,
        keys: tuple[str, ...],
        names: tuple[str, ...] = (),
        encoding: Encoding = "raw",
        sync: bool = True,
    ) -> Written:
        """Write a shard whole or not at all. Beside the images given it takes little memory, or that of their JPEGs.

        Args:
            path: the file; its folder exists.
            images: uint8 (n, height, width, channels), n at least 1; 3 channels or 1; or n single pictures.
            labels: int64 (n,).
            keys: n paths.
            sync: whether to wait until it is on the disk.
            names: the class names that the labels number, kept for readers that have no index.
            encoding: how the pixels are kept.

        Returns:
            Size and digest of the file, taken while it was written.

        Raises:
            OSError: as the file system gives it.
            ValueError: labels or keys are not as many as the images.
        """

    def read(self, path: Path) -> Shard:
        """Read a whole shard; JPEGs are decoded.

        Raises:
            DataError: the file is missing, cut or damaged.
        """


def check_lengths(images: Pictures, labels: Numbers, keys: tuple[str, ...]) -> None:
    """Refuse to write what could not be read.

    Raises:
        ValueError: the three differ in length, or there are none.
    """
    if not 1 <= len(images) == len(labels) == len(keys):
        raise ValueError(f"a shard has a label and a key for each image: {len(images)}, {len(labels)}, {len(keys)}")


def damaged(path: Path, reason: object) -> DataError:
    """The error for a shard that can't be read."""
    return DataError(f"The shard {path} can't be read ({reason}); delete its folder and preprocess again.")

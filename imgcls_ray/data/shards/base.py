"""What every shard format offers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from imgcls_ray.errors import DataError

VERSION = 1
"""Version of the layout inside a shard."""


Images = np.ndarray[Any, np.dtype[np.uint8]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]


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
        self, path: Path, images: Images, labels: Numbers, keys: tuple[str, ...], names: tuple[str, ...] = ()
    ) -> None:
        """Write a shard whole or not at all.

        Args:
            path: the file; its folder exists.
            images: uint8 (n, height, width, channels), n at least 1.
            labels: int64 (n,).
            keys: n paths.
            names: the class names that the labels number, kept for readers that have no index.

        Raises:
            OSError: as the file system gives it.
        """

    def read(self, path: Path) -> Shard:
        """Read a whole shard.

        Raises:
            DataError: the file is missing, cut or damaged.
        """


def damaged(path: Path, reason: object) -> DataError:
    """The error for a shard that can't be read."""
    return DataError(f"The shard {path} can't be read ({reason}); delete its folder and preprocess again.")

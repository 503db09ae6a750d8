"""The pictures of a model's page: each as the network gets it, and as people want to see it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from imgcls_ray.data.index import Index, ShardEntry
from imgcls_ray.data.pixels import PixelOps, Pixels, decode, open_picture
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.shards import read_shard
from imgcls_ray.data.sources import Split
from imgcls_ray.data.sources.base import Reader
from imgcls_ray.errors import ImageError
from imgcls_ray.reports.thumbnails import shrunk

SIDE = 176
"""Of the longer side of a shown picture, in pixels."""
_THREADS = 4


@dataclass(frozen=True)
class Opened:
    """One picture."""

    network: Pixels
    """(H, W, C) uint8, as the model takes it."""
    shown: Pixels
    """(h, w, 3) uint8, or (h, w, 1) of grayscale models, in its own shape, small."""
    ops: PixelOps
    """What led from `shown`, in its large form, to `network`."""

    def framed(self, heat: np.ndarray) -> np.ndarray:
        """Heat (H, W) over the network's pixels -> (h, w) over the shown picture: what the resizing did, undone."""
        height, width = self.shown.shape[:2]
        rows, columns = self.ops.height, self.ops.width
        if self.ops.resize == "pad":
            scale = min(rows / height, columns / width)
            inner = max(1, round(height * scale)), max(1, round(width * scale))
            top, left = (rows - inner[0]) // 2, (columns - inner[1]) // 2
            heat = heat[top : top + inner[0], left : left + inner[1]]
        if self.ops.resize != "crop":
            return np.asarray(cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR))
        inner = min(height, round(width * rows / columns)), min(width, round(height * columns / rows))
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        page = np.zeros((height, width), np.float32)
        page[top : top + inner[0], left : left + inner[1]] = cv2.resize(heat, inner[::-1])
        return page


class Album(ABC):
    """Opens pictures by their keys."""

    @abstractmethod
    def open(self, keys: Sequence[str]) -> dict[str, Opened]:
        """Those of `keys` that can be opened; a file that is gone or broken by now is left out."""


@dataclass(frozen=True)
class SourceAlbum(Album):
    """Pictures read anew from where they came from."""

    reader: Reader
    ops: PixelOps

    def open(self, keys: Sequence[str]) -> dict[str, Opened]:
        """See Album."""
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(self._open, keys)
            return {key: one for key, one in zip(keys, found, strict=True) if one is not None}

    def _open(self, key: str) -> Opened | None:
        large = PixelOps(SIDE, SIDE, self.ops.colorspace, "pad", self.ops.max_pixels)
        try:
            data = self.reader.read(key)
            return Opened(decode(data, self.ops), shrunk(open_picture(data, large), SIDE), self.ops)
        except (OSError, ImageError):
            return None


@dataclass(frozen=True)
class ShardAlbum(Album):
    """Pictures of a preprocessed set whose source is not at hand: they are shown as the network gets them."""

    found: Preprocessed
    split: Split

    def open(self, keys: Sequence[str]) -> dict[str, Opened]:
        """See Album."""
        index, wanted = self.found.index, set(keys)
        # They are what they are shown as: nothing was stretched on the way from there.
        ops = PixelOps(index.pixels.height, index.pixels.width, index.pixels.colorspace)
        opened = {}
        for key, pixels in self._pixels(index, index.of(self.split)):
            if key in wanted:
                opened[key] = Opened(pixels, shrunk(pixels, SIDE), ops)
        return opened

    def _pixels(self, index: Index, entries: Iterable[ShardEntry]) -> Iterable[tuple[str, Pixels]]:
        for entry in entries:
            shard = read_shard(self.found.path, entry, index.format)
            yield from zip(shard.keys, shard.images, strict=True)

"""What is computed: everything that decides the numbers, and the key that follows from it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from imgcls_ray.config import Size
from imgcls_ray.data.index import ShardEntry
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.inference.base import Precision
from imgcls_ray.models import Weights, find_backbone

FORMAT_VERSION = 2
"""Raised whenever the same pictures would give other features or another file; part of each key."""


@dataclass(frozen=True)
class EmbeddingJob:
    """A frozen backbone and the set of pictures that goes through it."""

    folder: Path
    """Of the preprocessed set."""
    shards: str
    """The format of its shards."""
    pixels: PixelOps
    backbone: str
    weights: Weights
    unfrozen: int = 0
    """Layers with a kernel that are left out (see `models.tail`)."""
    precision: Precision = "float32"

    @classmethod
    def of(
        cls,
        preprocessed: Preprocessed,
        backbone: str,
        weights: Weights,
        unfrozen: int = 0,
        precision: Precision = "float32",
    ) -> "EmbeddingJob":
        """The job for a set.

        Raises:
            SettingsError: no such backbone, or the pictures are such that it can't take them.
            ModelError: no such bundle.
        """
        index = preprocessed.index
        entry = find_backbone(backbone)
        entry.check_pictures(Size(index.pixels.height, index.pixels.width), index.pixels.channels)
        return cls(preprocessed.path, index.format, index.pixels, entry.name, weights, unfrozen, precision)

    @property
    def label(self) -> str:
        """The backbone's name in keys and folders: that of a bundle says nothing of its place, its weights say it."""
        return self.weights.kind if self.weights.kind == "bundle" else self.backbone

    @property
    def key(self) -> str:
        """Hex sha256 of what decides the numbers, but for the pictures: these are named by their shard's digest.

        The engine is not in it. In float32 all engines give the same features within a tolerance (`inference.base`)
        far below what training tells apart; were it in the key, ten new pictures, or a GPU that is there today and not
        tomorrow, would have a whole set embedded again.
        """
        pixels = self.pixels.to_json()
        document = [FORMAT_VERSION, self.label, self.weights.sha256, pixels, self.unfrozen, self.precision]
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


class Task(NamedTuple):
    """One file to be made."""

    entry: ShardEntry
    view: int
    """0 is the picture itself, from 1 on augmented views of it."""
    target: Path

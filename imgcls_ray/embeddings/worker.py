"""What runs on the cluster: an actor that holds one backbone and embeds one shard at a time."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from imgcls_ray.config import Size
from imgcls_ray.data.augment import augmented_view
from imgcls_ray.data.files import storage_error, write_atomic
from imgcls_ray.data.index import ShardEntry
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.shards import read_shard
from imgcls_ray.errors import ImgclsError
from imgcls_ray.models.weights import Weights

if TYPE_CHECKING:
    from imgcls_ray.inference.engine import Engine


class ShardEmbedder:
    """Callable on a table of one shard entry and its target; answers with the rows written or what went wrong.

    Errors of this program are answered, not raised, so that the driver can raise them as what they are.
    """

    def __init__(
        self,
        folder: str,
        format: str,
        backbone: str,
        weights: Weights,
        pixels: PixelOps,
        threads: int,
        unfrozen: int = 0,
    ) -> None:
        self._folder = Path(folder)
        self._format = format
        self._error: ImgclsError | None = None
        self._engine: Engine | None = None
        from imgcls_ray.inference.device import claim

        claim(threads)
        from imgcls_ray.inference.engine import load_engine
        from imgcls_ray.models.features import build_features
        from imgcls_ray.models.tail import trunk

        try:
            size = Size(pixels.height, pixels.width)
            self._engine = load_engine(trunk(build_features(backbone, size, pixels.channels, weights), unfrozen))
        except ImgclsError as error:
            self._error = error

    def __call__(self, table: pa.Table) -> pa.Table:
        rows, error = 0, self._error
        for task in table.to_pylist():
            target, view = Path(task.pop("target")), task.pop("view")
            if error is None:
                try:
                    rows += self._embed(ShardEntry(**task), view, target)
                except ImgclsError as caught:
                    error = caught
        name, message = (type(error).__name__, str(error)) if error else ("", "")
        return pa.table({"rows": [rows], "error": [name], "message": [message]})

    def _embed(self, entry: ShardEntry, view: int, target: Path) -> int:
        shard = read_shard(self._folder, entry, self._format)
        if self._engine is None:
            return 0
        # View 0 is the picture itself; the others follow from the shard and their number alone.
        seed = int(entry.sha256[:8], 16) + view
        images = augmented_view(shard.images, seed) if view else shard.images
        buffer = io.BytesIO()
        np.savez(buffer, features=self._engine.predict(images), labels=shard.labels)
        try:
            write_atomic(target, buffer.getvalue())
        except OSError as error:
            raise storage_error(target, error) from error
        return entry.rows

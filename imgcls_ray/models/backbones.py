"""The backbones by name. Needs no Keras."""

from dataclasses import dataclass
from typing import Any

from imgcls_ray.config import Size
from imgcls_ray.errors import SettingsError, nearest
from imgcls_ray.models.table import FAMILIES, PUBLISHED_AS, Family, Row, Scaling

SCRATCH = "cnn"
"""The small network from scratch: a legal name for a trial, but no backbone."""


@dataclass(frozen=True)
class Backbone:
    """One architecture of keras.applications."""

    name: str
    keras_name: str
    """The function in keras.applications."""
    arguments: dict[str, Any]
    """What that function takes beyond size, weights and pooling."""
    native_size: int
    """Height and width, in pixels, of the pictures it was trained on."""
    features: int
    """Width of its pooled output."""
    min_size: int
    """Smallest height and width, in pixels, that it can be built for."""
    scaling: Scaling
    """What its input went through in training; `none` where the network itself begins with it. See `scaling.py`."""
    weights_file: str
    """Keras' own name of the file of ImageNet weights without the classification layer."""
    weights_url: str
    weights_hash: str | None
    """MD5 or SHA-256 (64 digits) that Keras publishes for the file; None where it publishes none."""

    def check_size(self, size: Size) -> None:
        """Raises SettingsError if the pictures are smaller than this backbone can take."""
        if min(size) < self.min_size:
            raise SettingsError(
                f"The backbone '{self.name}' takes pictures of at least {self.min_size} x {self.min_size} pixels; "
                f"received {size.height} x {size.width}: raise --image-size or choose another backbone."
            )


_HOST = "https://storage.googleapis.com"


def _entry(family: Family, row: Row) -> Backbone:
    file = family.file.format(row.file_part)
    return Backbone(
        name=row.name,
        keras_name=row.keras_name,
        arguments=row.arguments,
        native_size=row.native_size,
        features=row.features,
        min_size=family.min_size,
        scaling=family.scaling,
        weights_file=file,
        weights_url=f"{_HOST}/{family.folder}/{PUBLISHED_AS.get(file, file)}",
        weights_hash=row.hash,
    )


BACKBONES: dict[str, Backbone] = {
    row[0]: _entry(family, Row(*row)) for family, rows in FAMILIES.items() for row in rows
}


def backbone(name: str) -> Backbone:
    """The backbone `name`.

    Raises:
        SettingsError: no such backbone; the message offers the nearest name.
    """
    try:
        return BACKBONES[name]
    except KeyError:
        raise SettingsError(
            f"A backbone is one of the {len(BACKBONES)} names in docs/backbones.md; received '{name}'"
            f"{nearest(name, BACKBONES)}."
        ) from None

"""The backbones by name. Needs no Keras."""

from dataclasses import dataclass
from typing import Any

from imgcls_ray.config import Size
from imgcls_ray.errors import SettingsError, ending
from imgcls_ray.models.table import FAMILIES, PUBLISHED_AS, Family, Row, Scaling

SCRATCH = "cnn"
"""The small network from scratch: a legal name for a trial, but no backbone."""


@dataclass(frozen=True)
class Backbone:
    """A network from pictures to features."""

    name: str
    native_size: Size
    """Of the pictures it was trained on, in pixels."""
    features: int
    """Width of its pooled output."""
    min_size: int
    """Smallest height and width, in pixels, that it can be built for."""
    channels: int | None
    """Of the pictures it takes: 1 (gray) or 3 (RGB); None where both will do."""

    def check_pictures(self, size: Size, channels: int) -> None:
        """Return when it takes pictures of this size and so many channels.

        Raises:
            SettingsError: they are smaller than it can take, or gray for colour, or the other way round.
        """
        if min(size) < self.min_size:
            raise SettingsError(
                f"The backbone '{self.name}' takes pictures of at least {self.min_size} x {self.min_size} pixels; "
                f"received {size.height} x {size.width}: raise --image-size or choose another backbone."
            )
        if self.channels not in (None, channels):
            wanted, given = (_COLOURS[number] for number in (self.channels or 3, channels))
            raise SettingsError(
                f"The backbone '{self.name}' takes {wanted} pictures, as it was trained on; received {given} ones: "
                f"preprocess them with --colorspace {wanted}, or choose another backbone."
            )


_COLOURS = {1: "grayscale", 3: "color"}


@dataclass(frozen=True)
class KerasBackbone(Backbone):
    """One architecture of keras.applications."""

    keras_name: str
    """The function in keras.applications."""
    arguments: dict[str, Any]
    """What that function takes beyond size, weights and pooling."""
    scaling: Scaling
    """What its input went through in training; `none` where the network itself begins with it. See `scaling.py`."""
    weights_file: str
    """Keras' own name of the file of ImageNet weights without the classification layer."""
    weights_url: str
    weights_hash: str | None
    """MD5 or SHA-256 (64 digits) that Keras publishes for the file; None where it publishes none."""


_HOST = "https://storage.googleapis.com"


def _entry(family: Family, row: Row) -> KerasBackbone:
    file = family.file.format(row.file_part)
    return KerasBackbone(
        name=row.name,
        keras_name=row.keras_name,
        arguments=row.arguments,
        native_size=Size(row.native_size, row.native_size),
        features=row.features,
        min_size=family.min_size,
        channels=None,
        scaling=family.scaling,
        weights_file=file,
        weights_url=f"{_HOST}/{family.folder}/{PUBLISHED_AS.get(file, file)}",
        weights_hash=row.hash,
    )


BACKBONES: dict[str, KerasBackbone] = {
    row[0]: _entry(family, Row(*row)) for family, rows in FAMILIES.items() for row in rows
}


def backbone(name: str) -> KerasBackbone:
    """The architecture `name`.

    Raises:
        SettingsError: no such backbone; the message offers the nearest name.
    """
    try:
        return BACKBONES[name]
    except KeyError:
        raise SettingsError(
            f"A backbone is one of the {len(BACKBONES)} names in docs/backbones.md; received '{name}'"
            f"{ending(name, BACKBONES)}"
        ) from None

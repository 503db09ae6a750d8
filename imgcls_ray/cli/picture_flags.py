"""The flags that say how pictures become a set, of `imgcls preprocess` and, the most used of them, of `imgcls run`."""

from dataclasses import dataclass
from typing import Annotated, Any

from imgcls_ray.cli.flags import option

PICTURES, SPLITS, SHARDS = "Pictures", "Classes and splits", "Shards"
"""The groups of flags on the page of help."""


@dataclass(frozen=True)
class PictureFlags:
    """One field per flag, None where it was not typed."""

    preset: Annotated[
        str | None,
        option("NAME", "emnist (gray, 28x28) or fruits360 (colour, 100x100, near copies stay).", "none", PICTURES),
    ] = None
    image_size: Annotated[
        str | None, option("SIZE", "N or HxW (height x width) in pixels.", "the backbone's own", PICTURES)
    ] = None
    colorspace: Annotated[str | None, option("NAME", "color or grayscale.", "color", PICTURES)] = None
    resize: Annotated[str | None, option("NAME", "stretch, crop or pad.", "stretch", PICTURES)] = None
    max_bad_fraction: Annotated[
        float | None, option("X", "Share of unusable files above which the job ends.", "0.5", PICTURES)
    ] = None
    labels: Annotated[
        str | None, option("FILE", "File with one class name a line, in the order of their numbers.", "none", SPLITS)
    ] = None
    group_by: Annotated[
        str | None,
        option("RE", "Regular expression; its first group in a path names what stays together.", "none", SPLITS),
    ] = None
    test_fraction: Annotated[
        float | None, option("X", "Share kept for the test, where the data has none.", "0.2", SPLITS)
    ] = None
    val_fraction: Annotated[
        float | None, option("X", "Share of what is left that is kept for validation.", "0.1", SPLITS)
    ] = None
    shard_format: Annotated[str | None, option("NAME", "hdf5 or tfrecord.", "hdf5", SHARDS, "--format")] = None

    def settings(self) -> dict[str, Any]:
        """Dotted name of a setting of preprocess -> what was typed for it, or None."""
        return {
            "image_size": self.image_size,
            "colorspace": self.colorspace,
            "resize": self.resize,
            "max_bad_fraction": self.max_bad_fraction,
            "source.labels": self.labels,
            "source.group_by": self.group_by,
            "test_fraction": self.test_fraction,
            "val_fraction": self.val_fraction,
            "format": self.shard_format,
        }

    def beneath(self) -> dict[str, Any]:
        """The settings of the preset, over which whatever else is given wins.

        Raises:
            SettingsError: there is no preset of this name.
        """
        from imgcls_ray.config import PRESETS
        from imgcls_ray.errors import SettingsError, ending

        if self.preset is None:
            return {}
        if self.preset not in PRESETS:
            raise SettingsError(
                f"A preset is one of {', '.join(PRESETS)}; received '{self.preset}'{ending(self.preset, PRESETS)}"
            )
        return PRESETS[self.preset]


@dataclass(frozen=True)
class PreprocessFlags(PictureFlags):
    """All of them."""

    image_size: Annotated[str | None, option("SIZE", "N or HxW (height x width) in pixels.", "224", PICTURES)] = None
    max_pixels: Annotated[
        int | None, option("N", "Width x height above which a picture is refused.", "178956970", PICTURES)
    ] = None
    multi_label: Annotated[
        str | None, option("NAME", "Rows with several labels: refuse, or first.", "refuse", SPLITS)
    ] = None
    near_duplicates: Annotated[
        bool | None,
        option("", "Keep almost equal pictures in one split.", "yes", SPLITS, "--near-duplicates/--no-near-duplicates"),
    ] = None
    seed: Annotated[int | None, option("N", "Seed of splits and order.", "0", SPLITS)] = None
    encoding: Annotated[str | None, option("NAME", "raw, or jpeg (small, lossy).", "raw", SHARDS)] = None
    shard_mb: Annotated[float | None, option("X", "Most pixels of a shard, in MB.", "100", SHARDS)] = None

    def settings(self) -> dict[str, Any]:
        """Dotted name of a setting of preprocess -> what was typed for it, or None."""
        return super().settings() | {
            "max_pixels": self.max_pixels,
            "source.multi_label": self.multi_label,
            "near_duplicates": self.near_duplicates,
            "seed": self.seed,
            "encoding": self.encoding,
            "shard_mb": self.shard_mb,
        }

"""The steps that write pictures in a separated layout: split, and augment."""

from pathlib import Path

from imgcls_ray.data.arrange import Arranged, ArrangeSettings, Progress, Way, arrange, list_pictures
from imgcls_ray.data.augmentation import Augmented, AugmentSettings, augment
from imgcls_ray.data.augmentation.job import check_earlier
from imgcls_ray.errors import SettingsError
from imgcls_ray.jobs.connection import cluster
from imgcls_ray.jobs.places import check_absolute


def split(
    data: str,
    out: Path,
    settings: ArrangeSettings | None = None,
    way: Way = "copy",
    address: str | None = None,
    progress: Progress | None = None,
) -> Arranged:
    """Put the pictures of `data` (whatever preprocess takes) into `out/train|val|test/CLASS/`, as preprocess splits.

    `address` is a Ray cluster to join; by default RAY_ADDRESS, else a local Ray is started. `progress(done, total)`
    counts files. A second call only does what is new, and moves no picture to another split.

    Raises:
        InputError: the data, the settings or the place can't be used.
    """
    settings = settings or ArrangeSettings()
    out = _place(data, out)
    source = list_pictures(data, out, settings, way)
    with cluster(address):
        return arrange(source, out, settings, way, progress)


def split_and_augment(
    data: str,
    out: Path,
    copies: AugmentSettings,
    settings: ArrangeSettings | None = None,
    way: Way = "copy",
    address: str | None = None,
    progress: Progress | None = None,
) -> Augmented:
    """As `split`, and then add augmented copies to the training pictures in `out`.

    `progress(done, total)` counts the files, and then, from 0 again, the copies.

    Raises:
        InputError: the data, the settings or the place can't be used.
    """
    settings = settings or ArrangeSettings()
    out = _place(data, out)
    if way == "move":
        raise SettingsError("Augmentation leaves the originals where they are; 'imgcls split --move' moves them.")
    check_earlier(out, copies, settings.seed)
    source = list_pictures(data, out, settings, way)
    if not settings.test_fraction and not any(item.split == "test" for item in source.items):
        raise SettingsError(
            "Augmented pictures need a test set beside them, or preprocess would draw one from them; received a test "
            "fraction of 0: choose one above it."
        )
    with cluster(address):
        arranged = arrange(source, out, settings, way, progress)
        return augment(arranged, copies, settings.seed, progress)


def _place(data: str, out: Path) -> Path:
    """`out`, absolute; a job must have named it so, and the data."""
    check_absolute("data", data)
    check_absolute("output folder", out)
    return Path(out).expanduser().resolve()

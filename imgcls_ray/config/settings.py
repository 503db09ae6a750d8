"""The settings of each step of the main job."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from imgcls_ray.config.base import Settings
from imgcls_ray.config.size import Size, SizeField

_UNITS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(value: Any) -> float:
    """Seconds from `90s`, `5m`, `1.5h`, or a plain number of seconds.

    Raises:
        ValueError: no such duration, or not above zero.
    """
    text = str(value).strip().lower()
    unit = _UNITS.get(text[-1:])
    try:
        seconds = float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"a time budget is a number with s, m or h, such as 90s, 5m or 1h; received {value!r}")
    return seconds


EnsembleSize = Literal["auto", "none"] | int
MOST_MEMBERS = 32


def parse_ensemble(value: Any) -> Any:
    """`auto`, `none` or a whole number, as a number where it is one.

    Raises:
        ValueError: neither of these, or a number that is no ensemble.
    """
    text = str(value).strip().lower()
    if text in ("auto", "none"):
        return text
    if not text.isdecimal() or not 2 <= int(text) <= MOST_MEMBERS:
        raise ValueError(f"an ensemble is auto, none, or 2 to {MOST_MEMBERS} trials; received {value!r}")
    return int(text)


class SourceSettings(Settings):
    """How a source is read: what counts as a class, and which pictures belong together."""

    labels: str | None = None
    """A file with one class name a line; a line's number is the class's. Other labels are counted and left out."""
    multi_label: Literal["refuse", "first"] = "refuse"
    """What becomes of a row with several labels: it is left out and counted, or takes its first known one."""
    group_by: str | None = None
    """Regular expression; its first group in a picture's path names those that stay in one split."""


class PreprocessSettings(Settings):
    """How pictures become shards."""

    source: SourceSettings = SourceSettings()
    image_size: SizeField = Size(224, 224)
    colorspace: Literal["color", "grayscale"] = "color"
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    """How a picture of another shape fits: each side on its own, its middle cut out, or black bars beside it."""
    format: Literal["hdf5", "tfrecord"] = "hdf5"
    encoding: Literal["raw", "jpeg"] = "raw"
    """Pixels as they are, or as JPEG of quality 95: a fifth to an eighth of the bytes, and lossy."""
    test_fraction: float = Field(0.2, gt=0, lt=0.9)
    """Share kept for the test when the data has no test folder."""
    val_fraction: float = Field(0.1, gt=0, lt=0.9)
    """Share of what is left that is kept for validation."""
    near_duplicates: bool = True
    """Whether almost equal pictures are looked for, so that they stay in one split."""
    max_bad_fraction: float = Field(0.5, ge=0, le=1)
    """Share of rejected files above which the job ends, before anything is kept."""
    shard_mb: float = Field(100, gt=0)
    """Upper bound of a shard's pixels in 10^6 bytes; 512 rows is the other bound."""
    max_pixels: int = Field(178_956_970, ge=64)
    """Width x height above which a picture is refused before it is decoded."""
    seed: int = Field(0, ge=0)


PRESETS: dict[str, dict[str, object]] = {
    "emnist": {"colorspace": "grayscale", "image_size": "28x28"},
    # Its frames turn by 3 degrees from one to the next, in training and test alike: all would count as near copies.
    "fruits360": {"colorspace": "color", "image_size": "100x100", "near_duplicates": False},
}
"""Settings of preprocess for well-known data sets."""


class SearchSettings(Settings):
    """What is searched, how long and on what."""

    space: str = "quick"
    """The name of a shipped search space or the path of a YAML file."""
    backbones: tuple[str, ...] = ()
    """Narrows the space's backbones; empty leaves them."""
    image_size: SizeField | None = None
    """Narrows the space's image sizes to this one."""
    sampler: Literal["tpe", "random", "grid", "cmaes", "gp"] = "tpe"
    """Who proposes settings. `cmaes` and `gp` need the package of that name and take no conditions."""
    scheduler: Literal["asha", "median", "none"] = "asha"
    """Who stops trials early."""
    objective: Literal["val_accuracy", "val_loss", "val_f1_macro", "val_balanced_accuracy"] = "val_accuracy"
    """What is made better: `val_loss` smaller, the others larger."""
    second_objective: Literal["none", "latency_ms", "size_mb"] = "none"
    """What is made smaller beside it, with all trials that are best in their mix of both shown in the end."""
    trials: int = Field(30, ge=1, le=100_000)
    """Distinct ones, the defaults included; fewer where the space has fewer."""
    time_budget: Annotated[float, BeforeValidator(parse_duration)] | None = None
    """Seconds of the search stage."""
    epochs: int | None = Field(None, ge=1, le=10_000)
    batch_size: int | None = Field(None, ge=1, le=8192)
    concurrency: int | None = Field(None, ge=1, le=1024)
    """Trials at once; by default what the cluster holds."""
    workers: int = Field(1, ge=1, le=1024)
    """Workers of one trial. With more than one, trials train through Ray Train."""
    checkpoint_seconds: float = Field(2, ge=0)
    """Seconds of training after which a trial keeps how far it has come, so that a kill costs it no more than that."""
    finetune_share: float = Field(0.25, gt=0, lt=1)
    """Spaces with a section `finetune` only: the share of the trials (rounded up), and of the time, that it has."""
    max_epoch_gmacs: float = Field(60, gt=0)
    """Choices of `unfrozen_layers` whose epoch would take more than so many 10^9 multiply-adds forward are left out; a
    core does about ten a second, and a GPU is allowed a hundred times as many."""
    seed: int = Field(0, ge=0)


class TrackingSettings(Settings):
    """Where MLflow records."""

    uri: str | None = None
    """An MLflow server or a database; by default `mlflow.db` (SQLite) under the storage root."""
    model_name: str | None = None
    """Name in the model registry; by default the data folder's name."""


class RunSettings(Settings):
    """The main job: every setting of `imgcls run`."""

    data: str
    storage: str = "./imgcls-runs"
    study: str | None = None
    """By default the data folder's name, the date and the time."""
    resume: bool = False
    """Take up the study of this name, or without a name the newest unfinished one of this data."""
    continue_from: str | None = None
    """A study in the same storage whose results the sampler is to know from the start; its best are tried first."""
    from_trial: str | None = None
    """`STUDY/NUMBER`: train this trial of a study in the same storage again, and nothing else; see `fitting`."""
    address: str | None = None
    """Ray cluster to join; by default RAY_ADDRESS, else a local Ray is started."""
    weights: tuple[str, ...] = ("imagenet",)
    """`imagenet`, `none`, a path, or `NAME=PATH`; several may be given."""
    ensemble: Annotated[EnsembleSize, BeforeValidator(parse_ensemble)] = "auto"
    """Whether trials are joined where that is better on the validation pictures: `auto` as far as serving costs little
    more, a number up to so many whatever that costs, `none` never."""
    preprocess: PreprocessSettings = PreprocessSettings()
    search: SearchSettings = SearchSettings()
    tracking: TrackingSettings = TrackingSettings()

"""The plan of a main job: whatever can be wrong with the request is found here, before anything is started."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from imgcls_ray.config import RunSettings, Size, parse_size
from imgcls_ray.data.sources import Source, list_source
from imgcls_ray.errors import SettingsError, StorageError, nearest
from imgcls_ray.jobs.connection import inside_job
from imgcls_ray.models.backbones import BACKBONES, SCRATCH
from imgcls_ray.models.weights import Weights, resolve_weights
from imgcls_ray.search.space import SearchSpace, load_space
from imgcls_ray.storage import Storage, folder_name
from imgcls_ray.tracking.location import check_reachable, resolve_uri

SCRATCH_SIZE = 32
"""Height and width, in pixels, of pictures for the network from scratch where nobody says otherwise."""


@dataclass(frozen=True)
class Plan:
    """A main job that can start."""

    settings: RunSettings
    source: Source
    storage: Storage
    study: str
    space: SearchSpace
    weights: dict[str, Weights]
    """By backbone."""
    sizes: dict[tuple[str, str], Size]
    """By backbone and image size as the search space writes it."""

    def pretrained(self, backbone: str) -> bool:
        """Whether trials of a backbone train a head on its frozen features rather than the whole network."""
        return backbone in self.weights and self.weights[backbone].kind == "file"

    @property
    def model_name(self) -> str:
        """Its name in the model registry."""
        return self.settings.tracking.model_name or folder_name(self.source.name)

    @property
    def resolved(self) -> RunSettings:
        """The settings with every name and place filled in, so that they can be saved and run again from anywhere."""
        tracking = self.settings.tracking.model_copy(update={"model_name": self.model_name})
        data = self.settings.data
        if "://" not in data:
            data = str(Path(data).expanduser().resolve())
        places = {"data": data, "storage": str(self.storage.root)}
        return self.settings.model_copy(update={**places, "study": self.study, "tracking": tracking})


def make_plan(settings: RunSettings) -> Plan:
    """Check a request. Nothing is started, and nothing written but an archive's content, which is unpacked for listing.

    Raises:
        InputError: the data, the search space, the weights or the storage can't be used.
        ClusterError: the tracking server does not answer.
    """
    _check_job(settings)
    storage = Storage.open(settings.storage)
    source = list_source(settings.data, settings.preprocess.source, unpack=storage.unpacked)
    space = load_space(settings.search.space).narrowed(settings.search)
    sizes = {
        (name, text): _size(name, text)
        for name in map(str, space.values("backbone"))
        for text in map(str, space.values("image_size"))
    }
    if storage.root.is_relative_to(source.root):
        raise StorageError(
            f"The storage can't lie inside the data folder, where its folders would count as classes; {storage.root} "
            f"is inside {source.root}: choose another place with --storage."
        )
    study = settings.study or f"{folder_name(source.name)}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"
    if storage.study(study).exists():
        raise StorageError(f"A study named '{study}' is in {storage.root} already: choose another name with --study.")
    tracking = resolve_uri(storage.root, settings.tracking.uri)
    weights = {name: resolve_weights(name, settings.weights) for name, _ in sizes if name != SCRATCH}
    check_reachable(tracking)
    return Plan(settings, source, storage, study, space, weights, sizes)


def _check_job(settings: RunSettings) -> None:
    """A job's own folder is a copy that Ray makes and deletes: data is not read from there, and no result is kept."""
    if not inside_job():
        return
    storage = settings.storage if "storage" in settings.model_fields_set else None
    for name, given, way in (("storage", storage, "add --storage DIR"), ("data", settings.data, "write it out")):
        absolute = given is not None and Path(given.removeprefix("file://")).expanduser().is_absolute()
        if not absolute and "://" not in (given or ""):
            raise SettingsError(
                f"Inside a Ray job the {name} must be named as an absolute path that every node sees; received "
                f"{'none' if given is None else repr(given)}: {way}."
            )


def _size(name: str, text: str) -> Size:
    if name != SCRATCH and name not in BACKBONES:
        known = [SCRATCH, *BACKBONES]
        raise SettingsError(
            f"A backbone is '{SCRATCH}' or an architecture of Keras; received '{name}'{nearest(name, known)}."
        )
    native, least = (SCRATCH_SIZE, 8) if name == SCRATCH else (BACKBONES[name].native_size, BACKBONES[name].min_size)
    try:
        size = parse_size(native if text == "native" else text)
    except ValueError as error:
        raise SettingsError(f"The search space's image size can't be used: {error}.") from error
    if min(size) < least:
        raise SettingsError(f"The backbone '{name}' takes pictures of at least {least} pixels a side; received {size}.")
    return size

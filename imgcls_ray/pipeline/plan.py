"""The plan of a main job: whatever can be wrong with the request is found here, before anything is started."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from imgcls_ray.bundle.backbone import find_weights
from imgcls_ray.config import PreprocessSettings, RunSettings, Size, flatten, parse_size
from imgcls_ray.data.index import INDEX
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import MANIFEST
from imgcls_ray.data.preprocess import Preprocessed, open_preprocessed
from imgcls_ray.data.sources import Source, list_source
from imgcls_ray.errors import SettingsError, StorageError, ending
from imgcls_ray.jobs.connection import LOCAL, address_of
from imgcls_ray.jobs.places import check_absolute
from imgcls_ray.models import BACKBONES, SCRATCH, Weights, find_backbone, is_bundled, placed
from imgcls_ray.search.journal import JOURNAL
from imgcls_ray.search.loading import load_space
from imgcls_ray.search.record import StudyRecord, deciding, known_study, newest_unfinished
from imgcls_ray.search.repeating import RepeatedTrial, find_trial
from imgcls_ray.search.samplers import check_sampler
from imgcls_ray.search.second import check_second
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.storage import Storage, folder_name
from imgcls_ray.tracking.location import check_reachable, resolve_uri
from imgcls_ray.tracking.registry import model_name
from imgcls_ray.training.job import Input
from imgcls_ray.training.weighting import class_weights

SETTINGS = "settings.yaml"
"""The settings that a study began with, in its folder."""
SCRATCH_SIZE = 32
"""Height and width, in pixels, of pictures for the network from scratch where nobody says otherwise."""


@dataclass(frozen=True)
class Plan:
    """A main job that can start."""

    settings: RunSettings
    storage: Storage
    study: str
    space: SearchSpace
    weights: dict[str, Weights]
    """By backbone."""
    sizes: dict[tuple[str, str], Size]
    """By backbone and image size as the search space writes it."""
    source: Source | None = None
    """The pictures; None where a preprocessed set was given."""
    prepared: Preprocessed | None = None
    """That set."""
    repeated: RepeatedTrial | None = None
    """The trial that is trained again, where that is all there is to do."""

    @property
    def name(self) -> str:
        """What the data is called."""
        return self.source.name if self.source else self.prepared.index.name if self.prepared else "data"

    @property
    def record(self) -> StudyRecord:
        """What decides the results, as far as it is known before the pictures are read."""
        parts = deciding(self.settings.search, self.space)
        parts |= {f"weights.{name}": f"{given.kind} {given.sha256}" for name, given in self.weights.items()}
        parts["continue_from"] = self.settings.continue_from or "none"
        parts["from_trial"] = self.settings.from_trial or "none"
        if self.source:
            parts |= flatten(self.settings.preprocess.model_dump(mode="json"), "preprocess.")
        return StudyRecord(self.study, self.place, self.settings.search.trials, parts)

    @property
    def place(self) -> str:
        """Where the data lies, absolute."""
        return place_of(self.settings.data)

    def pretrained(self, backbone: str) -> bool:
        """Whether trials of a backbone train a head on its frozen features rather than the whole network."""
        return backbone in self.weights and self.weights[backbone].pretrained

    @property
    def cut(self) -> int:
        """The layers before which what is kept of a backbone comes out; see `models.tail`.

        A trial that is repeated learns from the very numbers that it had in its study.
        """
        return self.repeated.cut if self.repeated else self.space.highest("unfrozen_layers")

    @property
    def inputs(self) -> dict[tuple[str, str], Input]:
        """What decides the shapes of networks, by backbone and image size as the search space writes it."""
        if self.prepared:
            labels, channels = self.prepared.index.labels, self.prepared.index.pixels.channels
        elif self.source:
            labels = self.source.labels
            channels = 1 if self.settings.preprocess.colorspace == "grayscale" else 3
        else:
            raise RuntimeError("a plan has pictures or a set of them")
        return {
            (name, text): Input(size, channels, len(labels), self.pretrained(name))
            for (name, text), size in self.sizes.items()
        }

    @property
    def model_name(self) -> str:
        """Its name in the model registry."""
        given = self.settings.tracking.model_name
        return model_name(given) if given else folder_name(self.name)

    @property
    def resolved(self) -> RunSettings:
        """The settings with every name and place filled in, so that they can be saved and run again from anywhere."""
        tracking = self.settings.tracking.model_copy(update={"model_name": self.model_name})
        places = {"data": self.place, "storage": str(self.storage.root)}
        return self.settings.model_copy(update={**places, "study": self.study, "tracking": tracking})


def make_plan(settings: RunSettings) -> Plan:
    """Check a request. Nothing is started, and nothing written but an archive's content, which is unpacked for listing,
    and for a cluster the files of weights, which its nodes read.

    Raises:
        InputError: the data, the search space, the weights or the storage can't be used.
        ClusterError: the tracking server does not answer.
    """
    named = "storage" in settings.model_fields_set
    check_absolute("storage", settings.storage if named else None, "add --storage DIR")
    check_absolute("data", settings.data)
    _check_size(settings)
    storage = Storage.open(settings.storage)
    prepared = open_preprocessed(Path(settings.data).expanduser().resolve()) if is_prepared(settings.data) else None
    if prepared:
        source, labels = None, prepared.index.labels
    else:
        source = list_source(settings.data, settings.preprocess.source, unpack=storage.unpacked)
        labels = source.labels
    repeated = find_trial(storage.studies, settings.from_trial) if settings.from_trial else None
    space = (repeated.space if repeated else load_space(settings.search.space)).narrowed(settings.search)
    check_sampler(settings.search, space)
    check_second(settings.search, space)
    _check_weighting(space, labels)
    own = Size(prepared.index.pixels.height, prepared.index.pixels.width) if prepared else None
    gray = settings.preprocess.colorspace == "grayscale"
    channels = prepared.index.pixels.channels if prepared else 1 if gray else 3
    sizes = {
        (name, text): _size(name, text, own, channels)
        for name in map(str, space.values("backbone"))
        for text in map(str, space.values("image_size"))
    }
    if source and storage.root.is_relative_to(source.root):
        raise StorageError(
            f"The storage can't lie inside the data folder, where its folders would count as classes; {storage.root} "
            f"is inside {source.root}: choose another place with --storage."
        )
    tracking = resolve_uri(storage.root, settings.tracking.uri)
    weights = {name: find_weights(name, settings.weights) for name, _ in sizes if name != SCRATCH}
    if address_of(settings.address) != LOCAL:
        weights = {name: placed(found, storage.weights) for name, found in weights.items()}
    plan = Plan(settings, storage, "", space, weights, sizes, source, prepared, repeated)
    if repeated:
        repeated.check_start()
        repeated.check_weights(plan.record.parts)
    plan = replace(plan, study=_study(plan))
    if settings.resume:
        known_study(storage.studies, plan.study).check(plan.record)
    _check_continued(plan)
    check_reachable(tracking)
    return plan


def _check_weighting(space: SearchSpace, labels: Labels) -> None:
    """Classes that `class_weighting` names must be there; their numbers are not known yet."""
    for value in map(str, space.values("class_weighting")):
        class_weights(value, labels, [1] * len(labels))


def is_prepared(data: str) -> bool:
    """Whether `data` is the folder of a preprocessed set."""
    folder = Path(data).expanduser()
    return (folder / INDEX).is_file() and (folder / MANIFEST).is_file()


def place_of(data: str) -> str:
    """Where `data` lies: an absolute path or an address."""
    return data if "://" in data else str(Path(data).expanduser().resolve())


def taken_up(settings: RunSettings) -> tuple[str, Path]:
    """The study that `settings.resume` means: its name, and the file of the settings that it began with.

    Raises:
        StorageError: there is none.
    """
    storage = Storage.open(settings.storage)
    name = settings.study or newest_unfinished(storage.studies, place_of(settings.data))
    folder = storage.study(name)
    known_study(storage.studies, name)
    return name, folder / SETTINGS


def _check_continued(plan: Plan) -> None:
    """The study that is continued from is there, another one, and had the same objective."""
    name = plan.settings.continue_from
    if name is None:
        return
    if name == plan.study:
        raise SettingsError(f"A study can't continue from itself; '{name}' is taken up with --resume.")
    objective = known_study(plan.storage.studies, name).parts.get("search.objective", "unknown")
    if objective != plan.settings.search.objective:
        raise SettingsError(
            f"A study continues from one with the same objective; '{name}' had {objective}, this one has "
            f"{plan.settings.search.objective}: set search.objective={objective}."
        )


def _study(plan: Plan) -> str:
    """The study's name: of one that is there if it is taken up, else of none that is."""
    settings, storage = plan.settings, plan.storage
    if settings.resume:
        name = settings.study or newest_unfinished(storage.studies, plan.place)
        storage.study(name)
        return name
    name = settings.study or f"{folder_name(plan.name)}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"
    if (storage.study(name) / JOURNAL).exists():
        raise StorageError(
            f"A study named '{name}' is in {storage.root} already: take it up with --resume, or choose another name "
            "with --study."
        )
    return name


def _check_size(settings: RunSettings) -> None:
    """Each backbone has a size of its own: who gives one for preprocess alone would be surprised."""
    given, own = settings.preprocess.image_size, PreprocessSettings().image_size
    if given != own and settings.search.image_size is None:
        raise SettingsError(
            f"The pictures of a search have the size that search.image_size (--image-size) says, else the backbone's "
            f"own; received preprocess.image_size={given}: say it there."
        )


def _size(name: str, text: str, own: Size | None, channels: int) -> Size:
    """In pixels; `own` is that of the preprocessed set, where one was given."""
    if name != SCRATCH and not is_bundled(name) and name not in BACKBONES:
        known = [SCRATCH, *BACKBONES]
        raise SettingsError(
            f"A backbone is '{SCRATCH}', an architecture of Keras or bundle:PATH; received '{name}'"
            f"{ending(name, known)}"
        )
    entry = None if name == SCRATCH else find_backbone(name)
    native = entry.native_size if entry else SCRATCH_SIZE
    try:
        size = parse_size((own or native) if text == "native" else text)
    except ValueError as error:
        raise SettingsError(f"The search space's image size can't be used: {error}.") from error
    if own and size != own:
        raise SettingsError(
            f"The pictures of this preprocessed set are {own} pixels; received the image size {size}: leave it out, or "
            "preprocess the pictures at that size."
        )
    if entry:  # the network from scratch takes whatever is a size
        entry.check_pictures(size, channels)
    return size

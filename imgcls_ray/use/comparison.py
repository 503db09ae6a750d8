"""The table of architectures: what trials of several studies, and finished models, came to, side by side."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from imgcls_ray.bundle.archive import WEIGHTS, check_archive
from imgcls_ray.bundle.bundle import card_of
from imgcls_ray.bundle.files import MODEL, is_bundle, verify_files
from imgcls_ray.bundle.stored import stored
from imgcls_ray.config import TrialSettings
from imgcls_ray.errors import ModelError, SettingsError, StorageError, ending
from imgcls_ray.search.journal import ASKED, JOURNAL, RESULT, class_count, noted_outcome, read_study
from imgcls_ray.search.record import read_record
from imgcls_ray.search.second import LATENCIES, architecture
from imgcls_ray.storage import Storage
from imgcls_ray.tracking.registry import SCHEME, resolve

Order = Literal["val_accuracy", "val_loss", "parameters", "seconds"]
FLOAT_MB = 4e-6
"""Of a weight, in 10^6 bytes."""


@dataclass(frozen=True)
class Compared:
    """A line of the table; None is what is not known."""

    source: str
    """The study, or the model as it was given."""
    trial: int | None
    """Of a study; None for a model, and for the ensemble that a study registered."""
    architecture: str
    head: str
    parameters: int | None
    """Weights of the whole network, trained or not; None where its backbone is gone."""
    size_mb: float | None
    """Of these weights, in 10^6 bytes."""
    val_loss: float
    val_accuracy: float
    test_accuracy: float | None
    """Of what the study registered."""
    seconds: float | None
    """Of the trial's training."""
    ms: float | None
    """One picture on one CPU, where the study measured that."""
    data: str
    fingerprint: str
    """Of the pictures, their classes and splits, and how they were read."""


@dataclass(frozen=True)
class Comparison:
    """The table."""

    rows: tuple[Compared, ...]
    unreadable: tuple[str, ...] = ()
    """Studies of the storage whose journals, or whose ensembles, could not be read."""

    @property
    def warning(self) -> str | None:
        """That lines were measured on different pictures, or are missing; None where all is well."""
        places = {(row.fingerprint, row.data): row.source for row in self.rows}
        named = ", ".join(f"{data} {fingerprint[:8]} ({source})" for (fingerprint, data), source in places.items())
        found = []
        if len({fingerprint for fingerprint, _ in places}) > 1:
            found.append(
                f"These figures were measured on different pictures, splits or image sizes: {named}. A difference "
                "between lines of different data need not be one between their networks."
            )
        if self.unreadable:
            found.append(f"Left out, as they can't be read: {', '.join(self.unreadable)}.")
        return " ".join(found) or None

    def to_json(self) -> dict[str, Any]:
        """The document of `imgcls compare --json`."""
        return {"rows": [asdict(row) for row in self.rows], "warning": self.warning}


def compare(names: Sequence[str], storage: Path, every: bool = False, order: Order = "val_accuracy") -> Comparison:
    """Studies and models by name, all studies of the storage without one; the best line first.

    Of trials of one architecture on the same data the one with the highest validation accuracy is listed, of equal ones
    that with the lower loss; `every` lists all. TensorFlow is loaded, to count weights by the networks' shapes.

    Raises:
        StorageError: a study can't be found or read, or there is none.
        ModelError: a model can't be found or read.
    """
    root = Storage(storage)
    rows: list[Compared] = []
    unreadable = []
    for name in names or _studies(root):
        try:
            rows += _of_model(name, storage) if _is_model(name, root) else _of_study(name, root)
        except (StorageError, ModelError):
            if names:
                raise
            unreadable.append(name)
    if not rows:
        raise StorageError(f"No trial of {', '.join(names) or 'any study'} in {storage} has a score to compare yet.")
    ranked = sorted(rows, key=lambda row: (-row.val_accuracy, row.val_loss))
    best: dict[object, Compared] = {}
    for row in ranked:
        key = (row.architecture, row.fingerprint) if row.trial is not None and not every else id(row)
        best.setdefault(key, row)
    kept = best.values()
    return Comparison(tuple(sorted(kept, key=lambda row: _place(row, order))), tuple(unreadable))


def _place(row: Compared, order: Order) -> tuple[bool, float]:
    value = getattr(row, order)
    return (value is None, -value if order == "val_accuracy" else value or 0.0)


def _studies(root: Storage) -> list[str]:
    found = sorted(path.parent.name for path in root.studies.glob(f"*/{JOURNAL}"))
    if not found:
        raise StorageError(f"There is no study in {root.root}: run one first, or name the folder with --storage.")
    return found


def _is_model(name: str, root: Storage) -> bool:
    """Whether a name means a model; one that means neither is refused.

    Raises:
        SettingsError: it is no study either.
    """
    if name.startswith(SCHEME) or is_bundle(Path(name).expanduser()):
        return True
    try:
        if (root.study(name) / JOURNAL).is_file():
            return False
    except SettingsError as error:
        raise SettingsError(f"{_WHAT}; received '{name}', which is neither.") from error
    if read_record(root.studies / name) is not None:
        raise StorageError(f"The study '{name}' has no trial with a score to compare yet: take it up with --resume.")
    known = [path.parent.name for path in root.studies.glob(f"*/{JOURNAL}")]
    raise SettingsError(f"{_WHAT}; there is neither by the name '{name}' in {root.root}{ending(name, known)}")


_WHAT = "Compared are studies by name, and models as a bundle's folder or models:/NAME@ALIAS"


def _of_study(name: str, root: Storage) -> list[Compared]:
    folder = root.study(name)
    from imgcls_ray.training.footprint import parameters_of

    study = read_study(folder, name)
    data = study.user_attrs.get(ASKED, {}).get("data", {})
    result = study.user_attrs.get(RESULT, {})
    joined = (result.get("ensemble") or {}).get("accepted", False)
    noted = result.get("parameters") or {}
    shape = (class_count(data), int(data.get("channels", 3)))
    latencies = json.loads((folder / LATENCIES).read_text()) if (folder / LATENCIES).is_file() else {}
    rows = _joined(name, root.bundle(result.get("bundle", name)), root) if joined else []
    for outcome in filter(None, map(noted_outcome, study.get_trials(deepcopy=False))):
        if outcome.state == "failed" or not outcome.metrics:
            continue
        used = outcome.number == result.get("used") and not joined
        number = str(outcome.number)
        parameters = noted[number] if number in noted else parameters_of(outcome.params, *shape)
        rows.append(
            Compared(
                source=name,
                trial=outcome.number,
                architecture=described(outcome.params),
                head=head_of(outcome.params),
                parameters=parameters,
                size_mb=None if parameters is None else FLOAT_MB * parameters,
                val_loss=outcome.metrics["val_loss"],
                val_accuracy=outcome.metrics["val_accuracy"],
                test_accuracy=result.get("test", {}).get("accuracy") if used else None,
                seconds=outcome.seconds,
                ms=latencies.get(architecture(outcome.params)),
                data=data.get("name", "unknown"),
                fingerprint=data.get("fingerprint", "unknown"),
            )
        )
    return rows


def _joined(name: str, path: Path, root: Storage) -> list[Compared]:
    """The line of a study's ensemble, while its bundle lies where the study put it."""
    if not is_bundle(path) or not card_of(path).members:
        return []
    return [replace(row, source=name) for row in _of_model(str(path), root.root)]


def _of_model(name: str, storage: Path) -> list[Compared]:
    """A bundle's line, from its card; its network is not built."""
    path = resolve(name, storage)
    verify_files(path)
    check_archive(path / MODEL)
    card = card_of(path)
    try:
        settings = TrialSettings.model_validate(card.settings)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ModelError(
            f"The card of the bundle at {path} has settings that this version does not know "
            f"({'.'.join(map(str, fault['loc']))}: {fault['msg'].lower()}): compare it with the version that made it."
        ) from error
    parameters = _stored(path / MODEL)
    head = f"{len(card.members)} heads averaged" if card.members else head_of(settings)
    return [
        Compared(
            source=name,
            trial=None,
            architecture=f"ensemble on {described(settings)}" if card.members else described(settings),
            head=head,
            parameters=parameters,
            size_mb=FLOAT_MB * parameters,
            val_loss=card.metrics.get("val_loss_before", card.metrics["val_loss"]),
            val_accuracy=card.metrics["val_accuracy"],
            test_accuracy=card.metrics.get("test_accuracy"),
            seconds=None,
            ms=card.metrics.get("latency_ms"),
            data=card.data_name,
            fingerprint=card.data_fingerprint,
        )
    ]


def described(settings: TrialSettings) -> str:
    """A trial's network up to its head, in words."""
    trained = settings.unfrozen_layers
    return architecture(settings) + (f", last {trained} layers trained" if trained else "")


def head_of(settings: TrialSettings) -> str:
    """Its head, in words."""
    if settings.head != "custom":
        return settings.head
    parts = []
    if settings.head_layers:
        parts.append(f"{settings.head_layers} x {settings.head_width} {settings.activation}")
    if settings.batch_norm:
        parts.append("batch norm")
    if settings.dropout:
        parts.append(f"dropout {settings.dropout:.2g}")
    return ", ".join(parts) or "softmax alone"


def _stored(file: Path) -> int:
    """Weights in a `.keras` file that was checked."""
    import h5py

    sizes: list[int] = []

    def note(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and np.issubdtype(item.dtype, np.floating):
            sizes.append(int(item.size))

    with zipfile.ZipFile(file) as archive, stored(archive, WEIGHTS) as part, h5py.File(part, "r") as weights:
        weights.visititems(note)
    return sum(sizes)

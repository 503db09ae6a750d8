"""A bundle: one folder with all that is needed to answer for a model, verified before it is used."""

import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ValidationError

from imgcls_ray.bundle import engines
from imgcls_ray.bundle.archive import check_archive
from imgcls_ray.bundle.card import Card
from imgcls_ray.bundle.files import (
    CALIBRATION,
    CARD,
    CARD_PAGE,
    GOLDEN,
    LABELS,
    MODEL,
    PIXELS,
    PROGRAM,
    REFERENCE,
    is_bundle,
    read_golden,
    read_json,
    verify_files,
    write_checksums,
    write_golden,
    write_json,
)
from imgcls_ray.data.files import storing
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps, decode
from imgcls_ray.errors import ImageError, ModelError, StorageError
from imgcls_ray.inference.calibration import Calibration
from imgcls_ray.inference.reference import Reference

if TYPE_CHECKING:
    import keras

    from imgcls_ray.inference.base import EngineChoice, EngineName, Precision
    from imgcls_ray.inference.engine import Engine

__all__ = ["Bundle", "Card", "is_bundle", "load_bundle", "write_bundle"]

TOLERANCE = 1e-5
"""How far a golden probability may be from the one in the bundle: processors round differently by about 1e-6."""
TOLERANCES: "dict[Precision, float]" = {"float32": TOLERANCE, "bfloat16": 0.02}
"""The same by the precision that the bundle has chosen to be answered in."""


@dataclass(frozen=True)
class Bundle:
    """A verified model with its labels and its pixel operations. Safe to use from several threads."""

    path: Path
    labels: Labels
    pixels: PixelOps
    card: Card
    engine: "Engine"
    calibration: Calibration = Calibration()  # noqa: RUF009 - it can't be changed
    reference: Reference | None = None
    """What a service compares its pictures with; the engine then gives out features too."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Calibrated probabilities (n, K) float32 for pictures (n, H, W, C) uint8 as `pixels` says.

        Raises:
            ModelError: other shapes or types.
        """
        # A part of the rows would keep all of them, which may hold a thousand features each.
        return np.ascontiguousarray(self._rows(images)[:, : len(self.labels)])

    def predict_bytes(self, files: list[bytes]) -> "list[np.ndarray | ImageError]":
        """Probabilities (K,) for each encoded picture, or why it can't be decoded, in the order of `files`."""
        rows = self.answers_of(self.decoded(files))
        return [row if isinstance(row, ImageError) else row[: len(self.labels)] for row in rows]

    def decoded(self, files: list[bytes]) -> "list[np.ndarray | ImageError]":
        """Each encoded picture (H, W, C) uint8 as `pixels` says, or why it can't be decoded."""
        found: list[np.ndarray | ImageError] = []
        for data in files:
            try:
                found.append(decode(data, self.pixels))
            except ImageError as error:
                found.append(error)
        return found

    def answers_of(self, decoded: "list[np.ndarray | ImageError]") -> "list[np.ndarray | ImageError]":
        """A row (K + F,) for each picture that `decoded` gave; where it gave an error, that.

        A row is its K probabilities, and behind them the F features that its reference statistics are of, if any.
        """
        images = [item for item in decoded if isinstance(item, np.ndarray)]
        rows = iter(self._rows(np.stack(images)) if images else ())
        return [item if isinstance(item, ImageError) else next(rows) for item in decoded]

    def _rows(self, images: np.ndarray) -> np.ndarray:
        """(n, K + F): see `answers_of`."""
        rows, classes = self.engine.predict(images), len(self.labels)
        if self.calibration.temperature != 1:
            rows[:, :classes] = self.calibration.apply(rows[:, :classes])
        return rows

    def network(self) -> "keras.Model":
        """The Keras network itself, pixels in and uncalibrated probabilities out, as `explain` takes it.

        That of TensorFlow's engine; of another engine it is checked and loaded from the bundle anew, which costs what
        `load_bundle` does.

        Raises:
            ModelError: a check of the bundle fails.
        """
        from imgcls_ray.inference.engine import TensorFlowEngine
        from imgcls_ray.models.pooled import without_features

        engine = self.engine
        if not isinstance(engine, TensorFlowEngine):
            engine = load_bundle(self.path, engine="tensorflow").engine
        return without_features(engine.model)  # type: ignore[attr-defined]

    def ranked(self, probabilities: np.ndarray) -> list[dict[str, Any]]:
        """`[{"label", "probability"}, ...]` for one picture's (K,) probabilities, highest first."""
        order = np.argsort(-probabilities, kind="stable")
        return [{"label": self.labels.names[i], "probability": float(probabilities[i])} for i in order]

    def decision(self, probabilities: np.ndarray) -> Literal["sure", "unsure"]:
        """Whether one picture's (K,) calibrated probabilities are enough for an answer at the bundle's risk."""
        best = int(probabilities.argmax())
        return "sure" if probabilities[best] >= self.calibration.threshold_of(self.labels.names[best]) else "unsure"


def write_bundle(
    path: Path,
    model: "keras.Model",
    labels: Labels,
    pixels: PixelOps,
    card: Card,
    golden: np.ndarray,
    calibration: Calibration = Calibration(),  # noqa: B008 - it can't be changed
    reference: Reference | None = None,
    portable: bool = False,
) -> Bundle:
    """Write a bundle to the new folder `path`, all or nothing, and load it once to prove that it can be.

    `model` takes (n, H, W, C) 0-255 and gives probabilities (n, K), made of stock layers only. `golden` (g, H, W, C)
    uint8 are pictures whose probabilities every later load has to repeat; at least one. With `portable`, and where
    OpenVINO is installed and can read the network, the bundle holds it in that form too: what answers on a CPU then
    needs no TensorFlow.

    Raises:
        StorageError: `path` exists already or can't be written.
        ModelError: model, labels, pixels and golden pictures do not fit each other.
    """
    from imgcls_ray.inference.engine import load_engine
    from imgcls_ray.models.pooled import with_features

    if len(golden) == 0:
        raise ModelError("A bundle needs at least one golden picture to be checked with; there is none.")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StorageError(f"A bundle is written to a new folder; {path} exists already: choose another name.")
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    with storing(path):
        try:
            draft.mkdir(parents=True)
            _without_training(model).save(draft / MODEL)
            write_json(draft / LABELS, labels.to_json())
            write_json(draft / PIXELS, pixels.to_json())
            write_json(draft / CALIBRATION, calibration.to_json())
            if reference:
                write_json(draft / REFERENCE, reference.to_json())
            write_json(draft / CARD, card.model_dump(mode="json"))
            (draft / CARD_PAGE).write_text(card.to_markdown(labels.names, calibration), encoding="utf-8")
            write_golden(draft / GOLDEN, golden, calibration.apply(load_engine(model).predict(golden)))
            if portable:
                taps = with_features(model) if reference and reference.mean else None
                engines.write_program(draft, taps or model)
            write_checksums(draft)
            bundle = load_bundle(draft, engine="tensorflow")
            if (draft / PROGRAM).is_file() or card.inference.engine == "openvino":
                bundle = load_bundle(draft)
            draft.rename(path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)  # made in this call
            raise
    return replace(bundle, path=path)


def load_bundle(path: Path, threads: int = 1, engine: "EngineChoice" = "auto") -> Bundle:
    """Verify the bundle in the folder `path`, then load it into an engine: see `engines.engine_of`.

    `threads` are OpenVINO's; TensorFlow's are set before it starts.

    Before anything of the model is built: the files and their checksums, the labels' digest, and that the model file
    names stock layers only. Then the shapes and the golden pictures' probabilities.

    Raises:
        ModelError: the first check that fails.
        SettingsError: the card asks for an engine or a precision that is not here.
    """
    verify_files(path)
    try:
        labels = Labels.from_json(read_json(path / LABELS))
        pixels = PixelOps.from_json(read_json(path / PIXELS))
        calibration = Calibration.from_json(read_json(path / CALIBRATION))
        reference = Reference.from_json(read_json(path / REFERENCE)) if (path / REFERENCE).is_file() else None
    except (ValueError, TypeError) as error:
        raise ModelError(f"The bundle at {path} can't be used: {error}.") from error
    card = card_of(path)
    images, scores = read_golden(path / GOLDEN)
    if images.shape[1:] != pixels.shape or scores.shape[1:] != (len(labels),):
        raise ModelError(f"The golden pictures of the bundle at {path} do not fit its pixels.json and labels.json.")
    if reference and len(reference.labels) != len(labels):
        raise ModelError(f"{REFERENCE} of the bundle at {path} does not fit its labels.json.")
    check_archive(path / MODEL)
    features = len(reference.mean) if reference else 0
    form = engines.Form(pixels.shape, len(labels), features)
    loaded = engines.load(path, form, card.inference, engine, threads)
    bundle = Bundle(path, labels, pixels, card, loaded, calibration, reference)
    gap = float(np.max(np.abs(bundle.predict(images) - scores), initial=0.0))
    tolerance = TOLERANCES[loaded.precision]
    if not gap <= tolerance:
        raise ModelError(
            f"The model at {path} no longer gives the probabilities it was saved with: its golden pictures differ by "
            f"{gap:.1e}, allowed is {tolerance:.0e}; use the versions its card names."
        )
    return bundle


def answered_by(path: Path) -> "EngineName":
    """Which engine `load_bundle` would take for the bundle at `path`; loads none.

    Raises:
        ModelError: it has no card.
    """
    return engines.engine_of(path, card_of(path).inference, "auto")


def card_of(path: Path) -> Card:
    """The card of the bundle at `path`.

    Raises:
        ModelError: it has none that this version can read.
    """
    try:
        return Card.model_validate(read_json(path / CARD))
    except (ValidationError, OSError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise ModelError(f"{CARD} of the bundle at {path} is no card: {reason}.") from error


def _without_training(model: "keras.Model") -> "keras.Model":
    """The same network without optimiser and loss: a bundle answers, it does not train."""
    import keras

    return keras.Model(model.input, model.output, name=model.name) if model.compiled else model

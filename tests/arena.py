"""Two or more tiny models in a registry, and a preprocessed set with test pictures to compare them on. No Ray."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from imgcls_ray.bundle.bundle import Bundle, write_bundle
from imgcls_ray.bundle.card import Card
from imgcls_ray.config import RunSettings, TrackingSettings
from imgcls_ray.config.saving import write_settings
from imgcls_ray.data.index import Index, ShardEntry, digest, write_index
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import ManifestRow, write_manifest
from imgcls_ray.data.pixels import PixelOps, decode
from imgcls_ray.data.png import png_of
from imgcls_ray.data.shards import shard_format
from imgcls_ray.data.sources import Split
from imgcls_ray.search.listener import StudyInfo
from imgcls_ray.search.record import RESULT, StudyRecord
from imgcls_ray.tracking.registry import register
from imgcls_ray.tracking.tracker import Tracker

from .conftest import picture

LABELS = Labels.of(["daisy", "rose", "tulip"])
OPS = PixelOps(16, 24, "color")
SIZES: tuple[tuple[Split, int], ...] = (("train", 30), ("val", 12), ("test", 60))


class Arena:
    """A storage root with the pictures, their set, and a study on it; models are added by `enter`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pictures, self.set = root.parent / "flowers", root / "data" / "flowers-1"
        self.rows = self._write_pictures()
        self.index = self._write_set(self.set, self.rows)
        self.add_study("first", self.set)

    def add_study(self, name: str, folder: Path) -> None:
        """What a finished study leaves that is asked for here."""
        study = self.root / "studies" / name
        StudyRecord(name, str(self.pictures), 3, {}).write(study)
        settings = RunSettings(data=str(self.pictures), storage=str(self.root), study=name)
        write_settings(study / "settings.yaml", settings)
        (study / RESULT).write_text(json.dumps({"data": str(folder)}))

    def enter(
        self, model: keras.Model, study: str = "first", ops: PixelOps = OPS, created: str = "2026-01-01"
    ) -> Bundle:
        """Write the model's bundle and register it: as the next version, the candidate."""
        place = self.root / "bundles" / f"{study}-{len(list(self.root.glob('bundles/*')))}"
        card = Card(
            name="flowers",
            study=study,
            settings={},
            metrics={},
            data_name="flowers",
            data_fingerprint=self.index.fingerprint,
            counts={},
            created=created,
        )
        golden = np.stack([picture(label, 900, (ops.height, ops.width)) for label in range(3)])
        place.parent.mkdir(exist_ok=True)
        bundle = write_bundle(place, model, LABELS, ops, card, golden)
        with Tracker(self.root, TrackingSettings()) as tracker:
            tracker.listener().study_started(StudyInfo(study, 3, {}, {}))
            register(tracker, bundle.path, "flowers", tracker.run_id)
        return bundle

    def _write_pictures(self) -> dict[Split, list[tuple[str, str, bytes]]]:
        rows: dict[Split, list[tuple[str, str, bytes]]] = {}
        number = 0
        for split, count in SIZES:
            rows[split] = []
            for _ in range(count):
                label = LABELS.names[number % 3]
                data = png_of(picture(number % 3, number))
                path = self.pictures / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                rows[split].append((f"{label}/{number}.png", label, data))
                number += 1
        return rows

    def _write_set(self, folder: Path, found: dict[Split, list[tuple[str, str, bytes]]]) -> Index:
        folder.mkdir(parents=True)
        shards, rows = [], []
        for split, pictures in found.items():
            file = folder / f"{split}-00000.h5"
            images = np.stack([decode(data, OPS) for _, _, data in pictures])
            labels = np.array([LABELS.index(label) for _, label, _ in pictures])
            keys = tuple(path for path, _, _ in pictures)
            shard_format("hdf5").write(file, images, labels, keys, LABELS.names)
            shards.append(ShardEntry(file.name, split, len(labels), file.stat().st_size, digest(file)))
            for number, (path, label, data) in enumerate(pictures):
                sha256 = hashlib.sha256(data).hexdigest()
                rows.append(
                    ManifestRow(path, label, split, sha256, 32, 24, len(data), "used", shard=file.name, row=number)
                )
        counts: dict[Split, list[int]] = {"train": [], "val": [], "test": []}
        manifest = write_manifest(folder, rows)
        index = Index(LABELS, OPS, "hdf5", "a" * 64, "flowers", tuple(shards), counts, manifest)
        write_index(folder, index)
        return index

    def add_set(self, rows: dict[Split, list[tuple[str, str, bytes]]], fingerprint: str) -> Path:
        """Another preprocessed set, of which the models that come next are made."""
        folder = self.root / "data" / f"flowers-{fingerprint[:8]}"
        self.index = replace(self._write_set(folder, rows), fingerprint=fingerprint)
        write_index(folder, self.index)
        return folder

    def other_fingerprint(self, fingerprint: str) -> None:
        """The set got new pictures: it is no longer what the models so far were made from."""
        self.index = replace(self.index, fingerprint=fingerprint)
        write_index(self.set, self.index)


def fitted_model(ops: PixelOps = OPS, wrong: float = 0.0, slow: int = 0, seed: int = 0) -> keras.Model:
    """A network that knows the pictures: linear in means over blocks, found by least squares.

    `wrong` is noise on its weights, in their own size; `slow` wide layers in front change nothing but the time.
    """
    step = (ops.height // 4, ops.width // 6)
    inputs = keras.Input(ops.shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    for _ in range(slow):
        x = keras.layers.Conv2D(256, 3, padding="same", kernel_initializer=keras.initializers.Constant(0.0))(x)
        x = keras.layers.Conv2D(3, 3, padding="same", kernel_initializer=keras.initializers.Constant(0.0))(x)
    if slow:
        x = keras.layers.Add()([keras.layers.Rescaling(1 / 255)(inputs), x])
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(step)(x))
    outputs = keras.layers.Dense(3, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    images = np.stack([picture(n % 3, 10_000 + n, (ops.height, ops.width)) for n in range(150)]) / 255
    means = images.reshape(150, 4, step[0], 6, step[1], 3).mean(axis=(2, 4)).reshape(150, -1)
    truth = np.eye(3)[np.arange(150) % 3]
    known = np.hstack([means, np.ones((150, 1))])
    weights = 12 * np.linalg.solve(known.T @ known + 0.1 * np.eye(known.shape[1]), known.T @ truth)
    weights += wrong * np.abs(weights).mean() * np.random.default_rng(seed).normal(size=weights.shape)
    model.layers[-1].set_weights([weights[:-1], weights[-1]])
    return model

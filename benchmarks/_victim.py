"""A service to be hurt: three versions of a small network in a registry, and `imgcls serve` as a process of its own."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from _servers import end
from PIL import Image

NAME, VERSIONS = "faults", (1, 2, 3)
"""Three versions, as a replica keeps the one before: among three, each move loads."""
_SERVE = """
import os, sys
from serve.run import run
from serve.settings import ServeSettings
ready = int(sys.argv[2])
settings = ServeSettings.model_validate_json(sys.argv[1])
run(settings, lambda running: os.write(ready, running.url.encode() + b"\\n"), port=0)
"""


@dataclass(frozen=True)
class Service:
    """A service that answers."""

    url: str
    process: psutil.Process
    root: Path
    """Its storage root, with the registry."""

    def replicas(self) -> list[psutil.Process]:
        """The processes that classify, the eldest first."""
        found = []
        for each in self.process.children(recursive=True):
            try:
                if "ServeReplica" in (line := " ".join(each.cmdline())) and "Classifier" in line:
                    found.append((each.create_time(), each))
            except psutil.NoSuchProcess:
                continue  # it has ended
        return [each for _, each in sorted(found, key=lambda pair: pair[0])]

    def memory(self) -> float:
        """MB of the replicas together."""
        total = 0
        for each in self.replicas():
            try:
                total += each.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total / 1e6


@contextmanager
def served(root: Path, **settings: float) -> Iterator[Service]:
    """`imgcls serve` of the champion, with settings that are no options of it."""
    asked = {"model": f"models:/{NAME}@champion", "storage": str(root), "explain": False} | settings
    reading, writing = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", _SERVE, json.dumps(asked), str(writing)], pass_fds=[writing])
    os.close(writing)
    try:
        with os.fdopen(reading) as ready:
            url = ready.readline().strip()
        if not url:
            raise RuntimeError(f"The service ended with {process.wait()} before it answered; what it said is above.")
        yield Service(url, psutil.Process(process.pid), root)
    finally:
        end(process)


def picture(width: int, height: int) -> bytes:
    """A JPEG of coarse noise."""
    grain = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(grain).resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def write(root: Path) -> None:
    """The versions, in a registry under `root`: each with labels and weights of its own; the first is the champion."""
    from imgcls_ray import quiet

    quiet.import_tensorflow()
    import keras

    from imgcls_ray.bundle.bundle import write_bundle
    from imgcls_ray.bundle.card import Card
    from imgcls_ray.config import Size, TrackingSettings, TrialSettings
    from imgcls_ray.data.labels import Labels
    from imgcls_ray.data.pixels import PixelOps
    from imgcls_ray.models.network import build_cnn
    from imgcls_ray.search.listener import StudyInfo
    from imgcls_ray.tracking.registry import register
    from imgcls_ray.tracking.tracker import Tracker

    counts = {"found": 0, "used": 0, "rejected": 0}
    golden = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3), dtype=np.uint8)
    with Tracker(root, TrackingSettings()) as tracker:
        tracker.listener().study_started(StudyInfo(NAME, 3, {}, {}))
        for version in VERSIONS:
            keras.utils.set_random_seed(version)
            model = build_cnn(TrialSettings(cnn_blocks=2, cnn_width=16), Size(96, 96), 3, 3)
            labels = Labels(tuple(f"v{version} {letter}" for letter in "abc"))
            card = Card(
                name=NAME,
                study=NAME,
                settings={},
                metrics={},
                data_name="none",
                data_fingerprint=f"{version:064}",
                counts=counts,
            )
            path = root / "bundles" / str(version)
            path.parent.mkdir(exist_ok=True)
            write_bundle(path, model, labels, PixelOps(96, 96, "color"), card, golden, portable=True)
            register(tracker, path, NAME, tracker.run_id)
        tracker.client.set_registered_model_alias(NAME, "champion", "1")

"""A study whose trials only pretend to train: no TensorFlow, some ms an epoch, values that follow from the settings.

With data the same trials are trained.
"""

import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import ray

from imgcls_ray.config import SearchSettings, Size
from imgcls_ray.search.journal import sole_driver
from imgcls_ray.search.listener import StudyInfo, StudyListener, StudyOutcome
from imgcls_ray.search.parameters import Choice, Fixed, Float
from imgcls_ray.search.resources import TrialResources
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.search.study import Study, run_study
from imgcls_ray.search.trainable import TrialContext, TrialTrainable
from imgcls_ray.training.job import TrialData, TrialJob
from imgcls_ray.training.runner import Runner

EPOCHS = 6
PID = "worker.pid"
"""The number of the process that trains, in the study's folder."""
SPACE = SearchSpace(
    parameters={
        "dropout": Float(type="float", low=0, high=0.5, default=0.25),
        "learning_rate": Float(type="float", low=1e-4, high=1e-1, log=True, default=1e-3),
        "optimizer": Choice(type="choice", values=["adam", "sgd"], default="adam"),
        "epochs": Fixed(value=EPOCHS),
    }
)


class Pretender(Runner):
    """Its state is a number that each epoch adds to: who goes on from a wrong one reports wrong values."""

    state = 0.0

    def start_trial(self, job: TrialJob) -> None:
        settings = job.settings
        self.step = 1 / (2 + abs(math.log10(settings.learning_rate) + 2.5) + settings.dropout)
        self.state = 0.0 if settings.optimizer == "adam" else 0.1
        if job.start is not None:
            self.state += float(job.start)

    def train_epoch(self) -> dict[str, float]:
        time.sleep(0.02)
        self.state += self.step / EPOCHS
        value = min(self.state, 1.0)
        names = ("loss", "val_loss", "learning_rate", "seconds")
        return {**dict.fromkeys(names, 1 - value), "accuracy": value, "val_accuracy": value}

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(self.state))

    def load(self, path: Path) -> None:
        self.state = float(path.read_text())

    def save_weights(self, path: Path) -> None:
        self.save(path)

    def close(self) -> None:
        """Nothing is held."""


class PretendedTrainable(TrialTrainable):
    """Trains with a `Pretender`."""

    def setup(self, config: dict[str, Any], context: TrialContext) -> None:
        self._context, self._runner = context, Pretender()
        (context.folder / PID).write_text(str(os.getpid()))
        self._take(config)


class WatchedTrainable(TrialTrainable):
    """Trains in earnest, and says in which process."""

    def setup(self, config: dict[str, Any], context: TrialContext) -> None:
        (context.folder / PID).write_text(str(os.getpid()))
        super().setup(config, context)


def run(
    folder: Path,
    trials: int,
    listener: StudyListener | None = None,
    every: float = 0,
    concurrency: int = 1,
    data: Path | None = None,
) -> StudyOutcome:
    """Run the study in `folder`, or take it up; `data` is a set of three classes at 8 pixels. Ray must run."""
    study = Study(
        info=StudyInfo("s", trials, {}, {}),
        folder=folder,
        space=SPACE,
        settings=SearchSettings(trials=trials, checkpoint_seconds=every),
        data={("cnn", "native"): TrialData(data or folder, Size(8, 8), 3, 3)},
        resources=TrialResources(concurrency, 1, 1, 0),
        validation=100,
        trainable=WatchedTrainable if data else PretendedTrainable,
    )
    with sole_driver(folder):
        return run_study(study, listener or StudyListener())


if __name__ == "__main__":
    address, place, trials, every, concurrency, *data = sys.argv[1:]
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    from tests.search import pretended  # by its name, so that the actors find it

    pictures = Path(data[0]) if data else None
    pretended.run(Path(place), int(trials), every=float(every), concurrency=int(concurrency), data=pictures)

"""What a trial asks of whoever trains it: the actor itself, or a gang of workers. Both outlive their trials."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from imgcls_ray.training.allreduce import AllReduce
from imgcls_ray.training.job import TrialJob

if TYPE_CHECKING:  # who drives a gang needs no TensorFlow
    from imgcls_ray.training.loop import Loop
    from imgcls_ray.training.warm import Warm


class Runner(ABC):
    """Trains one job after another."""

    @abstractmethod
    def start_trial(self, job: TrialJob) -> None:
        """Build the job's network; the one before is dropped."""

    @abstractmethod
    def train_epoch(self) -> dict[str, float]:
        """Train one epoch; see `Loop.train_epoch` for the metrics."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write what `load` needs to go on after this epoch."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same job."""

    @abstractmethod
    def save_weights(self, path: Path) -> None:
        """Write the network's weights alone."""

    @abstractmethod
    def close(self) -> None:
        """Give back everything that is held."""


class Solo(Runner):
    """Trains in this very process: alone, or as the part of a gang that `reduce` joins to the others."""

    def __init__(self, reduce: AllReduce | None = None) -> None:
        self._reduce = reduce
        self._warm: Warm | None = None
        self._loop: Loop | None = None

    def start_trial(self, job: TrialJob) -> None:
        from imgcls_ray.training.loop import Loop
        from imgcls_ray.training.network import build_network
        from imgcls_ray.training.warm import Warm

        self._warm = self._warm or Warm()
        network = build_network(job, self._warm.backbone(job))
        self._loop = Loop(job, network, self._warm.feed(job, "train"), self._warm.feed(job, "val"), self._reduce)

    @property
    def loop(self) -> "Loop":
        """The current trial's loop."""
        if self._loop is None:
            raise RuntimeError("start_trial comes first")
        return self._loop

    def train_epoch(self) -> dict[str, float]:
        return self.loop.train_epoch()

    def save(self, path: Path) -> None:
        self.loop.save(path)

    def load(self, path: Path) -> None:
        self.loop.load(path)

    def save_weights(self, path: Path) -> None:
        self.loop.save_weights(path)

    def close(self) -> None:
        self._loop = self._warm = None

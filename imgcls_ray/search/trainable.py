"""A trial as Tune runs it: an actor that trains one trial after another and stays warm between them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from imgcls_ray.config import TrialSettings
from imgcls_ray.errors import ImgclsError
from imgcls_ray.search.choice import standard_error
from imgcls_ray.training.job import TrialData, TrialJob, trial_seed

CHECKPOINT = "state.npz"


@dataclass(frozen=True)
class TrialContext:
    """What all trials of a study share."""

    folder: Path
    """The study's folder; the best weights of each trial go there."""
    seed: int
    data: Mapping[tuple[str, str], TrialData]
    """By backbone and image size, as the search space writes them."""
    workers: int
    cpus: float
    """CPUs of a trial, or of each of its workers."""
    gpus: float
    validation: int
    """Pictures in the validation split."""

    def job(self, settings: TrialSettings) -> TrialJob:
        """The job of a trial with these settings."""
        data = self.data[settings.backbone, settings.image_size]
        return TrialJob(settings, trial_seed(self.seed, settings), data)

    def weights_path(self, number: int) -> Path:
        """Where a trial leaves the weights of its best epoch."""
        return self.folder / "weights" / f"trial-{number:04}.npz"


class TrialTrainable(tune.Trainable):
    """One `step` is one epoch. Tune stops it between epochs and gives the actor the next trial's settings."""

    def setup(self, config: dict[str, Any], context: TrialContext) -> None:
        """Start whoever trains, once for all trials of this actor."""
        self._context = context
        if context.workers > 1:
            from imgcls_ray.training.gang import Gang

            self._runner: Any = Gang(context.workers, context.folder, context.cpus, context.gpus)
        else:
            from imgcls_ray.inference.device import claim
            from imgcls_ray.training.runner import Solo

            claim(context.cpus)
            self._runner = Solo()
        self._take(config)

    def _take(self, config: dict[str, Any]) -> None:
        self._number = int(config["number"])
        self._settings = TrialSettings(**config["settings"])
        self._highest = 0.0
        self._epoch = 0
        self._started = self._has_failed = False

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self._take(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch; keep it if it is as good as any so far. A trial that can't go on says why and is done."""
        try:
            return self._train_epoch()
        except Exception as error:  # noqa: BLE001 - told as the trial's outcome; the study goes on
            lines = str(error).strip().splitlines() or [""]
            reason = f"{type(error).__name__}: {lines[-1]}" if not isinstance(error, ImgclsError) else str(error)
            return self._failed(reason)

    def _failed(self, reason: str) -> dict[str, Any]:
        self._has_failed = True
        return {"epoch": self._epoch, "val_accuracy": 0.0, "done": True, "reason": reason}

    def _train_epoch(self) -> dict[str, Any]:
        if not self._started:
            self._runner.start_trial(self._context.job(self._settings))
            self._started = True
        metrics = self._runner.train_epoch()
        self._epoch += 1
        result: dict[str, Any] = {**metrics, "epoch": self._epoch, "done": self._epoch >= self._settings.epochs}
        if not all(math.isfinite(metrics[name]) for name in ("loss", "val_loss")):
            return self._failed("the loss is no longer a number")
        if self._is_kept(metrics["val_accuracy"]):
            self._runner.save_weights(self._context.weights_path(self._number))
            result["kept"] = True
        return result

    def _is_kept(self, accuracy: float) -> bool:
        """Whether this epoch takes the place of the one kept: unless it is worse than the best by more than chance.

        The epoch with the highest accuracy on a small validation split is mostly a lucky one before the end, where a
        falling learning rate has not settled yet.
        """
        self._highest = max(self._highest, accuracy)
        return accuracy >= self._highest - standard_error(self._highest, self._context.validation)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the state after the last epoch; a trial that failed has none."""
        if self._has_failed:
            return
        self._runner.save(Path(checkpoint_dir) / CHECKPOINT)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from such a state."""
        self._runner.start_trial(self._context.job(self._settings))
        self._runner.load(Path(checkpoint) / CHECKPOINT)
        self._started = True

    def cleanup(self) -> None:
        """Give back the workers."""
        self._runner.close()

"""A trial as Tune runs it: an actor that trains one trial after another and stays warm between them."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray import tune

from imgcls_ray.config import TrialSettings
from imgcls_ray.errors import ImgclsError, TrainingError
from imgcls_ray.search.checkpoint import Progress, TrialCheckpoint
from imgcls_ray.search.objective import ACCURACY, Objective
from imgcls_ray.search.record import weights_file
from imgcls_ray.training.host import DIED
from imgcls_ray.training.job import TrialData, TrialJob, trial_seed
from imgcls_ray.training.patience import early_end

LIVES = 2
"""How often a trial whose process was killed starts again, from its checkpoint; after that it has failed."""


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
    objective: Objective = ACCURACY
    tuned: Mapping[tuple[str, str], TrialData] = field(default_factory=dict)
    """The same of the second stage's trials; empty where `data` is for such a trial, as for one that is repeated."""
    checkpoint_seconds: float = 2.0
    """Seconds of training after which a trial keeps how far it has come; see `TrialCheckpoint`."""
    seed_epochs: int | None = None
    """Epochs that a trial's seed follows from where these are not its own: of a trial that is trained for longer."""
    starts: Path | None = None
    """Folder of the study whose trials' heads its trials start from; its own by default."""

    def job(self, settings: TrialSettings) -> TrialJob:
        """The job of a trial with these settings."""
        place = (settings.backbone, settings.image_size)
        seeding = settings if self.seed_epochs is None else settings.model_copy(update={"epochs": self.seed_epochs})
        seed = trial_seed(self.seed, seeding)
        if settings.from_trial is None:
            return TrialJob(settings, seed, self.data[place])
        start = weights_file(self.starts or self.folder, settings.from_trial)
        return TrialJob(settings, seed, (self.tuned or self.data)[place], start.read_bytes())

    def weights_path(self, number: int) -> Path:
        """Where a trial leaves the weights of its best epoch."""
        return weights_file(self.folder, number)

    def checkpoint(self, number: int) -> TrialCheckpoint:
        """What a trial goes on from after a kill."""
        return TrialCheckpoint(self.folder / "checkpoints" / f"trial-{number:04}", self.checkpoint_seconds)


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

            claim(context.cpus, training=True)
            self._runner = Solo()
        self._take(config)

    def _take(self, config: dict[str, Any]) -> None:
        self._config, self._lives = config, LIVES
        self._number = int(config["number"])
        self._settings = TrialSettings(**config["settings"])
        self._best: float | None = None
        self._note: str | None = None
        self._epoch = 0
        self._started = False
        self._kept: dict[str, float] = {}
        self._checkpoint = self._context.checkpoint(self._number)
        self._began = time.monotonic()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self._take(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch; keep it if it is as good as any so far. A trial that can't go on says why and is done.

        A trial that runs out of memory starts again with half the batch, once. One that lost a worker of its gang goes
        on from its checkpoint with new workers, twice.
        """
        try:
            return self._train_epoch()
        except Exception as error:  # noqa: BLE001 - told as the trial's outcome; the study goes on
            if self._lives and is_lost_worker(error):
                mend = self._start_again
            elif self._note is None and self._settings.batch_size > 1 and is_out_of_memory(error):
                mend = self._halve
            else:
                return self._failed(_in_words(error))
        # Here, where the error and with it the frames that hold the network's arrays are gone.
        mend()
        return self.step()

    def _start_again(self) -> None:
        lives = self._lives - 1
        self._take(self._config)
        self._lives = lives

    def _halve(self) -> None:
        batch = self._settings.batch_size // 2
        self._note = f"out of memory, so the batch was halved to {batch}"
        self._settings = self._settings.model_copy(update={"batch_size": batch})
        self._epoch, self._best, self._started, self._kept = 0, None, False, {}
        self._checkpoint.remove()

    def _failed(self, reason: str) -> dict[str, Any]:
        objective = self._context.objective
        reason = f"{self._note}; {reason}" if self._note else reason
        return {"epoch": self._epoch, objective.metric: objective.worst(), "done": True, "reason": reason}

    def _train_epoch(self) -> dict[str, Any]:
        if not self._started:
            found = self._checkpoint.read()
            if found:
                return self._go_on(*found)
            self._runner.start_trial(self._context.job(self._settings))
            self._started = True
        metrics = self._runner.train_epoch()
        self._epoch += 1
        result: dict[str, Any] = {**metrics, "epoch": self._epoch, "done": self._epoch >= self._settings.epochs}
        if self._note:
            result |= {"note": self._note, "batch_size": self._settings.batch_size}
        metric = self._context.objective.metric
        if not all(math.isfinite(metrics[name]) for name in ("loss", "val_loss", metric)):
            return self._failed("the loss is no longer a number")
        if self._is_kept(metrics[metric]):
            self._runner.save_weights(self._context.weights_path(self._number))
            result["kept"] = True
            self._kept = metrics
        ended = early_end(self._settings, self._epoch, metrics)
        if ended and not result["done"]:
            result |= {"ended": ended, "done": True}
        if not result["done"] and self._checkpoint.due:
            weights = self._context.weights_path(self._number)
            self._checkpoint.write(self._progress(result), self._runner.save, weights)
        return result

    def _progress(self, result: dict[str, Any]) -> Progress:
        return Progress(
            epoch=self._epoch,
            settings=self._settings,
            result=result,
            kept=self._kept,
            best=self._best,
            note=self._note,
            seconds=time.monotonic() - self._began,
        )

    def _go_on(self, progress: Progress, arrays: Path) -> dict[str, Any]:
        """Take the trial up where a process that was killed left it, and report its last epoch once more."""
        self._settings, self._note = progress.settings, progress.note
        self._runner.start_trial(self._context.job(self._settings))
        self._runner.load(arrays)
        self._checkpoint.restore(progress, self._context.weights_path(self._number))
        self._epoch, self._best, self._kept = progress.epoch, progress.best, progress.kept
        self._began = time.monotonic() - progress.seconds
        self._started = True
        return {**progress.result, "best": progress.kept, "seconds_before": progress.seconds}

    def _is_kept(self, value: float) -> bool:
        """Whether this epoch takes the place of the one kept: unless it is worse than the best by more than chance.

        The epoch with the highest accuracy on a small validation split is mostly a lucky one before the end, where a
        falling learning rate has not settled yet. Where the objective's noise is not known only the best is kept.
        """
        objective = self._context.objective
        if self._best is None or objective.gain(value) > objective.gain(self._best):
            self._best = value
        return objective.gain(value) >= objective.gain(self._best) - objective.noise(
            self._best, self._context.validation
        )

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Tune asks for this before it gives the actor to another trial; what a trial goes on from is written above."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """See `save_checkpoint`."""

    def cleanup(self) -> None:
        """Give back the workers."""
        self._runner.close()


OUT_OF_MEMORY = frozenset({"ResourceExhaustedError", "MemoryError", "OutOfMemoryError"})
"""Of TensorFlow, Python (NumPy's is a subclass) and Ray, by name: who drives a gang loads no TensorFlow, and hears of
its workers' errors in words."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, says that there is not enough memory."""
    while error is not None:
        if any(kind.__name__ in OUT_OF_MEMORY for kind in type(error).__mro__):
            return True
        if isinstance(error, TrainingError) and any(name in str(error) for name in OUT_OF_MEMORY):
            return True
        error = error.__cause__
    return False


def is_lost_worker(error: BaseException) -> bool:
    """Whether a worker of the gang was killed; what went wrong inside of one would go wrong again."""
    return isinstance(error, TrainingError) and DIED in str(error)


def _in_words(error: Exception) -> str:
    if isinstance(error, ImgclsError):
        return str(error)
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[-1]}"

"""How long a metric has not got better, and what follows: a lower learning rate, or a trial's end."""

from dataclasses import dataclass

from imgcls_ray.config import TrialSettings

LEAST_GAIN = 1e-4
"""By how much a value must be lower to count, as in Keras' ReduceLROnPlateau."""


@dataclass
class Patience:
    """The lowest value so far and the epochs since."""

    lowest: float = float("inf")
    waited: int = 0

    def see(self, value: float) -> None:
        """An epoch's value; lower is better."""
        if value < self.lowest - LEAST_GAIN:
            self.lowest, self.waited = value, 0
        else:
            self.waited += 1


class Course:
    """What a trial has to remember from epoch to epoch, beside its variables."""

    def __init__(self, settings: TrialSettings) -> None:
        self._settings = settings
        self._plateau, self._stopping = Patience(), Patience()
        self.rate_scale = 1.0
        """What `plateau` has made of the learning rate."""

    def see(self, metrics: dict[str, float]) -> None:
        """The metrics of an epoch."""
        settings = self._settings
        if settings.schedule == "plateau":
            self._plateau.see(metrics["val_loss"])
            if self._plateau.waited >= settings.plateau_patience:
                self._plateau.waited = 0
                self.rate_scale *= settings.plateau_factor
        if settings.early_stopping:
            falls = settings.early_stopping_metric == "val_loss"
            self._stopping.see(metrics["val_loss"] if falls else -metrics["val_accuracy"])

    @property
    def stale_epochs(self) -> int:
        """Epochs since the last gain in `early_stopping_metric`; 0 where nobody asked."""
        return self._stopping.waited

    def numbers(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {
            "plateau_lowest": self._plateau.lowest,
            "plateau_waited": self._plateau.waited,
            "stopping_lowest": self._stopping.lowest,
            "stopping_waited": self._stopping.waited,
            "rate_scale": self.rate_scale,
        }

    def restore(self, numbers: dict[str, float]) -> None:
        """Go on from what `numbers` gave."""
        self._plateau = Patience(numbers["plateau_lowest"], int(numbers["plateau_waited"]))
        self._stopping = Patience(numbers["stopping_lowest"], int(numbers["stopping_waited"]))
        self.rate_scale = numbers["rate_scale"]


def early_end(settings: TrialSettings, epoch: int, metrics: dict[str, float]) -> str | None:
    """Why a trial ends after this epoch (from 1) though it has epochs left; None if it goes on."""
    if epoch == 1 and metrics["accuracy"] < settings.min_accuracy:
        return f"after one epoch its training accuracy was {metrics['accuracy']:.3f}, below {settings.min_accuracy:g}"
    if settings.early_stopping and metrics["stale_epochs"] >= settings.early_stopping:
        return f"no better {settings.early_stopping_metric} for {settings.early_stopping} epochs"
    return None

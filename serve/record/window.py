"""The newest pictures that one version of a model answered, summed up as they come and go."""

from datetime import UTC, datetime

import numpy as np

from imgcls_ray.inference.reference import Reference, Summary


class Window:
    """At most `size` pictures; the oldest leaves for the next one. Takes `size` x features x 4 bytes.

    Sums are kept, so that a picture costs some microseconds and a look at all of them little more.
    """

    def __init__(self, reference: Reference, size: int) -> None:
        self.reference, self.size = reference, size
        self.pictures = 0
        """In it now."""
        self._next = 0
        self._answers = np.zeros((size, 2), np.int32)
        """Class and bin of confidence."""
        self._times = np.zeros(size)
        self._features = np.zeros((size, len(reference.mean)), np.float32)
        self._labels = np.zeros(len(reference.labels), np.int64)
        self._bins = np.zeros(len(reference.confidence), np.int64)
        self._centre = np.array(reference.mean, np.float32)
        # Of features less the reference's mean, in float64: what is added and taken off again leaves nothing behind.
        self._sum, self._squares = np.zeros(len(self._centre)), np.zeros(len(self._centre))

    def add(self, probabilities: np.ndarray, features: np.ndarray, time: float) -> None:
        """One more picture: (K,), (F,), and seconds since 1970.

        One whose features are no numbers does not count: sums that hold it would be none either, for good.
        """
        if not np.isfinite(features).all():
            return
        place = self._next
        if self.pictures == self.size:
            self._count(place, -1)
        else:
            self.pictures += 1
        best = int(probabilities.argmax())
        self._answers[place] = best, self.reference.bins(probabilities[best : best + 1])[0]
        self._features[place] = features - self._centre
        self._times[place] = time
        self._count(place, 1)
        self._next = (place + 1) % self.size

    @property
    def since(self) -> datetime | None:
        """When the oldest of them was answered."""
        if not self.pictures:
            return None
        oldest = self._next if self.pictures == self.size else 0
        return datetime.fromtimestamp(self._times[oldest], UTC)

    @property
    def labels(self) -> np.ndarray:
        """(K,): how many were answered with each class."""
        return self._labels.copy()

    def summary(self) -> Summary:
        """What the model made of them; there is at least one."""
        moved = self._sum / self.pictures
        spread = np.sqrt(np.maximum(self._squares / self.pictures - moved**2, 0))
        return Summary(self.pictures, self.labels, self._bins.copy(), self._centre + moved, spread)

    def _count(self, place: int, sign: int) -> None:
        label, bin_ = self._answers[place]
        self._labels[label] += sign
        self._bins[bin_] += sign
        features = self._features[place].astype(np.float64)
        self._sum += sign * features
        self._squares += sign * features**2

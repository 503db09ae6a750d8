"""The training loop of a trial, one epoch at a time, on one worker or on each worker of a gang."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from imgcls_ray.data.index import read_index
from imgcls_ray.training.allreduce import AllReduce
from imgcls_ray.training.augmentation import Augmentation
from imgcls_ray.training.checkpoint import load_variables, save_variables
from imgcls_ray.training.feed import Chunk, Feed
from imgcls_ray.training.job import TrialJob
from imgcls_ray.training.loss import build_loss
from imgcls_ray.training.mixing import Mixing
from imgcls_ray.training.optimizer import build_groups
from imgcls_ray.training.patience import Course
from imgcls_ray.training.schedule import learning_rates
from imgcls_ray.training.scores import balanced_accuracy, count_classes, f1_macro
from imgcls_ray.training.weighting import class_weights

EVALUATION_BATCH = 256


class Draws(NamedTuple):
    """Random numbers of an epoch's steps; None for what is off."""

    mixes: Any
    """(steps, 6) float32 for `Mixing.apply`."""
    pictures: Any
    """(steps, share, 9) float32 for `Augmentation.apply`."""


class Loop:
    """Trains a job's network.

    An epoch runs inside one compiled function: a Python call per step would cost a head more than its arithmetic.
    What the settings leave off is not in that function at all.
    Every worker of a gang goes through the same samples in the same order and takes its share of each batch.

    Raises:
        SettingsError: `class_weighting` names a class that the data has not.
    """

    def __init__(
        self, job: TrialJob, network: keras.Model, train: Feed, val: Feed, reduce: AllReduce | None = None
    ) -> None:
        self.job, self.epoch = job, 0
        self._train, self._val, self._reduce = train, val, reduce or AllReduce()
        self.model = network
        self._groups = build_groups(job.settings, network)
        self._loss = build_loss(job.settings, _class_weights(job))
        self._mixing = Mixing(job.settings, network.input_shape[1:])
        self._augmentation = Augmentation(job.settings, job.data.size) if job.data.embeddings is None else None
        if self._augmentation is not None and not self._augmentation.is_on:
            self._augmentation = None
        self._course = Course(job.settings)
        share = min(job.settings.batch_size, train.rows) // self._reduce.size
        self._share = max(share, 1)
        """Samples per step on this worker."""
        self._step, self._steps = 0, max(train.rows // (self._share * self._reduce.size), 1) * job.settings.epochs
        self._train_chunk = tf.function(self._train_chunk_graph, reduce_retracing=True)
        self._score_chunk = tf.function(self._score_chunk_graph, reduce_retracing=True)

    @property
    def variables(self) -> list[Any]:
        """Everything a checkpoint holds."""
        return [*self.model.variables, *(v for group in self._groups for v in group.optimizer.variables)]

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch, then score the validation split.

        Returns `loss`, `accuracy`, `val_loss` (the plain cross-entropy in every trial), `val_accuracy`,
        `val_f1_macro`, `val_balanced_accuracy`, `learning_rate` (of the last step) and `seconds`; with early stopping
        also `stale_epochs`, those since the last gain.
        """
        started = time.perf_counter()
        totals, rate = np.zeros(3), 0.0  # loss, right answers, samples
        for chunk in self._train.chunks(seed=(self.job.seed + self.epoch) % 2**31):
            order = self._batches(chunk)
            steps = self._step + np.arange(len(order))
            rates = learning_rates(self.job.settings, steps, self._steps, self._course.rate_scale)
            draws = self._draws(len(order))
            totals[:2] += self._train_chunk(chunk.samples, chunk.labels, order, rates, draws).numpy()
            totals[2] += order.size
            self._step, rate = self._step + len(order), float(rates[-1])
        totals = self._sums(totals)
        if self._reduce.size > 1:
            self._average_state()
        self.epoch += 1
        validation, counts = self._score(self._val)
        right, _, samples = counts.sum(axis=1)
        metrics = {
            "loss": float(totals[0] / totals[2]),
            "accuracy": float(totals[1] / totals[2]),
            "val_loss": float(validation / samples),
            "val_accuracy": float(right / samples),
            "val_f1_macro": f1_macro(counts),
            "val_balanced_accuracy": balanced_accuracy(counts),
            "learning_rate": rate,
        }
        self._course.see(metrics)
        if self.job.settings.early_stopping:
            metrics["stale_epochs"] = float(self._course.stale_epochs)
        return {**metrics, "seconds": time.perf_counter() - started}

    def save(self, path: Path) -> None:
        """Write what `load` needs to go on after this epoch."""
        save_variables(path, self.variables, epoch=self.epoch, step=self._step, **self._course.numbers())

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same job."""
        numbers = load_variables(path, self.variables)
        self.epoch, self._step = int(numbers["epoch"]), int(numbers["step"])
        self._course.restore(numbers)

    def weights(self) -> list[np.ndarray]:
        """The network's weights and moving statistics, in a fixed order."""
        return [v.numpy() for v in self.model.variables if v.dtype.startswith("float")]

    def save_weights(self, path: Path) -> None:
        """Write the network's weights alone."""
        save_variables(path, self.model.variables)

    def _batches(self, chunk: Chunk) -> np.ndarray:
        """This worker's samples (steps, share) of each batch; what does not fill a batch waits for the next epoch."""
        batch = self._share * self._reduce.size
        steps = max(len(chunk.order) // batch, 1)
        order = np.resize(chunk.order, (steps, batch))
        return order[:, self._reduce.rank * self._share : (self._reduce.rank + 1) * self._share]

    def _draws(self, steps: int) -> Draws:
        """What the next steps draw at random, on this worker."""
        mixes = pictures = None
        if self._mixing.is_on:
            mixes = self._mixing.draw(steps, np.random.default_rng([self.job.seed, self._step, 0]))
        if self._augmentation is not None:
            batch, start = self._share * self._reduce.size, self._reduce.rank * self._share
            drawn = self._augmentation.draw(steps, batch, np.random.default_rng([self.job.seed, self._step, 1]))
            pictures = drawn[:, start : start + self._share]
        return Draws(mixes, pictures)

    def _train_chunk_graph(
        self, samples: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, rates: tf.Tensor, draws: Draws
    ) -> tf.Tensor:
        totals = tf.zeros(2)
        for step in tf.range(tf.shape(order)[0]):
            x = tf.cast(tf.gather(samples, order[step]), tf.float32)
            y = tf.gather(labels, order[step])
            target = tf.one_hot(y, self.job.data.classes)
            if self._augmentation is not None:
                x = self._augmentation.apply(x, draws.pictures[step])
            if self._mixing.is_on:
                x, target = self._mixing.apply(x, target, draws.mixes[step])
            with tf.GradientTape() as tape:
                probabilities = self.model(x, training=True)
                losses = self._loss(target, probabilities)
                loss = tf.add_n([tf.reduce_mean(losses), *self.model.losses])
            variables = [v for group in self._groups for v in group.variables]
            gradients = self._reduce.mean(tape.gradient(loss, [v.value for v in variables]))
            for group in self._groups:
                mine, gradients = gradients[: len(group.variables)], gradients[len(group.variables) :]
                group.optimizer.learning_rate.assign(rates[step] * group.rate)
                group.optimizer.apply(mine, group.variables)
            totals += _totals(losses, probabilities, y)
        return totals

    def _score_chunk_graph(self, samples: tf.Tensor, labels: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
        """Sum of losses, then the sums by class (1 + 3K,)."""
        classes = self.job.data.classes
        loss, counts = tf.zeros(()), tf.zeros(3 * classes)
        for start in tf.range(0, tf.size(order), EVALUATION_BATCH):
            batch = order[start : start + EVALUATION_BATCH]
            y = tf.gather(labels, batch)
            probabilities = self.model(tf.cast(tf.gather(samples, batch), tf.float32), training=False)
            loss += tf.reduce_sum(keras.losses.categorical_crossentropy(tf.one_hot(y, classes), probabilities))
            counts += count_classes(tf.argmax(probabilities, -1), y, classes)
        return tf.concat([loss[None], counts], 0)

    def _score(self, feed: Feed) -> tuple[float, np.ndarray]:
        """Sum of the losses and the sums by class (3, K), over all workers."""
        scores = np.zeros(1 + 3 * self.job.data.classes)
        for chunk in feed.chunks(None):
            mine = chunk.order[self._reduce.rank :: self._reduce.size]
            scores += self._score_chunk(chunk.samples, chunk.labels, mine).numpy()
        scores = self._sums(scores)
        return float(scores[0]), scores[1:].reshape(3, -1)

    def _sums(self, totals: np.ndarray) -> np.ndarray:
        """Totals over all workers."""
        if self._reduce.size == 1:
            return totals
        sums = self._reduce.sums({str(number): value for number, value in enumerate(totals.tolist())})
        return np.array(list(sums.values()))

    def _average_state(self) -> None:
        """Moving statistics of BatchNorm differ per worker: average them."""
        state = [v for v in self.model.non_trainable_variables if v.dtype.startswith("float")]
        if not state:
            return
        for variable, value in zip(state, self._reduce.mean([v.value for v in state]), strict=True):
            variable.assign(value)


def _totals(losses: tf.Tensor, probabilities: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Sum of losses, right answers."""
    hits = tf.cast(tf.equal(tf.argmax(probabilities, -1), labels), tf.float32)
    return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(hits)])


def _class_weights(job: TrialJob) -> np.ndarray | None:
    """By the counts of the training pictures; None where all count the same."""
    if job.settings.class_weighting == "none":
        return None
    index = read_index(job.data.path)
    return class_weights(job.settings.class_weighting, index.labels, index.class_counts["train"])

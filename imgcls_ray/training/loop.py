"""The training loop of a trial, one epoch at a time, on one worker or on each worker of a gang."""

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgcls_ray.training.allreduce import AllReduce
from imgcls_ray.training.checkpoint import load_variables, save_variables
from imgcls_ray.training.feed import Chunk, Feed
from imgcls_ray.training.job import TrialJob
from imgcls_ray.training.optimizer import build_groups, learning_rates

EVALUATION_BATCH = 256


class Loop:
    """Trains a job's network.

    An epoch runs inside one compiled function: a Python call per step would cost a head more than its arithmetic.
    Every worker of a gang goes through the same samples in the same order and takes its share of each batch.
    """

    def __init__(
        self, job: TrialJob, network: keras.Model, train: Feed, val: Feed, reduce: AllReduce | None = None
    ) -> None:
        self.job, self.epoch = job, 0
        self._train, self._val, self._reduce = train, val, reduce or AllReduce()
        self.model = network
        self._groups = build_groups(job.settings, network)
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

        Returns `loss`, `accuracy`, `val_loss`, `val_accuracy`, `learning_rate` (of the last step) and `seconds`.
        """
        started = time.perf_counter()
        totals, rate = np.zeros(3), 0.0
        for chunk in self._train.chunks(seed=(self.job.seed + self.epoch) % 2**31):
            order = self._batches(chunk)
            rates = learning_rates(self.job.settings, self._step + np.arange(len(order)), self._steps)
            totals += self._train_chunk(chunk.samples, chunk.labels, order, rates).numpy()
            self._step, rate = self._step + len(order), float(rates[-1])
        totals = self._sums(totals)
        if self._reduce.size > 1:
            self._average_state()
        self.epoch += 1
        validation = self._score(self._val)
        return {
            "loss": float(totals[0] / totals[2]),
            "accuracy": float(totals[1] / totals[2]),
            "val_loss": float(validation[0] / validation[2]),
            "val_accuracy": float(validation[1] / validation[2]),
            "learning_rate": rate,
            "seconds": time.perf_counter() - started,
        }

    def save(self, path: Path) -> None:
        """Write what `load` needs to go on after this epoch."""
        save_variables(path, self.variables, epoch=self.epoch, step=self._step)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same job."""
        numbers = load_variables(path, self.variables)
        self.epoch, self._step = int(numbers["epoch"]), int(numbers["step"])

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

    def _train_chunk_graph(
        self, samples: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, rates: tf.Tensor
    ) -> tf.Tensor:
        totals = tf.zeros(3)
        for step in tf.range(tf.shape(order)[0]):
            x = tf.cast(tf.gather(samples, order[step]), tf.float32)
            y = tf.gather(labels, order[step])
            target = tf.one_hot(y, self.job.data.classes)
            with tf.GradientTape() as tape:
                probabilities = self.model(x, training=True)
                smoothing = self.job.settings.label_smoothing
                losses = keras.losses.categorical_crossentropy(target, probabilities, label_smoothing=smoothing)
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
        totals = tf.zeros(3)
        for start in tf.range(0, tf.size(order), EVALUATION_BATCH):
            batch = order[start : start + EVALUATION_BATCH]
            y = tf.gather(labels, batch)
            probabilities = self.model(tf.cast(tf.gather(samples, batch), tf.float32), training=False)
            losses = keras.losses.categorical_crossentropy(tf.one_hot(y, self.job.data.classes), probabilities)
            totals += _totals(losses, probabilities, y)
        return totals

    def _score(self, feed: Feed) -> np.ndarray:
        scores = []
        for chunk in feed.chunks(None):
            mine = chunk.order[self._reduce.rank :: self._reduce.size]
            scores.append(self._score_chunk(chunk.samples, chunk.labels, mine).numpy())
        return self._sums(np.sum(scores, axis=0))

    def _sums(self, totals: np.ndarray) -> np.ndarray:
        """Totals over all workers."""
        names = ("loss", "hits", "samples")
        sums = self._reduce.sums(dict(zip(names, totals.tolist(), strict=True)))
        return np.array([sums[name] for name in names])

    def _average_state(self) -> None:
        """Moving statistics of BatchNorm differ per worker: average them."""
        state = [v for v in self.model.non_trainable_variables if v.dtype.startswith("float")]
        if not state:
            return
        for variable, value in zip(state, self._reduce.mean([v.value for v in state]), strict=True):
            variable.assign(value)


def _totals(losses: tf.Tensor, probabilities: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Sum of losses, right answers, samples."""
    hits = tf.cast(tf.equal(tf.argmax(probabilities, -1), labels), tf.float32)
    return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(hits), tf.cast(tf.size(labels), tf.float32)])

"""The training loop of a trial, one epoch at a time, on one worker or on each worker of a gang."""

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgcls_ray.training.checkpoint import load_variables, save_variables
from imgcls_ray.training.feed import Chunk, Feed
from imgcls_ray.training.job import TrialJob
from imgcls_ray.training.network import build_network
from imgcls_ray.training.optimizer import build_optimizer, learning_rates
from imgcls_ray.training.ring import Ring

EVALUATION_BATCH = 256


class Loop:
    """Trains a job's network.

    An epoch runs inside one compiled function: a Python call per step would cost a head more than its arithmetic.
    Every worker of a ring goes through the same samples in the same order and takes its share of each batch.
    """

    def __init__(self, job: TrialJob, train: Feed, val: Feed, ring: Ring | None = None) -> None:
        self.job, self.epoch = job, 0
        self._train, self._val, self._ring = train, val, ring or Ring()
        self.model = build_network(job)
        self._optimizer = build_optimizer(job.settings)
        self._optimizer.build(self.model.trainable_variables)
        self._kernels = [v for v in self.model.trainable_variables if v.path.endswith("/kernel")]
        share = min(job.settings.batch_size, train.rows) // self._ring.size
        self._share = max(share, 1)
        """Samples per step on this worker."""
        self._step, self._steps = 0, max(train.rows // (self._share * self._ring.size), 1) * job.settings.epochs
        self._train_chunk = tf.function(self._train_chunk_graph, reduce_retracing=True)
        self._score_chunk = tf.function(self._score_chunk_graph, reduce_retracing=True)
        self._average = tf.function(self._average_graph)

    @property
    def variables(self) -> list[Any]:
        """Everything a checkpoint holds."""
        return [*self.model.variables, *self._optimizer.variables]

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch, then score the validation split.

        Returns `loss`, `accuracy`, `val_loss`, `val_accuracy`, `learning_rate` (of the last step) and `seconds`.
        """
        started = time.perf_counter()
        totals, rate = np.zeros(3), 0.0
        for chunk in self._train.chunks(seed=(self.job.seed + self.epoch) % 2**31):
            order = self._batches(chunk)
            rates = learning_rates(self.job.settings, self._step + np.arange(len(order)), self._steps)
            totals += self._ring.run(self._train_chunk, chunk.samples, chunk.labels, order, rates).numpy()
            self._step, rate = self._step + len(order), float(rates[-1])
        if self._ring.size > 1:
            self._ring.run(self._average)
        self.epoch += 1
        validation = self._score(self._val)
        return {
            "loss": totals[0] / totals[2],
            "accuracy": totals[1] / totals[2],
            "val_loss": validation[0] / validation[2],
            "val_accuracy": validation[1] / validation[2],
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

    def save_weights(self, path: Path) -> None:
        """Write the network's weights alone."""
        save_variables(path, self.model.variables)

    def _batches(self, chunk: Chunk) -> np.ndarray:
        """This worker's samples (steps, share) of each batch; what does not fill a batch waits for the next epoch."""
        batch = self._share * self._ring.size
        steps = max(len(chunk.order) // batch, 1)
        order = np.resize(chunk.order, (steps, batch))
        return order[:, self._ring.rank * self._share : (self._ring.rank + 1) * self._share]

    def _train_chunk_graph(
        self, samples: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, rates: tf.Tensor
    ) -> tf.Tensor:
        totals = tf.zeros(3)
        for step in tf.range(tf.shape(order)[0]):
            self._optimizer.learning_rate.assign(rates[step])
            x = tf.cast(tf.gather(samples, order[step]), tf.float32)
            y = tf.gather(labels, order[step])
            target = tf.one_hot(y, self.job.classes)
            with tf.GradientTape() as tape:
                probabilities = self.model(x, training=True)
                smoothing = self.job.settings.label_smoothing
                losses = keras.losses.categorical_crossentropy(target, probabilities, label_smoothing=smoothing)
                loss = tf.reduce_mean(losses)
                if self.job.settings.weight_decay and self.job.settings.optimizer != "adamw":
                    loss += self.job.settings.weight_decay * tf.add_n([tf.nn.l2_loss(v.value) for v in self._kernels])
            gradients = tape.gradient(loss, [v.value for v in self.model.trainable_variables])
            self._optimizer.apply(self._ring.mean(gradients), self.model.trainable_variables)
            totals += _totals(losses, probabilities, y)
        return totals

    def _score_chunk_graph(self, samples: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        totals = tf.zeros(3)
        for start in tf.range(0, tf.shape(labels)[0], EVALUATION_BATCH):
            y = labels[start : start + EVALUATION_BATCH]
            probabilities = self.model(tf.cast(samples[start : start + EVALUATION_BATCH], tf.float32), training=False)
            losses = keras.losses.categorical_crossentropy(tf.one_hot(y, self.job.classes), probabilities)
            totals += _totals(losses, probabilities, y)
        return totals

    def _score(self, feed: Feed) -> np.ndarray:
        # Every worker scores all of it: the splits are small, and the answer is the same without another exchange.
        return np.sum([self._score_chunk(c.samples, c.labels).numpy() for c in feed.chunks(None)], axis=0)

    def _average_graph(self) -> None:
        """Moving statistics of BatchNorm differ per worker: average them."""
        state = [v for v in self.model.non_trainable_variables if v.dtype.startswith("float")]
        for variable, value in zip(state, self._ring.mean([v.value for v in state]), strict=True):
            variable.assign(value)


def _totals(losses: tf.Tensor, probabilities: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Sum of losses, right answers, samples."""
    hits = tf.cast(tf.equal(tf.argmax(probabilities, -1), labels), tf.float32)
    return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(hits), tf.cast(tf.size(labels), tf.float32)])

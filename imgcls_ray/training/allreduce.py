"""Averages over the workers of a gang. A worker alone calls the same methods and gets back what it gave."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf


class AllReduce:
    """One worker alone: the base, and the contract.

    Every worker must make the same calls in the same order: a worker that is left out makes the others wait.
    """

    rank: int = 0
    """This worker's number, from 0."""
    size: int = 1
    """Workers in all."""

    def mean(self, tensors: Sequence["tf.Tensor"]) -> list["tf.Tensor"]:
        """The mean over all workers of each float32 tensor, in one exchange. May be used inside a `tf.function`."""
        return list(tensors)

    def sums(self, values: Mapping[str, float]) -> dict[str, float]:
        """The sum over all workers of each number, exact to float64's 1e-16 relative. Not inside a `tf.function`."""
        return dict(values)


class RingAllReduce(AllReduce):
    """Workers named by TF_CONFIG exchange over gRPC (a ring) on CPUs and over NCCL on GPUs.

    Only the exchange comes from `tf.distribute`: networks and optimisers are plain Keras objects, because
    Keras 3 does not train under MultiWorkerMirroredStrategy (https://github.com/keras-team/keras/issues/20585).
    """

    def __init__(self) -> None:
        """Wait for the other workers, then join them. Comes before any other use of TensorFlow in this process.

        Raises:
            RuntimeError: TensorFlow was used before, so that collective operations can't be set up any more.
        """
        import tensorflow as tf

        gpus = tf.config.get_visible_devices("GPU")
        kind = tf.distribute.experimental.CommunicationImplementation
        options = tf.distribute.experimental.CommunicationOptions(implementation=kind.NCCL if gpus else kind.RING)
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
        cluster = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        self.rank, self.size = cluster.task_id, self._strategy.num_replicas_in_sync
        self._mean = tf.function(self._exchange, autograph=False)

    def mean(self, tensors: Sequence["tf.Tensor"]) -> list["tf.Tensor"]:
        import tensorflow as tf

        shapes = [tensor.shape for tensor in tensors]
        flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)
        averaged = self._mean(flat) if tf.executing_eagerly() else self._exchange(flat)
        parts = tf.split(averaged, [shape.num_elements() for shape in shapes])
        return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]

    def sums(self, values: Mapping[str, float]) -> dict[str, float]:
        import tensorflow as tf

        means = self._mean(tf.constant(list(values.values()), tf.float64)).numpy() * self.size
        return dict(zip(values, means.tolist(), strict=True))

    def _exchange(self, flat: "tf.Tensor") -> "tf.Tensor":
        return self._strategy.run(self._all_reduce, (flat,))

    @staticmethod
    def _all_reduce(flat: Any) -> Any:
        import tensorflow as tf

        # The identity gives the tensor a device, which tf.distribute asks for inside a tf.function.
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, tf.identity(flat))

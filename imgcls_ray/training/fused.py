"""Keras' optimisers with TensorFlow's fused update of a variable, which does the same arithmetic in one pass.

Keras writes an update as a dozen operations, each of which reads and writes arrays as large as the variable: of a trial
with a wide head and small batches that is half of the time, and half of what it costs to trace any.
"""

from typing import Any

import keras
import tensorflow as tf


class _FusedAdam:
    def update_step(self: Any, gradient: tf.Tensor, variable: tf.Variable, learning_rate: Any) -> None:
        """Update one variable and its moments in place."""
        number, step = self._get_variable_index(variable), tf.cast(self.iterations.value + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[number].value.handle,
            v=self._velocities[number].value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class Adam(_FusedAdam, keras.optimizers.Adam):
    """Adam (Kingma & Ba, 2015, https://arxiv.org/abs/1412.6980)."""


class AdamW(_FusedAdam, keras.optimizers.AdamW):
    """Adam with decoupled decay (Loshchilov & Hutter, 2019, https://arxiv.org/abs/1711.05101), which Keras applies."""


class SGD(keras.optimizers.SGD):
    """SGD; fused with momentum, without there is nothing to fuse."""

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: Any) -> None:
        """Update one variable and its momentum in place."""
        if not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=tf.cast(learning_rate, tf.float32),
            grad=gradient,
            momentum=self.momentum,
            use_nesterov=self.nesterov,
        )


class RMSprop(keras.optimizers.RMSprop):
    """RMSprop, not centred; fused with momentum, for which TensorFlow's kernel wants an array."""

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: Any) -> None:
        """Update one variable, its mean square and its momentum in place."""
        if not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        number = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.handle,
            ms=self._velocities[number].value.handle,
            mom=self._momentums[number].value.handle,
            lr=tf.cast(learning_rate, tf.float32),
            rho=self.rho,
            momentum=self.momentum,
            epsilon=self.epsilon,
            grad=gradient,
        )

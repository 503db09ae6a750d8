"""The workers of one trial as the loop sees them: one alone, or several that average."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


class Ring:
    """One worker alone; a gang's ring overrides all four. Methods but `run` are called inside a `tf.function`."""

    rank = 0
    size = 1

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call `function(*args)` on this worker, in step with the others."""
        return function(*args)

    def mean(self, tensors: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        """The mean of each tensor over the workers."""
        return tensors

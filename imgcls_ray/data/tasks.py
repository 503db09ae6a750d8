"""Ray Data as this program uses it: one block, one task, small rows back; quiet."""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa


def map_blocks(
    blocks: Sequence[pa.Table], function: Callable[..., pa.Table], arguments: dict[str, Any], cpus: float = 1
) -> Generator[pa.Table]:
    """Run `function(block, **arguments)` once per block on the cluster; yields results as they come, in any order.

    Ray must be initialised. Close it (`contextlib.closing`) where it may be left early, and the tasks end too. Large
    arguments belong into files or `ray.put`; what `function` raises comes out wrapped in Ray's own errors.
    """
    import ray.data

    with quiet():
        mapped = single_step(ray.data.from_arrow(list(blocks))).map_batches(
            function,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            num_cpus=cpus,
            fn_kwargs=dict(arguments),
        )
        yield from mapped.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)


def single_step(dataset: Any) -> Any:
    """The Ray Data dataset set up for one step: quiet, and with all CPUs for it."""
    context = dataset.context
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Ray Data keeps CPUs aside for a pipeline's other steps; there are none, and of two CPUs one would stay idle.
    context.op_resource_reservation_enabled = False
    return dataset


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Ray Data's remarks to its log file; errors still reach the console."""
    import ray.data  # noqa: F401 - which sets up its handlers

    handlers = [h for h in logging.getLogger("ray.data").handlers if isinstance(h, logging.StreamHandler)]
    levels = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for handler, level in zip(handlers, levels, strict=True):
            handler.setLevel(level)

"""Where a verb prints: tables for people on stdout, or one JSON document there and everything else on stderr."""

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console


@contextlib.contextmanager
def output(as_json: bool) -> Iterator[Console]:
    """A console for people. With `as_json` it is stderr, and so is whatever a library prints meanwhile."""
    if not as_json:
        yield Console(highlight=False)
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """One line, last on stdout."""
    print(json.dumps(document, ensure_ascii=False), flush=True)  # noqa: T201 - this is the output

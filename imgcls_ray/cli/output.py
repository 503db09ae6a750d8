"""Where a verb prints: tables for people on stdout, or one JSON document there and everything else on stderr."""

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.measure import Measurement
from rich.text import Text

if TYPE_CHECKING:
    from rich.table import Table

INDENT = 10
"""Columns of the name that a line of the main job begins with."""
_ENDLESS = 100_000
"""Columns that no row has."""


@dataclass(frozen=True)
class Output:
    """What a verb prints with."""

    console: Console
    """For people. Texts of others (paths, labels, reasons) go through `line`, which reads no markup in them."""
    document: Callable[[Any], None]
    """Print one JSON document in one line on stdout."""

    def line(self, text: str, name: str = "", after: str = "") -> None:
        """One line: `name` in bold, `text`, `after` in dim. It is not cut or wrapped here: a path stays whole."""
        head = (f"{name:<{INDENT}} ", "bold") if name else ""
        self.console.print(Text.assemble(head, text, (f" {after}" if after else "", "dim")), soft_wrap=True)

    def table(self, table: "Table") -> None:
        """A table as wide as the terminal; a file or a pipe has no width, so nothing is cut or wrapped there."""
        width = self.console.width
        if not self.console.is_terminal:
            endless = self.console.options.update(width=_ENDLESS)
            self.console.width = Measurement.get(self.console, endless, table).maximum
        self.console.print(table)
        self.console.width = width


@contextlib.contextmanager
def output(as_json: bool) -> Iterator[Output]:
    """A verb's output. With `as_json` whatever else is printed meanwhile, by child processes too, goes to stderr."""
    if not as_json:
        yield Output(Console(highlight=False), lambda document: print_json(document, 1))
        return
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield Output(Console(stderr=True, highlight=False), lambda document: print_json(document, stdout))
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


def print_json(document: Any, file: int) -> None:
    """Write one line to a file descriptor; a number that is not finite becomes null, which JSON knows."""
    line = json.dumps(_finite(document), ensure_ascii=False, allow_nan=False) + "\n"
    try:
        data = line.encode()
    except UnicodeEncodeError:  # a file name that is no valid text
        data = (json.dumps(_finite(document), allow_nan=False) + "\n").encode()
    while data:
        data = data[os.write(file, data) :]


def _finite(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _finite(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [_finite(value) for value in document]
    return None if isinstance(document, float) and not math.isfinite(document) else document

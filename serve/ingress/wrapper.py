"""What Ray Serve starts instead of HAProxy: mends the configuration that Ray has just written and becomes HAProxy.

`python -m serve.ingress.wrapper BINARY BIND SECONDS_TO_SEND MOST [HAProxy's arguments]`; Ray starts it anew for each
change of the replicas. It stays one process, since Ray asks HAProxy for its process id, and loads the standard library
only.
"""

import contextlib
import ctypes
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path

from serve.ingress.config import TemplateChanged, closed

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Never returns, but exits with 1 and a sentence on stderr, which Ray tells, where HAProxy must not be started."""
    binary, bind, seconds, most, *given = arguments
    try:
        for file in _configurations(given):
            text = closed(file.read_text(encoding="utf-8"), bind, int(seconds), int(most))
            fresh = file.with_suffix(".closed")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(file)
    except TemplateChanged as error:
        sys.exit(
            "HAProxy is not started, because Ray's configuration of it is not the one that imgcls can keep off the "
            f"network ({error}); use --ingress plain."
        )
    _end_with_parent()
    os.execv(binary, [binary, *given])  # noqa: S606 - the binary that comes with Ray


def _configurations(given: list[str]) -> list[Path]:
    return [Path(file) for option, file in pairwise(given) if option == "-f"]


def _end_with_parent() -> None:
    """HAProxy ends when the actor that has started it does, however that ends, and not by a Ctrl-C of the terminal:
    what is in work is answered first. Both hold after exec."""
    with contextlib.suppress(PermissionError):  # a leader of a session is not in the terminal's group anyhow
        os.setpgid(0, 0)
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("Ray ended while HAProxy was started.")


if __name__ == "__main__":
    main(sys.argv[1:])

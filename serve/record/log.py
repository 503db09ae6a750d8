"""A line of JSON for each request."""

import json
import logging
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from starlette.requests import Request

from imgcls_ray.errors import StorageError
from serve.stages import Stages

logger = logging.getLogger("serve")


def check_log(file: Path) -> None:
    """Return when lines can be added to `file`; it is made where there is none.

    Raises:
        StorageError: they can't be.
    """
    try:
        file.open("a").close()
    except OSError as error:
        raise StorageError(
            f"The request log is a file that this program can write; {file} can't be ({error.strerror}): make its "
            "folder, or choose another with --request-log."
        ) from error


class RequestLog:
    """Appends to a file, which may be moved away at any time (logrotate): the next line starts a new one."""

    def __init__(self, file: str) -> None:
        self._file, self._failed = file, False
        self._logger = logging.getLogger(f"serve.requests.{id(self)}")
        handler = WatchedFileHandler(file, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(message)s"))
        self._logger.handlers, self._logger.propagate = [handler], False
        self._logger.setLevel(logging.INFO)

    def write(self, request: Request, status: int, stages: Stages) -> None:
        """One request that was answered."""
        state = request.state
        line: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request_id": state.request_id,
            "method": request.method,
            "path": request.url.path[:200],
            "status": status,
            "client": request.client.host if request.client else None,
            "ms": round(stages.total, 2),
            "stages": {stage: round(value, 2) for stage, value in stages.milliseconds.items()},
        }
        for name in ("key", "model", "answers", "error"):
            if hasattr(state, name):
                line[name] = getattr(state, name)
        try:
            self._logger.info("%s", json.dumps(line, ensure_ascii=False))
        except OSError as error:  # its folder is gone, or somebody else's: told once, until it can be written again
            if not self._failed:
                logger.error("The request log %s can't be written (%s); requests go on", self._file, error.strerror)
            self._failed = True
        else:
            self._failed = False

"""A line of JSON for each request."""

import json
import logging
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import Any

from starlette.requests import Request

from serve.stages import Stages


class RequestLog:
    """Appends to a file, which may be moved away at any time (logrotate): the next line starts a new one."""

    def __init__(self, file: str) -> None:
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
        self._logger.info("%s", json.dumps(line, ensure_ascii=False))

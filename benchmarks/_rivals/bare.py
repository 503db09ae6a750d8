"""What HTTP costs at least in Python: `uvicorn bare:app` with our decoder and OpenVINO in threads, and nothing else.

No framework, no limits, no ingress, no checks: a form is taken to hold one file, and every path is the one.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from imgcls_ray.bundle.bundle import load_bundle

bundle = load_bundle(Path(os.environ["MODEL"]).parent, os.cpu_count() or 1, engine="openvino")
bundle.engine.warm_up()
threads = ThreadPoolExecutor(os.cpu_count())


def classified(form: bytes) -> bytes:
    """The answer."""
    picture = form[form.index(b"\r\n\r\n") + 4 : form.rindex(b"\r\n--")]
    probabilities = bundle.predict_bytes([picture])[0]
    if isinstance(probabilities, Exception):
        raise probabilities
    return json.dumps({"predictions": bundle.ranked(probabilities)}).encode()


async def app(
    _scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """The ASGI application."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = await asyncio.get_running_loop().run_in_executor(threads, classified, body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})

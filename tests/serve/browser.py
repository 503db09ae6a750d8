"""A headless Chromium, driven through its DevTools protocol: enough to use a page as people do."""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECONDS = 30


class Tab:
    """One page."""

    def __init__(self, socket: ClientConnection, width: int, height: int, dark: bool) -> None:
        self._socket, self._numbers, self._session = socket, itertools.count(1), ""
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.tell("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme])
        self.errors: list[str] = []
        for domain in ("Page", "DOM", "Runtime", "Log"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **params: Any) -> Any:
        """A command of the protocol, and its answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while True:
            got = json.loads(self._socket.recv(SECONDS))
            if got.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(got["params"])[:500])
            if got.get("id") == number:
                assert "error" not in got, got
                return got["result"]

    def open(self, url: str) -> None:
        self.tell("Page.navigate", url=url)
        self.until(f"document.readyState === 'complete' && location.href.startsWith('{url}')")

    def js(self, expression: str) -> Any:
        """The value of an expression; promises are waited for."""
        found = self.tell("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until an expression holds."""
        end = time.monotonic() + SECONDS
        while not self.js(f"Boolean({condition})"):
            assert time.monotonic() < end, (
                f"not so after {SECONDS} s: {condition}; {self.js('document.body.innerText')}"
            )
            time.sleep(0.02)

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in an input."""
        root = self.tell("DOM.getDocument")["root"]["nodeId"]
        node = self.tell("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.tell("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def press(self, key: str, code: int, text: str = "") -> None:
        """A key, to whatever has the focus."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.tell("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": text} if text else {}))
        self.tell("Input.dispatchKeyEvent", type="keyUp", **about)

    def picture(self, file: Path) -> None:
        """A screenshot of the whole page as PNG."""
        shot = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def tab(width: int = 1100, height: int = 800, dark: bool = False) -> Iterator[Tab]:
    """A tab of a browser of its own, whose camera is a made-up one."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        process = subprocess.Popen(
            [PROGRAM, *flags, *camera, f"--user-data-dir={folder}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = Path(folder, "DevToolsActivePort")
            end = time.monotonic() + SECONDS
            while not (port.exists() and port.read_text().count("\n") == 1):
                assert time.monotonic() < end, "Chromium does not start"
                time.sleep(0.05)
            number, path = port.read_text().split("\n")
            with connect(f"ws://127.0.0.1:{number}{path}", max_size=None) as socket:
                yield Tab(socket, width, height, dark)
        finally:
            process.kill()
            process.wait()

"""The first page, as people use it: in a browser, with files, the clipboard, the keyboard and a camera."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn

from serve.model.answer import Answer
from serve.model.explaining import Explained, NotExplained
from serve.model.predictor import Predictor
from serve.model.served import Served
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.serve.browser import PROGRAM, Tab, tab
from tests.serve.conftest import BrightnessBundle, picture_bytes

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium or Chrome")
KEY = "a-key-of-some-length"


async def explain(_picture: bytes, _label: str | None) -> Explained | NotExplained:
    answer = Answer(("bright", "dark"), np.array([0.2, 0.8], np.float32), "sure")
    return Explained(answer, 1, picture_bytes(10, size=(64, 32)), [[0.0]])


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """Two services: one for everybody, one with a key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMGCLS_API_KEYS", KEY)
        servers = {name: _server(auth=name == "locked") for name in ("open", "locked")}
    yield {name: url for name, (_, url) in servers.items()}
    for server, _ in servers.values():
        server.should_exit = True


def _server(auth: bool) -> tuple[uvicorn.Server, str]:
    settings = ServeSettings(model="stand-in", auth=auth, max_body_bytes=2_000_000)
    predictor = Predictor(Served(BrightnessBundle(), "3"), settings)  # type: ignore[arg-type]
    predictor.warm_up()
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(build_app(predictor, settings, explain), log_level="error"))
    threading.Thread(target=server.run, args=([listening],), daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server, f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Tab]:
    with tab() as opened:
        yield opened
        assert opened.errors == []


@pytest.fixture
def page(browser: Tab, urls: dict[str, str]) -> Tab:
    browser.open(urls["open"])
    browser.until("document.title === 'brightness'")
    return browser


def saved(folder: Path, brightness: int, name: str = "picture.png") -> Path:
    file = folder / name
    file.write_bytes(picture_bytes(brightness))
    return file


def rows(page: Tab) -> list[str]:
    found: list[str] = page.js("[...document.querySelectorAll('#bars li')].map((row) => row.innerText)")
    return [" ".join(row.split()) for row in found]


def test_a_file_gets_its_classes(page: Tab, tmp_path: Path) -> None:
    page.choose("#file", saved(tmp_path, 51))
    page.until("!document.getElementById('result').hidden")
    assert page.js("document.getElementById('verdict').textContent") == "dark"
    assert rows(page) == ["dark 80.0 %", "bright 20.0 %"]
    assert page.js("document.getElementById('model').textContent").startswith("brightness, version 3")
    assert "predict" in page.js("document.getElementById('times').textContent")
    assert page.js("document.querySelector('[role=status]').textContent") == "dark, 80 percent."
    page.until("document.getElementById('picture').naturalWidth === 40")


def test_an_answer_that_is_not_sure_says_so(page: Tab, tmp_path: Path) -> None:
    page.choose("#file", saved(tmp_path, 128))
    page.until("!document.getElementById('result').hidden")
    assert page.js("document.getElementById('verdict').textContent") == "Unsure; perhaps bright"
    assert "too often" in page.js("document.getElementById('advice').textContent")


def test_the_heat_map_takes_the_place_of_the_picture(page: Tab, tmp_path: Path) -> None:
    page.choose("#file", saved(tmp_path, 51))
    page.until("!document.getElementById('result').hidden")
    page.js("document.getElementById('why').click()")
    page.until("document.getElementById('picture').naturalWidth === 64")
    assert "heat map" in page.js("document.getElementById('picture').alt")
    assert page.js("document.getElementById('why').disabled")
    page.choose("#file", saved(tmp_path, 52, "next.png"))
    page.until("!document.getElementById('why').disabled")


def test_what_goes_wrong_is_told_kindly(page: Tab, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(picture_bytes()[:60])
    page.choose("#file", broken)
    page.until("!document.getElementById('error').hidden")
    assert "can't be used" in page.js("document.getElementById('error').textContent")
    text = tmp_path / "text.txt"
    text.write_text("no picture")
    page.choose("#file", text)
    page.until("document.getElementById('error').textContent.startsWith('That is no picture')")
    page.choose("#file", saved(tmp_path, 51))
    page.until("document.getElementById('error').hidden")


def test_a_picture_may_be_pasted_or_dropped(page: Tab) -> None:
    for kind, field in (("paste", "clipboardData"), ("drop", "dataTransfer")):
        page.js(
            f"""(async () => {{
                const canvas = document.createElement("canvas");
                const blob = await new Promise((done) => canvas.toBlob(done));
                const files = [new File([blob], "{kind}.png", {{ type: "image/png" }})];
                const event = new Event("{kind}", {{ bubbles: true, cancelable: true }});
                event.{field} = {{ files }};
                document.dispatchEvent(event);
            }})()"""
        )
        page.until(f"document.getElementById('caption').textContent === '{kind}.png'")


def test_the_camera_takes_a_picture(page: Tab) -> None:
    page.js("document.getElementById('camera').click()")
    page.until("!document.getElementById('shoot').disabled && !document.getElementById('viewfinder').hidden")
    page.js("document.getElementById('shoot').click()")
    page.until("!document.getElementById('result').hidden")
    assert page.js("document.getElementById('viewfinder').hidden")
    assert len(rows(page)) == 2


def test_the_keyboard_is_enough(page: Tab) -> None:
    seen = []
    for _ in range(3):
        page.press("Tab", 9)
        seen.append(page.js("document.activeElement.id || document.activeElement.textContent"))
    assert seen == ["REST interface", "file", "camera"]
    page.press("Enter", 13, "\r")
    page.until("document.activeElement.id === 'shoot'")
    page.press("Enter", 13, "\r")
    page.until("!document.getElementById('result').hidden")


def test_everything_has_a_name(page: Tab, tmp_path: Path) -> None:
    page.choose("#file", saved(tmp_path, 51))
    page.until("!document.getElementById('result').hidden")
    nodes = page.tell("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in nodes if node.get("role", {}).get("value") in ("button", "link", "image", "list")]
    assert len(controls) >= 5
    assert all(node["name"]["value"] for node in controls if not node["ignored"])


def test_a_locked_service_asks_for_its_key(browser: Tab, urls: dict[str, str], tmp_path: Path) -> None:
    browser.open(urls["locked"])
    browser.until("!document.getElementById('locked').hidden")
    browser.choose("#file", saved(tmp_path, 51))
    browser.until("!document.getElementById('error').hidden")
    assert "API key" in browser.js("document.getElementById('error').textContent")
    browser.js(f"document.getElementById('key').value = '{KEY}'; document.querySelector('#locked button').click()")
    browser.until("!document.getElementById('result').hidden")
    assert rows(browser)[0] == "dark 80.0 %"
    browser.open(urls["locked"] + "/docs")
    browser.until("document.querySelectorAll('#operations section').length > 8")


def test_nothing_is_wider_than_a_phone(urls: dict[str, str], tmp_path: Path) -> None:
    with tab(360, 740) as phone:
        phone.open(urls["open"])
        phone.choose("#file", saved(tmp_path, 51))
        phone.until("!document.getElementById('result').hidden")
        assert phone.js("document.documentElement.scrollWidth") <= 360

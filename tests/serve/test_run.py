"""The service as a user starts it: one process for all tests here, with a real bundle, Ray Serve and the real model."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from serve.ingress.choice import haproxy_binary
from serve.run import _until_stopped
from tests.conftest import picture
from tests.processes import LOOPBACK, descendants, listening, naming, sockets
from tests.serve.conftest import picture_bytes

COMMAND = [sys.executable, "-c", "from imgcls_ray.cli import main; main()", "serve"]
OURS = {"RAY_ADDRESS", "TF_CPP_MIN_LOG_LEVEL", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"}
PLAIN = {key: value for key, value in os.environ.items() if key not in OURS}
"""The environment of a user, without what the tests put into it."""


@dataclass
class Service:
    process: subprocess.Popen[str]
    url: str
    ready: dict[str, str]
    bundle: Path
    log: Path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights, as a bundle."""
    import keras

    from imgcls_ray.bundle.bundle import Card, write_bundle
    from imgcls_ray.config import Size, TrialSettings
    from imgcls_ray.data.labels import Labels
    from imgcls_ray.data.pixels import PixelOps
    from imgcls_ray.models.network import build_cnn

    keras.utils.set_random_seed(0)
    model = build_cnn(TrialSettings(cnn_blocks=1, cnn_width=8), Size(24, 32), 3, 3)
    golden = np.stack([picture(label, 0) for label in range(3)])
    path = tmp_path_factory.mktemp("serve") / "bundle"
    card = Card(name="stripes", study="test", settings={}, metrics={}, data_name="d", data_fingerprint="f", counts={})
    pixels = PixelOps(height=24, width=32, colorspace="color")
    write_bundle(path, model, Labels(("one", "three", "two")), pixels, card, golden)
    return path


@pytest.fixture(scope="module")
def service(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("log") / "stderr.txt"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*COMMAND, "--model", str(bundle), "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=PLAIN,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        ready = json.loads(line)
        yield Service(process, ready["url"], ready, bundle, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)
        process.stdout.close()


def _post(service: Service, data: bytes, field: str = "img") -> httpx.Response:
    return httpx.post(f"{service.url}/classify", files={field: ("x", data)}, timeout=60)


def test_the_ready_line_tells_url_and_model(service: Service) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", service.url)
    assert service.ready["model"] == str(service.bundle)
    assert Path(service.ready["bundle"]) == service.bundle


def test_a_heat_map_is_drawn_by_a_process_that_starts_for_it(service: Service) -> None:
    response = httpx.post(f"{service.url}/explain", files={"img": ("x", picture_bytes(90))}, timeout=60)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    assert response.content.startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_answer_is_the_bundles_own(service: Service, kind: str) -> None:
    from imgcls_ray.bundle.bundle import load_bundle

    data = picture_bytes(90, size=(50, 41), kind=kind)
    bundle = load_bundle(service.bundle)
    [expected] = bundle.predict_bytes([data])
    response = _post(service, data)
    assert response.status_code == 200
    answer = response.json()
    assert answer["success"] is True
    probabilities = [row["probability"] for row in answer["predictions"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    got = {row["label"]: row["probability"] for row in answer["predictions"]}
    assert got == pytest.approx(dict(zip(bundle.labels.names, expected.tolist(), strict=True)), abs=1e-6)


def test_refusals_reach_the_client_as_sentences(service: Service) -> None:
    refusals = {
        400: _post(service, b"no picture"),
        422: _post(service, picture_bytes(), field="image"),
        405: httpx.get(f"{service.url}/classify"),
        404: httpx.get(f"{service.url}/other"),
        413: _post(service, b"x" * 10_100_000),
        415: httpx.post(f"{service.url}/classify", content=picture_bytes()),
    }
    for status, response in refusals.items():
        assert response.status_code == status
        body = response.json()
        assert body["success"] is False
        assert body["error"].endswith(".")


def test_twenty_clients_at_once_all_get_their_answer(service: Service) -> None:
    pictures = [picture_bytes(10 * number) for number in range(20)]
    alone = [_post(service, data).json()["predictions"] for data in pictures]
    with ThreadPoolExecutor(20) as pool:
        together = list(pool.map(lambda data: _post(service, data), pictures))
    assert {response.status_code for response in together} == {200}
    for response, expected in zip(together, alone, strict=True):
        assert response.json()["predictions"] == expected


def test_health_and_description(service: Service) -> None:
    assert httpx.get(f"{service.url}/livez").json() == {"live": True}
    ready = httpx.get(f"{service.url}/readyz").json()
    assert ready["ready"] is True
    assert ready["model"]["name"] == "stripes"
    assert httpx.get(f"{service.url}/openapi.json").json()["openapi"].startswith("3.")
    assert "text/html" in httpx.get(f"{service.url}/docs").headers["content-type"]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux' table of sockets")
def test_nothing_of_it_listens_beyond_loopback(service: Service) -> None:
    addresses = listening(descendants(service.process.pid))
    assert len(addresses) > 3
    assert [address for address in addresses if not address.startswith(LOOPBACK)] == []


@pytest.mark.skipif(haproxy_binary() is None, reason="HAProxy is for Linux")
def test_haproxy_takes_the_requests(service: Service) -> None:
    assert service.ready["ingress"] == "haproxy"
    assert naming(str(haproxy_binary())) & descendants(service.process.pid)


def test_a_request_has_one_id(service: Service) -> None:
    for given in ({}, {"X-Request-ID": "mine"}, {"X-Request-ID": "not one"}):
        response = httpx.get(f"{service.url}/nothing", headers=given)
        [known] = response.headers.get_list("X-Request-ID")
        assert response.json()["request_id"] == known
        assert (known == "mine") is (given.get("X-Request-ID") == "mine")


def test_a_body_that_is_far_too_large_is_refused_unread(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 60) as client:
        client.sendall(b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n")
        client.sendall(b"Content-Type: image/jpeg\r\n\r\n" + b"x" * 100_000)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_port_in_use_is_one_sentence_and_exit_2(service: Service) -> None:
    port = service.url.rpartition(":")[2]
    done = _run("--model", str(service.bundle), "--port", port)
    assert done.returncode == 2
    assert f"Port {port} on 127.0.0.1 is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_bundle_is_one_sentence_and_exit_2(service: Service, tmp_path: Path) -> None:
    for name in ("model.keras", "checksums.json", "card.md"):
        (tmp_path / name).write_bytes((service.bundle / name).read_bytes())
    (tmp_path / "model.keras").write_bytes(b"another model")
    for model in (str(tmp_path), str(tmp_path / "missing"), "models:/nothing@here"):
        done = _run("--model", model, "--storage", str(tmp_path / "storage"))
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert [line for line in done.stderr.splitlines() if line.startswith("imgcls: ")]
    assert not (tmp_path / "storage").exists()


def test_ctrl_c_ends_it_cleanly_and_what_is_in_work_is_answered(service: Service) -> None:
    """The last test here: it stops the service. A terminal sends SIGINT to the whole group, so this does."""
    family = descendants(service.process.pid)
    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(_post, service, picture_bytes(90, size=(3000, 2000))) for _ in range(16)]
        while not any(answer.done() for answer in answers):
            time.sleep(0.001)
        os.killpg(service.process.pid, signal.SIGINT)
        assert [answer.result().status_code for answer in answers] == [200] * 16
    assert service.process.wait(60) == 0
    deadline = time.monotonic() + 30
    while listening(family) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert listening(family) == []
    assert service.process.stdout is not None
    assert service.process.stdout.read() == ""
    log = service.log.read_text()
    first, *requests, last = log.splitlines()
    assert first.startswith("Loading ")
    assert last == "Stopped."
    assert requests
    chatter = [
        line for line in requests if not re.match(r"\d\d:\d\d:\d\d [\w-]+ 127\.0\.0\.1 (GET|POST) '/.*': 4\d\d ", line)
    ]
    assert chatter == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{service.url}/livez")


def test_ctrl_c_while_it_starts_ends_it_cleanly(bundle: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--model", str(bundle), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=PLAIN,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not sockets({process.pid}) and time.monotonic() < deadline:  # Ray is on its way
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out == ""
    assert "Traceback" not in err


def test_a_stop_that_python_ignores_is_kept_and_not_told_of(capfd: pytest.CaptureFixture[str]) -> None:
    class Going:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)  # as Ctrl-C may come inside a finaliser or a hook of a fork

    hook, further = sys.unraisablehook, []
    with _until_stopped() as stop:
        Going()
        further.append("here")
        stop.check()
        further.append("there")
    assert further == ["here"]
    assert capfd.readouterr().err == ""
    assert sys.unraisablehook is hook


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=PLAIN, timeout=120)

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Said
from tests.data.collect.server import Server

Call = Callable[..., Said]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no token, no waiting."""
    monkeypatch.setattr("imgcls_ray.data.collect.client.BACKOFF", 0.01)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "OPENVERSE_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        running.found = {"red rose": [f"/pic/{number}.jpg" for number in range(30)]}
        yield running


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "terms.csv"
    path.write_text("search_term,number_imgs,folder_name,train_val\nred rose,4,roses,train\nred rose,2,roses,val\n")
    return path


def near(server: Server) -> tuple[str, ...]:
    return ("--allow-private", "--rate", "100", "--api", f"{server.url}/v1/images/")


def test_openverse(imgcls: Call, server: Server, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENVERSE_TOKEN", "secret")
    server.token = "secret"  # noqa: S105 - of this server
    words = (
        "collect",
        csv,
        "--out",
        tmp_path / "out",
        *near(server),
        "--license",
        "by",
        "--contact",
        "ann@example.org",
    )
    said = imgcls(*words, "--json")
    assert said.code == 0, said.err
    document = json.loads(said.out)
    assert document.pop("seconds") > 0
    assert document == {
        "asked": 6,
        "found": 20,
        "had": 0,
        "downloaded": 6,
        "skipped": {"there already": 4},
        "failed": {},
        "short": {},
        "interrupted": False,
        "out": str(tmp_path / "out"),
    }
    assert "secret" not in "".join(path.read_text() for path in (tmp_path / "out").glob("*.*"))
    assert "ann@example.org" in server.headers[-1]["User-Agent"]
    said = imgcls(*words)
    assert said.code == 0
    assert "0 pictures fetched, 6 were there, of 6 asked" in said.out
    assert "train/roses 4 of 4 red rose" in said.out


def test_a_csv_of_addresses(imgcls: Call, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "urls.csv"
    path.write_text(f"url,class\n{server.url}/pic/1.jpg,roses\n{server.url}/pic/gone.jpg,tulips\n")
    said = imgcls("collect", path, "--out", tmp_path / "out", "--allow-private")
    assert said.code == 0, said.err
    assert (tmp_path / "out" / "roses" / "roses_1.jpg").is_file()
    assert "HTTP 410: 1" in said.out
    assert "tulips: 1" in said.out


def test_lists_of_addresses(imgcls: Call, server: Server, tmp_path: Path) -> None:
    (tmp_path / "roses.txt").write_text(f"{server.url}/pic/1.jpg\n{server.url}/pic/2.jpg\n")
    path = tmp_path / "terms.csv"
    path.write_text("search_term,number,class\nroses.txt,1,roses\n")
    said = imgcls("collect", path, "--out", tmp_path / "out", "--provider", "urls", "--allow-private", "--json")
    assert json.loads(said.out)["downloaded"] == 1


def test_nothing_at_all_is_a_failure_with_its_causes(imgcls: Call, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "urls.csv"
    path.write_text(f"url,class\n{server.url}/pic/1.jpg,roses\n{server.url}/pic/2.jpg,tulips\n")
    said = imgcls("collect", path, "--out", tmp_path / "out", "--json")
    assert said.code == 1
    assert json.loads(said.out)["failed"] == {"private address": 2}
    assert "No picture could be collected (private address: 2)" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--rate", "0"), "The value of --rate can't be used: input should be greater than 0; received 0"),
        (("--threads", "0"), "The value of --threads"),
        (("--max-mb", "0"), "The value of --max-mb"),
        (("--contact", "a\nb"), "The value of --contact"),
        (("--provider", "openvers"), "received 'openvers'; did you mean 'openverse'?"),
        (("--license", "cc-by"), "A licence is one of by, by-sa"),
        (("--api", "nowhere"), "begins with http"),
        (("--provider", "urls"), "line 2 names"),
        (("--provider", "urls", "--license", "by"), "belong to the provider openverse"),
    ],
)
def test_a_value_that_breaks_a_rule(
    imgcls: Call, csv: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in imgcls("collect", csv, "--out", tmp_path / "out", *words).sentence
    assert not (tmp_path / "out").exists()


def test_files_that_can_not_be_used(imgcls: Call, tmp_path: Path) -> None:
    assert "No such file" in imgcls("collect", tmp_path / "none.csv", "--out", tmp_path / "out").sentence
    (tmp_path / "a.csv").write_text("url,class\nhttp://a/1.jpg,roses\n")
    said = imgcls("collect", tmp_path / "a.csv", "--out", tmp_path / "out", "--provider", "openverse")
    assert "has a column url" in said.sentence
    assert "needs --out" in imgcls("collect", tmp_path / "a.csv").sentence


def test_ctrl_c_prints_what_is_there(server: Server, csv: Path, tmp_path: Path) -> None:
    words = ["imgcls", "collect", str(csv), "--out", str(tmp_path / "out"), *near(server), "--json"]
    program = f"import sys; sys.argv = {words!r}; from imgcls_ray.cli import main; main()"
    server.gate = threading.Event()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
    )
    while len(server.pictures_asked) < 4:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    document = json.loads(out)
    assert (document["interrupted"], document["downloaded"]) == (True, 0)
    assert err.splitlines()[-1].startswith("imgcls: interrupted")

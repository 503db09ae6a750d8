"""Which addresses are taken, and how fast a dead one is told."""

import contextlib
import io
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgcls_ray.errors import ClusterError, SettingsError
from imgcls_ray.tracking.location import check_reachable, hide, resolve_uri, sqlite_file


def test_the_default_is_a_database_under_the_storage_root(tmp_path: Path) -> None:
    uri = resolve_uri(tmp_path, None)
    assert uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert sqlite_file(uri) == tmp_path / "mlflow.db"


def test_a_relative_database_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_uri(tmp_path, "sqlite:///runs/x.db") == f"sqlite:///{tmp_path}/runs/x.db"


@pytest.mark.parametrize("uri", ["http://h:5000", "https://h", "postgresql://u:p@h/d", "mysql+pymysql://h/d"])
def test_servers_and_databases_are_taken_as_they_are(tmp_path: Path, uri: str) -> None:
    assert resolve_uri(tmp_path, uri) == uri
    assert resolve_uri(tmp_path, f"{uri}/") == uri


@pytest.mark.parametrize("uri", ["file:/data/mlruns", "file:///data/mlruns", "/data/mlruns", "./mlruns"])
def test_folders_are_refused_with_the_command_that_brings_them_over(tmp_path: Path, uri: str) -> None:
    with pytest.raises(SettingsError, match=r"mlflow migrate-filestore --source .*mlruns --target sqlite:///"):
        resolve_uri(tmp_path, uri)


@pytest.mark.parametrize(
    "uri", ["sqlite://x", "sqlite:///", "sqlite:///:memory:", "s3://x", "http://", "ftp://u:geheim@h"]
)
def test_other_addresses_are_refused_without_their_password(tmp_path: Path, uri: str) -> None:
    with pytest.raises(SettingsError) as error:
        resolve_uri(tmp_path, uri)
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("name", ["what?", "50%", "a#b"])
def test_paths_that_an_address_can_not_hold_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="may not hold"):
        resolve_uri(tmp_path / name, None)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "postgresql://me:geheim@127.0.0.1:9/db"])
def test_what_does_not_answer_is_told_without_its_password(uri: str) -> None:
    with pytest.raises(ClusterError, match="must answer") as error:
        check_reachable(uri)
    assert "geheim" not in str(error.value)


def test_hiding_keeps_what_is_no_secret() -> None:
    assert hide("postgresql://me:secret@host/db") == "postgresql://host/db"
    assert hide("http://host:1") == "http://host:1"


@pytest.fixture
def port() -> Iterator[int]:
    """Something that is no tracking server, and answers all that is said to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):  # closed: the test is over
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_something_else_at_the_address_is_told(port: int) -> None:
    with pytest.raises(ClusterError, match="must answer"):
        check_reachable(f"http://127.0.0.1:{port}")


def test_a_server_is_asked_without_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: asked.append(url) or io.BytesIO())
    check_reachable("https://me:geheim@host:5000/ml")
    assert asked == ["https://host:5000/ml/health"]

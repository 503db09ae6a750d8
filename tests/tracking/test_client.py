"""Opening the store: once, quietly, and with a sentence where it can't be."""

import subprocess
import sys
from pathlib import Path

import pytest

from imgcls_ray.errors import ClusterError, StorageError
from imgcls_ray.tracking.client import connect, experiment_id
from imgcls_ray.tracking.location import resolve_uri


def test_a_new_database_is_made_without_a_word(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from imgcls_ray.tracking.client import connect\n"
        "connect('sqlite:///' + sys.argv[1])\n"
        "import mlflow; sys.exit(mlflow.get_tracking_uri() == 'sqlite:///' + sys.argv[1])"
    )
    file = tmp_path / "deep" / "mlflow.db"
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert file.exists()


def test_reading_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Nothing is recorded"):
        connect(resolve_uri(tmp_path, None), create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("This is a letter, not a database. " * 50)
    with pytest.raises(StorageError, match="not a database"):
        connect(resolve_uri(tmp_path, None))


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be created"):
        connect(resolve_uri(tmp_path / "file" / "deep", None))


def test_a_dead_server_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="does not"):
        connect("http://127.0.0.1:9")


def test_the_experiment_is_made_once(storage: Path) -> None:
    uri = resolve_uri(storage, None)
    client = connect(uri)
    first = experiment_id(client, uri, storage)
    assert experiment_id(client, uri, storage) == first
    assert client.get_experiment(first).artifact_location == str(storage / "mlartifacts")


def test_import_loads_no_mlflow() -> None:
    rooms = "imgcls_ray.tracking.tracker, imgcls_ray.tracking.registry, imgcls_ray.tracking.ui"
    code = f"import sys, {rooms}; sys.exit(bool({{'mlflow', 'tensorflow', 'ray'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

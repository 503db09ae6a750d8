"""A node may lack what this machine has: `auto` then goes on by TensorFlow; an engine asked for by name is missed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from imgcls_ray.embeddings import cluster
from imgcls_ray.embeddings.job import EmbeddingJob, Task
from imgcls_ray.errors import SettingsError
from imgcls_ray.models import NO_WEIGHTS
from tests.embeddings.made import make_set

MISSING = "The engine 'openvino' needs the package openvino"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[EmbeddingJob, list[Task]]:
    """A job whose second worker stands on a node without OpenVINO; no Ray."""
    prepared = make_set(tmp_path / "set")

    def made(_job: EmbeddingJob, tasks: list[Task], _program: object, engine: str) -> Iterator[list[str]]:
        for number, task in enumerate(tasks):
            if engine == "openvino" and number:
                raise SettingsError(f"{MISSING}.")
            task.target.write_text(engine)
            yield [str(task.target)]

    monkeypatch.setattr(cluster, "check_running", lambda: None)
    monkeypatch.setattr("ray.put", lambda thing: thing)
    monkeypatch.setattr(cluster, "_program", lambda _job, engine: None if engine == "tensorflow" else object())
    monkeypatch.setattr(cluster, "_made", made)
    tasks = [Task(entry, 0, tmp_path / entry.file) for entry in prepared.index.shards]
    return EmbeddingJob.of(prepared, "mobilenet_0.25", NO_WEIGHTS), tasks


def test_auto_goes_on_by_tensorflow_with_what_is_left(asked: tuple[EmbeddingJob, list[Task]]) -> None:
    told: list[tuple[int, int]] = []
    assert cluster.compute(*asked, "auto", lambda done, total: told.append((done, total))) == "tensorflow"
    assert [task.target.read_text() for task in asked[1]] == ["openvino", "tensorflow", "tensorflow", "tensorflow"]
    assert told == [(13, 38), (26, 38), (31, 38), (38, 38)]


def test_an_engine_that_was_asked_for_is_missed(asked: tuple[EmbeddingJob, list[Task]]) -> None:
    with pytest.raises(SettingsError, match=MISSING):
        cluster.compute(*asked, "openvino")

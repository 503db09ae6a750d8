"""The thread that carries records to MLflow loses nothing while that is away, and tells what it could not write."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from requests import HTTPError, Response

from imgcls_ray.tracking.outbox import Outbox
from imgcls_ray.tracking.record import Record
from imgcls_ray.tracking.sender import Sender, _is_final, trouble


class FakeRuns:
    """Writes down what it is to write; `script` may block or raise first."""

    def __init__(self, script: Callable[[Record], None] = lambda record: None, known: bool = True) -> None:
        self.written: list[int] = []
        self.script, self.known = script, known
        self.threads: set[str] = set()

    def find(self) -> bool:
        return self.known

    def write(self, records: Sequence[Record]) -> None:
        self.threads.add(threading.current_thread().name)
        self.script(records[-1])
        self.written += [record.at for record in records]


def sender(folder: Path, runs: FakeRuns, opening: Callable[[], None] = lambda: None) -> tuple[Outbox, Sender]:
    outbox = Outbox(folder, "here")

    def opened() -> Any:
        opening()
        return runs

    return outbox, Sender(outbox, opened)


def fill(outbox: Outbox, count: int = 5) -> None:
    for number in range(count):
        outbox.add(Record(number, tags={"a": "b"}))


def refused(status: int) -> HTTPError:
    """What MLflow's client raises where a store of files answers so."""
    response = Response()
    response.status_code = status
    return HTTPError(f"{status} Client Error", response=response)


def test_no_call_touches_mlflow_in_the_callers_thread(tmp_path: Path) -> None:
    gate = threading.Event()
    runs = FakeRuns(lambda record: gate.wait(60) and None)
    outbox, thread = sender(tmp_path, runs)
    fill(outbox)  # returns though nothing can be written
    assert runs.written == []
    gate.set()
    assert thread.flush(60)
    assert runs.written == [0, 1, 2, 3, 4]
    assert runs.threads == {"mlflow-sender"}
    thread.stop()


def test_a_server_that_is_away_when_it_is_opened_and_later_loses_nothing(tmp_path: Path) -> None:
    away = [2, 3]

    def opening() -> None:
        if away[0]:
            away[0] -= 1
            raise MlflowException("API request failed with exception: connection refused")

    def writing(record: Record) -> None:
        if record.at == 2 and away[1]:
            away[1] -= 1
            raise MlflowException("API request failed with error code 500 != 200")

    outbox, thread = sender(tmp_path, (runs := FakeRuns(writing)), opening)
    fill(outbox)
    assert thread.flush(60)
    assert runs.written == [0, 1, 2, 3, 4]
    assert thread.errors == []
    thread.stop()


def test_what_a_server_that_stays_away_has_not_got_waits_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcls_ray.tracking.sender.SILENT", 0.2)

    def away(record: Record) -> None:
        if record.at == 2:
            raise MlflowException("connection refused")

    outbox, thread = sender(tmp_path, FakeRuns(away))
    fill(outbox, 2)
    assert thread.flush(60)
    for number in (2, 3):
        outbox.add(Record(number, tags={"a": "b"}))
    told: list[str] = []
    assert not thread.flush(1.5, told.append)
    assert told == ["MLflow does not answer (connection refused): 2 records wait for it, for up to 2 s; Ctrl-C ends it"]
    thread.stop()
    outbox, thread = sender(tmp_path, (runs := FakeRuns()))
    assert thread.flush(60)
    assert runs.written == [2, 3]
    thread.stop()


def test_a_server_that_knows_nothing_of_the_study_is_sent_all_of_it(tmp_path: Path) -> None:
    outbox, thread = sender(tmp_path, FakeRuns())
    fill(outbox, 3)
    assert thread.flush(60)
    thread.stop()
    _, thread = sender(tmp_path, (runs := FakeRuns(known=False)))
    assert thread.flush(60)
    assert runs.written == [0, 1, 2]
    thread.stop()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("failed with exception NewConnectionError('[Errno 111] Connection refused'))", "connection refused"),
        ("failed with exception ReadTimeoutError('Read timed out. (read timeout=20)'))", "no answer in time"),
        ("API request failed with error code 503 != 200. Body: '<html>'", "it answers with the error 503"),
        ("(sqlite3.OperationalError) locked\n[SQL: INSERT ...]", "(sqlite3.OperationalError) locked"),
    ],
)
def test_trouble_is_told_in_a_few_words(text: str, words: str) -> None:
    assert trouble(MlflowException(text)) == words


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("Changing param values is not allowed", INVALID_PARAMETER_VALUE),
        KeyError("surprise"),
        refused(413),
    ],
)
def test_an_error_that_stays_is_kept_and_the_rest_is_written(error: Exception, tmp_path: Path) -> None:
    def broken(record: Record) -> None:
        if record.at == 1:
            raise error

    outbox, thread = sender(tmp_path, (runs := FakeRuns(broken)))
    fill(outbox, 3)
    assert thread.flush(60)
    assert len(thread.errors) == 1
    assert str(error.args[0]) in thread.errors[0]
    assert runs.written == [0, 2]
    thread.stop()


@pytest.mark.parametrize(
    ("status", "final"),
    [(400, True), (413, True), (422, True), (401, False), (403, False), (404, False), (429, False), (503, False)],
)
def test_a_store_of_files_has_a_last_word_on_a_file_not_on_who_sends_it(status: int, final: bool) -> None:
    assert _is_final(refused(status)) == final

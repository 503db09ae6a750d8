"""Records outlive a kill; each address knows how far it has got them."""

from dataclasses import replace
from pathlib import Path

import pytest

from imgcls_ray.errors import StorageError
from imgcls_ray.tracking.outbox import OUTBOX, Outbox
from imgcls_ray.tracking.record import DataSplit, Record, grouped, read_line

WHOLE = Record(
    at=5,
    trial=0,
    start={},
    params={"a": "1"},
    metrics={"loss": float("inf")},
    step=0,
    tags={"t": "it's\nodd"},
    marks={"best": (0,)},
    data=(DataSplit("pets", "ab", "test", {"pictures": "3"}),),
    files=(("settings.yaml", ""),),
    status="FINISHED",
)


@pytest.mark.parametrize("record", [WHOLE, replace(WHOLE, trial=None, start=None), Record(1), Record(1, 0)])
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    line = record.line()
    assert line.count(b"\n") == 1
    assert read_line(line) == record


def test_what_is_not_sent_waits_over_a_kill(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "here")
    for number in range(3):
        outbox.add(Record(number))
    outbox.sent(2)
    with (tmp_path / OUTBOX).open("ab") as file:
        file.write(b'{"at": 3')  # a kill in the middle of a line
    again = Outbox(tmp_path, "here")
    again.add(Record(4))
    assert [record.at for record in again.waiting()] == [2, 4]
    assert [record.at for record in Outbox(tmp_path, "here").waiting()] == [2, 4]
    assert [record.at for record in Outbox(tmp_path, "elsewhere").waiting()] == [0, 1, 2, 4]


def test_a_damaged_line_is_told(tmp_path: Path) -> None:
    (tmp_path / OUTBOX).write_bytes(b"\x00\x01\n")
    with pytest.raises(StorageError, match="damaged"):
        Outbox(tmp_path, "here")


def test_metrics_that_pile_up_are_written_together_and_nothing_overtakes() -> None:
    loss = {"loss": 1.0}
    records = [
        Record(0, start={}),
        Record(1, 0, start={}),
        Record(2, 0, metrics=loss, step=1),
        Record(3, 1, start={}),
        Record(4, 1, metrics=loss, step=1),
        Record(5, 0, metrics=loss, step=2),
        Record(6, 0, metrics=loss, status="FINISHED"),
        Record(7, 0, metrics=loss, step=3),
    ]
    assert [[record.at for record in group] for group in grouped(records)] == [[0], [1], [2, 5], [3], [4], [6], [7]]

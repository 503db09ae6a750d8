"""What a study tells becomes lines in its outbox: each once, whatever was killed in between."""

from dataclasses import replace
from pathlib import Path

from imgcls_ray.search.listener import TrialOutcome
from imgcls_ray.tracking.outbox import OUTBOX, Outbox
from imgcls_ray.tracking.record import BEST, FRONT, LEADER, REASON, STATE, Record
from imgcls_ray.tracking.recorder import VALUE, Recorder

from .conftest import INFO, outcome, tell_study, tell_trial


def recorder(folder: Path) -> Recorder:
    """As after a start of the program."""
    return Recorder("/storage", lambda name: Outbox(folder / name, "here"))


def records(folder: Path) -> list[Record]:
    return Outbox(folder / INFO.name, "here").records


def of(found: list[Record], trial: int | None) -> list[Record]:
    return [record for record in found if record.trial == trial]


def test_a_trial_has_its_settings_its_conditions_its_epochs_and_its_end(tmp_path: Path) -> None:
    tell_study(recorder(tmp_path), (outcome(0, 0.5), outcome(1, 0.3, "failed", epochs=1)))
    first, *epochs, end, data = of(records(tmp_path), 0)
    assert first.start is not None
    assert first.start["imgcls.trial"] == "0"
    assert first.params == {"dropout": "0.3"}
    assert first.tags["imgcls.seed"] == "7"
    assert first.tags["imgcls.data.test_fingerprint"] == "3" * 12
    assert [(epoch.step, epoch.metrics["loss"]) for epoch in epochs] == [(1, 1.0), (2, 0.5)]
    assert (end.status, end.tags[STATE], end.metrics["best_val_accuracy"]) == ("FINISHED", "complete", 0.5)
    assert [split.context for split in data.data] == ["training", "validation", "test"], "trial 0 is the best"
    failed = of(records(tmp_path), 1)[-1]
    assert (failed.status, failed.tags[REASON]) == ("FAILED", "It was failed.")


def test_the_study_ends_with_its_marks(tmp_path: Path) -> None:
    tell_study(recorder(tmp_path), (outcome(0, 0.5), outcome(1, 0.7)))
    end = of(records(tmp_path), None)[-1]
    assert end.marks == {BEST: (1,), LEADER: (1,)}
    assert FRONT not in end.tags
    assert (end.metrics["trials"], end.metrics["best_val_accuracy"], end.status) == (2.0, 0.7, "FINISHED")


def kill_at_each_step(trials: tuple[TrialOutcome, ...], whole: bytes, folder: Path) -> list[list[Record]]:
    """What the outbox holds after a start that was killed at each of its lines, and one that went to the end."""
    found = []
    places = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    for end in [0, *places, *(place + 9 for place in places[:-1])]:  # between two lines, and in one
        here = folder / str(end)
        (here / INFO.name).mkdir(parents=True)
        (here / INFO.name / OUTBOX).write_bytes(whole[:end])
        again = recorder(here)
        again.study_started(INFO)
        # The study's journal is ahead of the outbox: it may know of ends that did not get here.
        again.trial_restored(trials[0], {1: trials[0].value or 0, 2: 2 * (trials[0].value or 0)})
        for trial in trials[1:]:
            tell_trial(again, trial)
        found.append(records(here))
    return found


def test_after_a_kill_at_any_line_each_epoch_is_there_once_and_each_trial_ends(tmp_path: Path) -> None:
    trials = (outcome(0, 0.5), outcome(1, 0.7), outcome(2, 0.6))
    first = recorder(tmp_path / "whole")
    first.study_started(INFO)
    for trial in trials:
        tell_trial(first, trial)
    whole = (tmp_path / "whole" / INFO.name / OUTBOX).read_bytes()
    for found in kill_at_each_step(trials, whole, tmp_path):
        for trial in trials:
            lines = of(found, trial.number)
            assert lines[0].start is not None
            assert lines[-1].tags[STATE] == "complete"
            steps = [line.step for line in lines if line.is_metrics]
            epochs = [line.step for line in lines if line.is_metrics and VALUE not in line.metrics]
            assert sorted(set(steps)) == [1, 2], "none is lost"
            assert len(epochs) == len(set(epochs)), "none is there twice"
        assert {line.start["imgcls.storage"] for line in of(found, None) if line.start} == {"/storage"}


def test_an_epoch_that_differs_is_another_one(tmp_path: Path) -> None:
    listener = recorder(tmp_path)
    listener.study_started(INFO)
    listener.trial_started(0, outcome(0, 0.5).params)
    listener.epoch_ended(0, 1, {"loss": 1.0, "seconds": 1.0})
    again = recorder(tmp_path)
    again.study_started(INFO)
    again.epoch_ended(0, 1, {"loss": 1.0000001, "seconds": 9.0})  # from a checkpoint: the same
    again.epoch_ended(0, 1, {"loss": 1.2, "seconds": 9.0})  # with half the batch, after it ran out of memory
    assert [line.metrics["loss"] for line in of(records(tmp_path), 0) if line.is_metrics] == [1.0, 1.2]


def test_an_error_ends_what_was_running(tmp_path: Path) -> None:
    listener = recorder(tmp_path)
    listener.study_started(INFO)
    tell_trial(listener, outcome(0, 0.5))
    listener.trial_started(1, outcome(1, 0.7).params)
    listener.broke_off("KILLED")
    last = {record.trial: record.status for record in records(tmp_path)}
    assert last == {None: "KILLED", 0: "FINISHED", 1: "KILLED"}


def test_a_trial_that_goes_on_loses_the_reason_of_its_first_end(tmp_path: Path) -> None:
    listener = recorder(tmp_path)
    listener.study_started(INFO)
    tell_trial(listener, outcome(0, 0.5, "pruned"))
    again = recorder(tmp_path)
    again.study_started(replace(INFO, trials=9))
    again.trial_started(0, outcome(0, 0.5).params)
    assert of(records(tmp_path), 0)[-1].tags[REASON] == ""

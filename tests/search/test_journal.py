import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from imgcls_ray.config import TrialSettings
from imgcls_ray.errors import StorageError
from imgcls_ray.search.journal import JOURNAL, earlier, note_outcome, open_journal, read_study, sole_driver
from imgcls_ray.search.listener import TrialOutcome
from imgcls_ray.search.rows import trial_rows

FLOAT = optuna.distributions.FloatDistribution(0, 1)


def study(folder: Path) -> optuna.Study:
    storage = open_journal(folder)
    return optuna.create_study(storage=storage, study_name="s", direction="maximize", load_if_exists=True)


def outcome(number: int, value: float, state: str = "complete") -> TrialOutcome:
    settings = TrialSettings(dropout=0.25)
    return TrialOutcome(number, state, value, settings, 3, 1.5, {"val_accuracy": value})  # type: ignore[arg-type]


def test_what_ended_and_what_was_cut_off_is_found_again(tmp_path: Path) -> None:
    first = study(tmp_path)
    done, cut = first.ask({"dropout": FLOAT}), first.ask({"dropout": FLOAT})
    done.report(0.5, 1)
    note_outcome(done, outcome(0, 0.5), 0.5)
    first.tell(done, 0.5)
    cut.report(0.25, 1)
    left = earlier(study(tmp_path))
    assert left.ended == (outcome(0, 0.5),)
    assert left.values == {0: {1: 0.5}}
    assert [trial.number for trial in left.cut_off] == [1]
    assert left.cut_off[0].intermediate_values == {1: 0.25}


@pytest.mark.parametrize(("told", "state"), [(0.5, TrialState.COMPLETE), (None, TrialState.PRUNED)])
def test_a_kill_between_the_note_and_the_telling_loses_nothing(
    tmp_path: Path, told: float | None, state: TrialState
) -> None:
    trial = study(tmp_path).ask({"dropout": FLOAT})
    trial.report(0.5, 1)
    note_outcome(trial, outcome(0, 0.5), told)
    left = earlier(study(tmp_path))
    assert [ended.number for ended in left.ended] == [0]
    assert left.cut_off == ()
    assert study(tmp_path).trials[0].state == state


def test_a_last_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    study(tmp_path).ask({"dropout": FLOAT})
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"x"')
    again = study(tmp_path)
    again.ask({"dropout": FLOAT})
    assert [trial.number for trial in study(tmp_path).trials] == [0, 1]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom imgcls_ray.search.journal import sole_driver\n"
        "with sole_driver(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StorageError, match="run by another one"), sole_driver(tmp_path):
            pass
        other.kill()
    with sole_driver(tmp_path):  # the system took the lock from the killed one
        pass


def test_rows_stand_with_the_best_first(tmp_path: Path) -> None:
    running = study(tmp_path)
    for number, value in enumerate((0.5, 0.75, 0.0)):
        trial = running.ask({"dropout": FLOAT})
        state = "failed" if value == 0 else "complete"
        note_outcome(trial, outcome(number, value, state), value)
        running.tell(trial, value)
    cut = running.ask({"dropout": FLOAT})
    cut.report(0.6, 1)
    cut.report(0.55, 2)
    rows = trial_rows(read_study(tmp_path, "s"))
    assert [(row.number, row.state, row.value, row.epochs) for row in rows] == [
        (1, "complete", 0.75, 3),
        (3, "running", 0.6, 2),
        (0, "complete", 0.5, 3),
        (2, "failed", None, 3),
    ]
    assert rows[0].params == {"dropout": 0.25}
    assert set(rows[0].to_json()) == {"number", "state", "value", "params", "epochs", "seconds"}


def test_reading_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="has no trial yet"):
        read_study(tmp_path, "s")
    assert not list(tmp_path.iterdir())

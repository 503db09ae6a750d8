from pathlib import Path

import pytest

from imgcls_ray.config import SearchSettings
from imgcls_ray.errors import SettingsError, StorageError
from imgcls_ray.search.parameters import Fixed, Float
from imgcls_ray.search.record import RESULT, StudyRecord, deciding, known_study, newest_unfinished, read_record
from imgcls_ray.search.space import SearchSpace


def record(high: float = 0.5, **settings: object) -> StudyRecord:
    search = SearchSettings.model_validate(settings)
    dropout = Float(type="float", low=0, high=high, default=0.25)
    space = SearchSpace(parameters={"dropout": dropout, "epochs": Fixed(value=3)})
    return StudyRecord("s", "/data", search.trials, deciding(search, space))


def test_more_trials_and_more_machines_are_no_difference() -> None:
    record(trials=5).check(record(trials=9, concurrency=4, time_budget="5m", space="other", checkpoint_seconds=1))


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (record(seed=1), r"search\.seed of 's' was 0 and is now 1"),
        (record(high=0.6), r"space\.dropout"),
        (record(sampler="random"), r"search\.sampler of 's' was tpe and is now random"),
        (record(trials=4), "more trials, not fewer"),
    ],
)
def test_whatever_decides_the_results_is_named_when_it_differs(now: StudyRecord, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        record(trials=5).check(now)


def test_it_is_read_back(tmp_path: Path) -> None:
    record().write(tmp_path)
    assert read_record(tmp_path) == record()
    assert read_record(tmp_path / "none") is None
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(StorageError, match="damaged"):
        read_record(tmp_path)


def test_the_newest_unfinished_study_of_the_data_is_found(tmp_path: Path) -> None:
    import os

    for number, name in enumerate(("old", "new", "done")):
        record().write(tmp_path / name)
        os.utime(tmp_path / name / "study.json", (number, number))
    (tmp_path / "done" / RESULT).write_text("{}")
    assert newest_unfinished(tmp_path, "/data") == "new"
    with pytest.raises(StorageError, match="no unfinished study of /other"):
        newest_unfinished(tmp_path, "/other")
    with pytest.raises(StorageError, match=r"did you mean 'done'"):
        known_study(tmp_path, "doen")

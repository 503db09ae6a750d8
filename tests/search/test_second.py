"""Two objectives: what the sampler is told, what the journal keeps, which trials are shown."""

import json
import time
from itertools import count
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from imgcls_ray.config import SearchSettings, Size, TrialSettings
from imgcls_ray.errors import SettingsError
from imgcls_ray.search.continuing import best_first, fitting, with_second
from imgcls_ray.search.journal import earlier, open_journal, read_study
from imgcls_ray.search.listener import StudyListener, TrialOutcome, pareto_front
from imgcls_ray.search.objective import Objective, Second, directions
from imgcls_ray.search.parameters import Choice, Fixed, Float, Int
from imgcls_ray.search.proposals import Proposals, key
from imgcls_ray.search.rows import trial_rows
from imgcls_ray.search.sampler import OptunaSampler
from imgcls_ray.search.samplers import check_sampler
from imgcls_ray.search.second import LATENCIES, architectures, check_second, latencies, second_values
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.training.job import Input

SPACE = SearchSpace(
    parameters={
        "head_width": Int(type="int", low=8, high=512, log=True, default=64),
        "dropout": Float(type="float", low=0, high=0.5, default=0.25),
        "epochs": Fixed(value=3),
    }
)
INPUTS = {("cnn", "native"): Input(Size(16, 16), 3, 2, False)}
ACCURACY, SIZE = Objective(), Second("size_mb")


def width(settings: TrialSettings) -> float:
    return settings.head_width / 100


def study(folder: Path | None = None) -> optuna.Study:
    storage = open_journal(folder) if folder else None
    return optuna.create_study(
        storage=storage, study_name="s", directions=directions(ACCURACY, SIZE), load_if_exists=True
    )


def make(kept: optuna.Study, sampler: str = "tpe", concurrency: int = 1) -> OptunaSampler:
    proposals = Proposals(kept, SPACE, SearchSettings.model_validate({"sampler": sampler}), concurrency)
    left = earlier(kept)
    return OptunaSampler(
        proposals, ACCURACY, 40, concurrency, time.monotonic() + 60, StudyListener(), left, second=width
    )


def report(epoch: int, accuracy: float) -> dict[str, object]:
    names = ("val_loss", "loss", "accuracy")
    return {"epoch": epoch, "val_accuracy": accuracy, "kept": True, **dict.fromkeys(names, 1 - accuracy)}


def outcome(number: int, value: float | None, second: float | None, loss: float = 1.0) -> TrialOutcome:
    state = "failed" if value is None else "complete"
    return TrialOutcome(number, state, value, TrialSettings(), 1, 1.0, {"val_loss": loss}, second=second)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_both_values_are_told_and_a_stopped_trial_has_none(sampler: str, tmp_path: Path) -> None:
    kept = study(tmp_path)
    asked = make(kept, sampler)
    for number in range(12):
        name = str(number)
        assert isinstance(asked.suggest(name), dict)
        asked.on_trial_result(name, report(1, 0.5))
        if number % 3 == 1:
            asked.on_trial_complete(name, report(1, 0.5))
        elif number == 5:
            asked.on_trial_complete(name, None, error=True)
        else:
            asked.on_trial_complete(name, report(3, 0.75))
    widths = [trial.params["head_width"] / 100 for trial in kept.trials]
    for trial in kept.trials:
        if trial.number % 3 == 1:
            assert (trial.state, trial.values) == (TrialState.PRUNED, None)
        else:
            seen = max(widths[:6])
            expected = [0.0, seen] if trial.number == 5 else [0.75, widths[trial.number]]
            assert (trial.state, trial.values) == (TrialState.COMPLETE, expected)
    assert [ended.second for ended in asked.outcomes] == widths


def test_a_study_that_was_killed_goes_on_with_the_values_of_each_epoch(tmp_path: Path) -> None:
    first = make(study(tmp_path), concurrency=2)
    for name in ("a", "b"):
        first.suggest(name)
        first.on_trial_result(name, report(1, 0.5))
        first.on_trial_result(name, report(2, 0.25))
    first.on_trial_complete("a", report(3, 0.75))
    again = study(tmp_path)
    left = earlier(again)
    assert left.values == {0: {1: 0.5, 2: 0.25, 3: 0.75}}
    assert (left.ended[0].value, left.ended[0].second) == (0.75, 0.64)
    assert [row.to_json(pair=True)["values"] for row in trial_rows(read_study(tmp_path, "s"))] == [
        [0.75, 0.64],
        [0.5, None],
    ]
    second = make(again, concurrency=2)
    taken = second.suggest("b")
    assert isinstance(taken, dict)
    assert taken["number"] == 1
    for epoch in (2, 3):
        second.on_trial_result("b", report(epoch, 0.5))
    second.on_trial_complete("b", report(3, 0.5))
    assert earlier(study(tmp_path)).values[1] == {1: 0.5, 2: 0.25, 3: 0.5}, "an epoch that was heard of stays"
    rows = trial_rows(read_study(tmp_path, "s"))
    assert [(row.number, row.front) for row in rows] == [(0, True), (1, again.trials[1].params["head_width"] < 64)]
    assert "values" not in rows[0].to_json()


def test_a_kill_between_the_note_and_the_telling_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = make(study(tmp_path))
    asked.suggest("a")
    monkeypatch.setattr(asked._proposals, "tell", lambda *_: None)
    asked.on_trial_complete("a", report(3, 0.75))
    again = study(tmp_path)
    assert again.trials[0].state == TrialState.RUNNING
    earlier(again)
    assert again.trials[0].values == [0.75, 0.64]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_the_sampler_looks_for_both(sampler: str) -> None:
    """Accuracy falls with dropout, and grows with the width up to 64: wider is but larger. At random 1 to 5 of 20."""
    pytest.importorskip({"gp": "torch"}.get(sampler, "optuna"))
    asked = make(study(), sampler)
    for number in count():
        suggested = asked.suggest(str(number))
        if suggested == Searcher.FINISHED:
            break
        assert isinstance(suggested, dict)
        settings = suggested["settings"]
        asked.on_trial_complete(str(number), report(3, min(settings["head_width"], 64) / 64 - settings["dropout"]))
    late = [ended.params for ended in asked.outcomes[-20:]]
    assert sum(params.head_width < 80 and params.dropout < 0.15 for params in late) >= 7
    assert len({key(ended.params) for ended in asked.outcomes}) == 40


def test_the_front_has_what_no_other_beats_and_the_smallest_first() -> None:
    trials = [
        outcome(0, 0.5, 2.0),
        outcome(1, 0.75, 2.0),
        outcome(2, 0.5, 1.0),
        outcome(3, 0.75, 3.0),
        outcome(4, 0.875, 4.0, loss=0.5),
        outcome(5, 0.875, 4.0, loss=0.25),
        outcome(6, None, 0.5),
        outcome(7, 0.9, None),
    ]
    assert [trial.number for trial in pareto_front(trials, float)] == [2, 1, 5]
    assert [trial.number for trial in pareto_front(trials, lambda value: -value)] == [2]
    assert pareto_front([], float) == ()


def test_trials_of_a_study_with_one_objective_are_known_to_one_with_two(tmp_path: Path) -> None:
    old = optuna.create_study(storage=open_journal(tmp_path), study_name="s", direction="maximize")
    asked = OptunaSampler(
        Proposals(old, SPACE, SearchSettings(), 1), ACCURACY, 40, 1, time.monotonic() + 60, StudyListener()
    )
    for name, last in (("a", 3), ("b", 1)):
        asked.suggest(name)
        asked.on_trial_complete(name, report(last, 0.75))
    known = fitting(old, SPACE)
    pairs = with_second(known, SPACE, width)
    assert [trial.values for trial in pairs] == [[0.75, 0.64], None]
    assert best_first(pairs, old.directions[0]) == pairs[:1]
    kept = study()
    proposals = Proposals(kept, SPACE, SearchSettings(), 1, pairs, [pairs[0].params])
    pair = OptunaSampler(proposals, ACCURACY, 40, 1, time.monotonic() + 60, StudyListener(), second=width)
    pair.suggest("a")
    pair.on_trial_complete("a", report(3, 0.5))
    assert [trial.values for trial in kept.trials] == [[0.5, 0.64]]
    assert [(trial.values, trial.intermediate_values) for trial in fitting(kept, SPACE)] == [([0.5], {3: 0.5})]


def test_cmaes_takes_one_objective() -> None:
    with pytest.raises(SettingsError, match=r"'cmaes' takes one objective; received .*size_mb"):
        check_sampler(SearchSettings(sampler="cmaes", second_objective="size_mb"), SPACE)
    check_sampler(SearchSettings(sampler="random", second_objective="size_mb"), SPACE)


def test_the_networks_that_are_timed_are_told_apart_by_what_makes_them_slow() -> None:
    space = SearchSpace(
        parameters={
            "backbone": Choice(type="choice", values=["cnn", "mobilenet_v2_0.35"], default="cnn"),
            "cnn_width": Choice(type="choice", values=[8, 16], default=8, when={"backbone": "cnn"}),
            "head_width": Int(type="int", low=8, high=512, default=64),
        }
    )
    names = {"cnn at native, 3 blocks of 8", "cnn at native, 3 blocks of 16", "cnn at native, 3 blocks of 32"}
    assert set(architectures(space)) == {*names, "mobilenet_v2_0.35 at native"}
    many = space.replaced("cnn_width", Int(type="int", low=4, high=256, default=8))
    check_second(SearchSettings(second_objective="size_mb"), many)
    with pytest.raises(SettingsError, match=r"at most 64; this space has 254: give cnn_blocks"):
        check_second(SearchSettings(second_objective="latency_ms"), many)


def test_latencies_that_were_measured_are_not_measured_again(tmp_path: Path) -> None:
    space = SearchSpace(parameters={"cnn_width": Choice(type="choice", values=[8, 16], default=8)})
    known = dict.fromkeys(architectures(space), 1.5)
    (tmp_path / LATENCIES).write_text(json.dumps(known))
    assert latencies(space, INPUTS, tmp_path) == known
    told: list[str] = []
    value = second_values(Second("latency_ms"), space, INPUTS, tmp_path, told.append)
    assert value(TrialSettings(cnn_width=16, head_layers=2)) == 1.5
    assert told[0].startswith("one picture on one CPU takes 1.5 ms (cnn at native, 3 blocks of 8), 1.5 ms")


def test_the_size_grows_with_the_network(tmp_path: Path) -> None:
    value = second_values(SIZE, SPACE, INPUTS, tmp_path, print)
    assert value(TrialSettings(cnn_width=4)) < value(TrialSettings(cnn_width=8))
    head = value(TrialSettings(cnn_width=4, head_layers=1, head_width=100)) - value(TrialSettings(cnn_width=4))
    assert head == pytest.approx(4 * (16 * 100 + 100 + 100 * 2 + 2 - (16 * 2 + 2)) / 1e6)
    assert list(tmp_path.iterdir()) == []

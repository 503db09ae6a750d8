from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from imgcls_ray.config import SearchSettings, Size, TrialSettings
from imgcls_ray.errors import SettingsError
from imgcls_ray.search.admission import check_defaults
from imgcls_ray.search.constraints import Constraints
from imgcls_ray.search.loading import load_space
from imgcls_ray.search.parameters import AnyParameter, Choice, Float, Int
from imgcls_ray.search.proposals import Proposals
from imgcls_ray.search.record import deciding
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.training.job import Input

INPUTS = {("cnn", "native"): Input(Size(16, 16), 3, 2, False)}
SMALL, LARGE = 4, 64
WIDTH = Choice(type="choice", values=[SMALL, LARGE], default=SMALL)


def space(limits: str, parameters: str, folder: Path) -> SearchSpace:
    file = folder / "space.yaml"
    file.write_text(f"parameters: {parameters}\nconstraints: {limits}\n")
    return load_space(str(file))


def test_they_are_a_section_of_the_space_and_count_for_what_a_study_is(tmp_path: Path) -> None:
    found = space("{parameters: 5e6, memory_mb: 2000}", "{backbone: cnn, epochs: 3}", tmp_path)
    assert found.constraints == Constraints(parameters=5e6, memory_mb=2000)
    narrowed = found.narrowed(SearchSettings(epochs=2))
    assert narrowed.constraints == found.constraints
    parts = deciding(SearchSettings(), narrowed)
    assert (parts["space.constraints.parameters"], parts["space.constraints.memory_mb"]) == ("5000000.0", "2000.0")
    assert not any("constraints" in name for name in deciding(SearchSettings(), SearchSpace(parameters={})))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("{parameter: 5}", r"constraints\.parameter: extra inputs are not permitted"),
        ("{parameters: 0}", r"constraints\.parameters: input should be greater than 0"),
        ("5", "constraints: input should be"),
    ],
)
def test_wrong_ones_are_told(limits: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=words):
        space(limits, "{backbone: cnn}", tmp_path)


def bound(limit: Constraints, default: int = SMALL, **more: AnyParameter) -> SearchSpace:
    parameters = {"cnn_width": WIDTH.model_copy(update={"default": default}), **more}
    return SearchSpace(parameters=parameters, constraints=limit)


def test_each_limit_is_checked() -> None:
    small, large = TrialSettings(cnn_width=SMALL), TrialSettings(cnn_width=LARGE)
    for limit, words in (
        (Constraints(parameters=20_000), "parameters, allowed are 20,000"),
        (Constraints(memory_mb=5), "MB of memory, allowed are 5.0"),
    ):
        assert limit.broken(small, INPUTS, 1) is None
        assert words in (limit.broken(large, INPUTS, 1) or "")
    assert Constraints().broken(large, {}, 1) is None, "nothing is built without a limit"


def test_the_defaults_must_keep_to_them() -> None:
    limit = Constraints(parameters=20_000)
    check_defaults(bound(limit), INPUTS, 1)
    with pytest.raises(SettingsError, match=r"they take 1,\d{3},\d{3} parameters.*: choose smaller defaults"):
        check_defaults(bound(limit, default=LARGE), INPUTS, 1)
    with pytest.raises(SettingsError, match="none of 100 settings drawn from the space keeps to them"):
        check_defaults(bound(Constraints(parameters=10)), INPUTS, 1)


def proposals(sampler: str, drawn: SearchSpace) -> Proposals:
    settings = SearchSettings.model_validate({"sampler": sampler})
    return Proposals(
        optuna.create_study(direction="maximize"), drawn, settings, 1, admits=lambda one: one.cnn_width <= SMALL
    )


def run(asked: Proposals, trials: int) -> list[TrialSettings]:
    found = []
    for _ in range(trials):
        proposal = asked.next()
        if proposal is None:
            break
        asked.tell(proposal[0], TrialState.COMPLETE, 0.5)
        found.append(proposal[1])
    return found


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_what_breaks_them_is_asked_for_anew_and_is_no_trial(sampler: str) -> None:
    asked = proposals(sampler, bound(Constraints(), head_layers=Int(type="int", low=0, high=3, default=0)))
    found = run(asked, 100)
    assert asked.size == len(found) == 4
    assert {settings.cnn_width for settings in found} == {SMALL}
    assert [trial.number for trial in asked.study.trials] == [0, 1, 2, 3]
    assert (asked.refused > 0) == (sampler != "grid")


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_space_without_an_end_is_drawn_from_for_as_long_as_it_gives_something(sampler: str) -> None:
    dropout = Float(type="float", low=0, high=0.5, default=0.25)
    found = run(proposals(sampler, bound(Constraints(), dropout=dropout)), 20)
    assert len(found) == 20
    assert {settings.cnn_width for settings in found} == {SMALL}
    width = Choice(type="choice", values=[LARGE, 2 * LARGE], default=LARGE)
    none = proposals(sampler, SearchSpace(parameters={"cnn_width": width, "dropout": dropout}))
    assert run(none, 20) == []
    assert none.refused >= 1000

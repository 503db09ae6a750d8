"""The second stage: its space, its share of the budget, what it starts from."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import FixedTrial, TrialState

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.errors import SettingsError
from imgcls_ray.search.budget import Budget
from imgcls_ray.search.finetuning import FineTuning, choose_starts, earlier_starts
from imgcls_ray.search.listener import TrialOutcome
from imgcls_ray.search.loading import load_space
from imgcls_ray.search.objective import ACCURACY, Objective
from imgcls_ray.search.proposals import Proposals
from imgcls_ray.search.record import deciding
from imgcls_ray.search.samplers import check_sampler
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.training.job import trial_seed

PROBE = "parameters:\n  backbone: mobilenet_v2_0.35\n  dropout: {type: float, low: 0.0, high: 0.5, default: 0.1}\n"
SECTION = (
    "finetune:\n"
    "  unfrozen_layers: {type: choice, values: [4, 10], default: 10}\n"
    "  learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2, log: true, default: 1.0e-3}\n"
    "  epochs: 4\n"
)


def space(tmp_path: Path, text: str = PROBE + SECTION) -> SearchSpace:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    return load_space(str(path))


def tuning(tmp_path: Path) -> FineTuning:
    whole = space(tmp_path)
    starts = {7: TrialSettings(backbone="a", dropout=0.4, epochs=9), 2: TrialSettings(backbone="b", views=3)}
    return FineTuning.of(whole, whole.finetune, starts)


def ended(number: int, accuracy: float | None, state: str = "complete", **settings: object) -> TrialOutcome:
    metrics = {} if accuracy is None else {"val_accuracy": accuracy, "val_loss": 1 - accuracy}
    params = TrialSettings.model_validate(settings)
    return TrialOutcome(number, state, accuracy, params, 3, 1.0, metrics)  # type: ignore[arg-type]


def test_what_the_section_does_not_name_is_as_in_the_probe(tmp_path: Path) -> None:
    second = tuning(tmp_path)
    chosen = {"finetune.from_trial": 7, "finetune.unfrozen_layers": 4, "finetune.learning_rate": 2e-3}
    settings = second.suggest(FixedTrial(chosen))
    assert settings.model_dump(exclude_unset=True) == {
        "backbone": "a",
        "dropout": 0.4,
        "epochs": 4,
        "from_trial": 7,
        "unfrozen_layers": 4,
        "learning_rate": 2e-3,
    }
    assert second.defaults()["from_trial"] == 7
    assert (second.highest("epochs"), second.highest("unfrozen_layers"), second.highest("views")) == (4, 10, 3)
    assert second.values("backbone") == ["a", "b"]
    assert second.owns(chosen)
    assert not space(tmp_path).owns(chosen)


def test_where_a_trial_starts_decides_its_seed() -> None:
    assert len({trial_seed(0, TrialSettings(from_trial=number)) for number in (None, 0, 1)}) == 3


def test_the_sections_defaults_come_first_from_each_start(tmp_path: Path) -> None:
    """The numbers go on after the probe trials, whose settings the sampler of the second stage does not see."""
    study = optuna.create_study(direction="maximize")
    probe, second = space(tmp_path), tuning(tmp_path)
    asked = Proposals(study, probe, SearchSettings(), 1)
    for _ in range(3):
        proposal = asked.next()
        assert proposal
        asked.tell(proposal[0], TrialState.COMPLETE, 0.5)
    assert earlier_starts(study) == ()
    again: list[TrialSettings] = []
    for count in range(6):  # each as a process does that takes the study up
        asked = Proposals(study, second, SearchSettings(), 1, first=second.firsts())
        assert asked.suggested == count
        proposal = asked.next()
        assert proposal
        assert proposal[0].number == 3 + count
        asked.tell(proposal[0], TrialState.COMPLETE, 0.5)
        again.append(proposal[1])
    assert [(one.from_trial, one.unfrozen_layers, one.learning_rate) for one in again[:2]] == [
        (7, 10, 1e-3),
        (2, 10, 1e-3),
    ]
    assert len({one.model_dump_json() for one in again}) == 6
    assert list(earlier_starts(study)) == [7, 2]
    assert Proposals(study, probe, SearchSettings(), 1).suggested == 3


@pytest.mark.parametrize(
    ("trials", "share", "probes"),
    [(20, 0.25, 15), (10, 0.25, 7), (4, 0.25, 3), (2, 0.01, 1), (1, 0.25, 1), (100, 0.07, 93)],
)
def test_the_share_of_the_trials_is_rounded_up_and_the_defaults_are_probed(
    trials: int, share: float, probes: int
) -> None:
    assert Budget.of(SearchSettings(trials=trials, finetune_share=share), 2).probes == probes


def test_time_is_divided_as_the_trials_are_and_one_stage_has_all() -> None:
    settings = SearchSettings(trials=20, time_budget=200, finetune_share=0.4)
    two, one = Budget.of(settings, 2), Budget.of(settings, 1)
    assert (two.probes, two.probe_seconds, one.probes, one.probe_seconds) == (12, 120, 20, 200)
    assert "of 20 trials 12 probe and 8 fine-tune the best of them, probing for at most 120 of 200 s" in two.describe()


def test_backbones_come_before_heads_and_heads_before_settings() -> None:
    probed = [
        ended(0, 0.70, backbone="a"),
        ended(1, 0.80, backbone="a", dropout=0.1),
        ended(2, 0.79, backbone="a", dropout=0.2),
        ended(3, 0.60, backbone="b"),
        ended(4, 0.50, backbone="b", head="light"),
        ended(5, None, "failed", backbone="c"),
    ]
    assert [trial.number for trial in choose_starts(probed, ACCURACY)] == [1, 3, 4]
    assert [trial.number for trial in choose_starts(probed, ACCURACY, 1)] == [1]
    assert [trial.number for trial in choose_starts(probed[:3], ACCURACY)] == [1, 2, 0]
    assert [trial.number for trial in choose_starts(probed, Objective("val_loss"), 2)] == [1, 3]
    assert choose_starts(probed[5:], ACCURACY) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PROBE + "finetune: 3\n", "must be a mapping with 'unfrozen_layers'"),
        (PROBE + "finetune:\n  epochs: 3\n", "must be a mapping with 'unfrozen_layers'"),
        (PROBE + SECTION + "  head_width: 64\n", "'head_width', which fine-tuning takes from the probe trial"),
        (PROBE + SECTION + "  lerning_rate: 0.1\n", "did you mean 'learning_rate'"),
        (PROBE + "  from_trial: 3\n", "unknown parameter 'from_trial'"),
        (PROBE + SECTION + "  dropout: {type: float, low: 0.0, high: 1.5, default: 0.3}\n", "less than 1"),
        (PROBE + "finetune:\n  unfrozen_layers: 0\n", "1 layer or more"),
        (PROBE + "finetune:\n  unfrozen_layers: {type: int, low: 0, high: 4, default: 2}\n", "1 layer or more"),
        (PROBE + "  unfrozen_layers: 4\n" + SECTION, "train heads alone"),
    ],
)
def test_a_wrong_section_is_told_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        space(tmp_path, text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_user_fixes_holds_in_both_stages(tmp_path: Path) -> None:
    narrow = space(tmp_path).narrowed(SearchSettings(epochs=2, batch_size=8))
    probe, second = narrow.stages
    assert (probe.values("epochs"), second.values("epochs")) == ([2], [2])
    assert probe.values("batch_size") == [8]
    assert "batch_size" not in second.parameters, "it is as in the probe"


def test_section_and_share_decide_a_study(tmp_path: Path) -> None:
    parts = deciding(SearchSettings(), space(tmp_path))
    assert '"high": 0.01' in parts["space.finetune.learning_rate"]
    assert parts["search.finetune_share"] == "0.25"
    assert not any(name.startswith("space.finetune") for name in deciding(SearchSettings(), space(tmp_path, PROBE)))


def test_a_sampler_must_take_both_stages(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no end to the values of 'dropout'"):
        check_sampler(SearchSettings(sampler="grid"), space(tmp_path))
    with pytest.raises(SettingsError, match="no end to the values of 'learning_rate'"):
        check_sampler(SearchSettings(sampler="grid"), space(tmp_path, "parameters:\n  dropout: 0.1\n" + SECTION))

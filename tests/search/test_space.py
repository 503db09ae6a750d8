from pathlib import Path

import optuna
import pytest

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.errors import SettingsError
from imgcls_ray.search.space import SearchSpace, load_space, shipped_spaces


def space(tmp_path: Path, text: str) -> SearchSpace:
    path = tmp_path / "space.yaml"
    path.write_text(f"parameters:\n{text}")
    return load_space(str(path))


@pytest.mark.parametrize("name", sorted(shipped_spaces()))
def test_every_shipped_space_proposes_legal_settings(name: str) -> None:
    shipped = load_space(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(shipped.defaults())
    first = shipped.suggest(study.ask())
    assert first.model_dump(exclude_unset=True) == TrialSettings(**shipped.defaults()).model_dump(exclude_unset=True)
    for _ in range(50):
        shipped.suggest(study.ask())


@pytest.mark.parametrize("name", sorted(shipped_spaces()))
def test_every_shipped_space_opens_with_its_command(name: str) -> None:
    assert shipped_spaces()[name].startswith("# imgcls run DATA")


def test_a_condition_decides_whether_a_parameter_takes_part(tmp_path: Path) -> None:
    conditional = space(
        tmp_path,
        "  head_layers: {type: choice, values: [0, 1, 2], default: 0}\n"
        "  head_width: {type: int, low: 8, high: 64, default: 16, when: {head_layers: [1, 2]}}\n"
        "  activation: {type: choice, values: [relu, tanh], default: relu, when: {head_width: 16}}\n"
        "  dropout: {type: float, low: 0.0, high: 0.5, default: 0.1, unless: {head_layers: [0, 1]}}\n",
    )
    assert conditional.defaults() == {"head_layers": 0}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for layers in (0, 1, 2):
        study.enqueue_trial({"head_layers": layers, "head_width": 16})
        chosen = conditional.suggest(study.ask()).model_fields_set
        more = {"head_width", "activation"} if layers else set()
        assert chosen == {"head_layers"} | more | ({"dropout"} if layers == 2 else set())


def test_narrowing_fixes_what_the_user_gave() -> None:
    narrow = load_space("quick").narrowed(
        SearchSettings(backbones=("cnn", "mobilenet_0.25", "cnn"), image_size=96, epochs=3, batch_size=8)  # type: ignore[arg-type]
    )
    assert narrow.values("backbone") == ["cnn", "mobilenet_0.25"]
    assert narrow.defaults()["backbone"] == "cnn"
    assert (narrow.values("image_size"), narrow.values("epochs"), narrow.values("batch_size")) == (["96"], [3], [8])
    assert "cnn_width" in narrow.defaults()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  learning_rat: 0.1\n", "did you mean 'learning_rate'"),
        ("  dropout: {type: float, low: 0.5, high: 0.1, default: 0.3}\n", "low must not be above high"),
        ("  dropout: {type: float, low: 0.0, high: 1.5, default: 0.3}\n", "dropout: input should be less than 1"),
        ("  dropout: {type: float, low: 0.0, high: 0.5, default: 0.7}\n", "default 0.7 is not within"),
        ("  dropout: {type: float, low: 0.0, high: 0.5, log: true, default: 0.1}\n", "log scale needs low above 0"),
        ("  dropout: {type: float, low: 0.0, high: 0.5, defalt: 0.1}\n", "defalt"),
        ("  dropout: {type: flaot}\n", "'flaot'"),
        ("  optimizer: {type: choice, values: [adam, adma], default: adam}\n", "optimizer"),
        ("  optimizer: {type: choice, values: [adam], default: sgd}\n", "default 'sgd' is none of"),
        ("  optimizer: {type: choice, values: [], default: sgd}\n", "optimizer"),
        ("  dropout: {type: float, low: 0, high: 0.5, default: 0.1, when: {backbone: cnn}}\n", "stands above it"),
        ("  - x\n", "mapping"),
    ],
)
def test_a_wrong_space_is_told_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        space(tmp_path, text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_or_unreadable_space_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'quick'"):
        load_space("quik")
    broken = tmp_path / "broken.yaml"
    broken.write_text("parameters: [")
    with pytest.raises(SettingsError, match="no readable YAML at line 1"):
        load_space(str(broken))
    broken.write_text("params: {}")
    with pytest.raises(SettingsError, match="one key 'parameters'"):
        load_space(str(broken))

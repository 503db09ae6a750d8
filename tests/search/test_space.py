from pathlib import Path

import optuna
import pytest
from optuna.trial import FixedTrial

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.errors import SettingsError
from imgcls_ray.search.loading import load_space, shipped_spaces
from imgcls_ray.search.space import SearchSpace


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


def test_conditions_reach_through_any_depth_in_any_order(tmp_path: Path) -> None:
    """Each stands above what it depends on."""
    deep = space(
        tmp_path,
        "  weight_decay: {type: float, low: 0.0, high: 0.1, default: 0.1, unless: {dropout: 0.5}}\n"
        "  dropout: {type: float, low: 0.0, high: 0.5, step: 0.1, default: 0.3, when: {activation: tanh}}\n"
        "  activation: {type: choice, values: [relu, tanh], default: tanh, when: {head_width: [16, 32]}}\n"
        "  head_width: {type: choice, values: [8, 16, 32], default: 16, when: {head_layers: [1, 2]}}\n"
        "  head_layers: {type: choice, values: [0, 1, 2], default: 1}\n",
    )
    assert list(deep.parameters) == ["head_layers", "head_width", "activation", "dropout", "weight_decay"]
    assert deep.defaults() == {
        "head_layers": 1,
        "head_width": 16,
        "activation": "tanh",
        "dropout": 0.3,
        "weight_decay": 0.1,
    }
    chosen = {"head_layers": 2, "head_width": 32, "activation": "tanh", "dropout": 0.5, "weight_decay": 0.05}
    assert deep.suggest(FixedTrial(chosen)).model_fields_set == {"head_layers", "head_width", "activation", "dropout"}
    chosen["head_width"] = 8
    assert deep.suggest(FixedTrial(chosen)).model_fields_set == {"head_layers", "head_width", "weight_decay"}


def test_whether_a_parameter_takes_part_always_never_or_sometimes(tmp_path: Path) -> None:
    narrow = load_space("quick").narrowed(SearchSettings(epochs=3))
    assert narrow.takes_part("views") == "always"  # unless the backbone is cnn, which it can't be
    assert narrow.takes_part("cnn_blocks") == "never"
    assert narrow.takes_part("head_width") == "sometimes"
    assert "cnn_blocks" not in narrow.searched()
    assert "epochs" not in narrow.searched()
    assert "head_width" in narrow.searched()
    chained = space(
        tmp_path,
        "  head_layers: 0\n"
        "  head_width: {type: int, low: 8, high: 64, default: 8, when: {head_layers: 1}}\n"
        "  activation: {type: choice, values: [relu, tanh], default: relu, unless: {head_width: 8}}\n",
    )
    assert [chained.takes_part(name) for name in chained.parameters] == ["always", "never", "always"]


def test_a_step_gives_round_numbers(tmp_path: Path) -> None:
    """Optuna's third step of 0.1 is 0.30000000000000004."""
    stepped = space(tmp_path, "  dropout: {type: float, low: 0.0, high: 0.5, step: 0.1, default: 0.3}\n")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = {stepped.suggest(study.ask()).dropout for _ in range(60)}
    assert found == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5} == set(stepped.parameters["dropout"].options or ())


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
        ("  dropout: {type: float, low: 0, high: 0.5, default: 0.1, when: {backbone: cnn}}\n", "another of its param"),
        (
            "  optimizer: adam\n"
            "  dropout: {type: float, low: 0, high: 0.5, default: 0.1, when: {optimizer: [adam, sdg]}}\n",
            "the condition of 'dropout': optimizer: input should be",
        ),
        (
            "  dropout: {type: float, low: 0, high: 0.5, default: 0.1, when: {optimizer: adam}}\n"
            "  optimizer: {type: choice, values: [adam, sgd], default: adam, unless: {epochs: 5}}\n"
            "  epochs: {type: int, low: 5, high: 6, default: 5, when: {dropout: 0.1}}\n",
            "go round in a circle: dropout -> optimizer -> epochs -> dropout",
        ),
        ("  dropout: {type: float, low: 0.0, high: 0.5, step: 0.2, default: 0.2}\n", "high must be low plus a number"),
        ("  dropout: {type: float, low: 0.0, high: 0.6, step: 0.2, default: 0.3}\n", "default must be low plus a"),
        ("  head_width: {type: int, low: 8, high: 64, step: 8, default: 12}\n", "default must be low plus a number"),
        ("  head_width: {type: float, low: 64, high: 512, log: true, default: 256}\n", "write 'type: int'"),
        (
            "  backbone: {type: choice, values: [cnn, mobilenet_v2_1.0], default: cnn}\n"
            "  image_size: {type: fixed, value: '160', when: {backbone: cnn}}\n",
            "'image_size' counts in each trial, so it can have no conditions",
        ),
        ("  - x\n", "mapping"),
    ],
)
def test_a_wrong_space_is_told_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        space(tmp_path, text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_size_may_be_a_number(tmp_path: Path) -> None:
    found = space(tmp_path, "  image_size: {type: choice, values: [96, native, 96x128], default: 96}\n")
    assert found.values("image_size") == ["96", "native", "96x128"] and found.defaults()["image_size"] == "96"
    assert space(tmp_path, "  image_size: 160\n").values("image_size") == ["160"]


def test_an_unknown_or_unreadable_space_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'quick'"):
        load_space("quik")
    broken = tmp_path / "broken.yaml"
    broken.write_text("parameters: [")
    with pytest.raises(SettingsError, match="no readable YAML at line 1"):
        load_space(str(broken))
    broken.write_text("params: {}")
    with pytest.raises(SettingsError, match="the key 'parameters'"):
        load_space(str(broken))
    broken.write_text("parameters: {backbone: cnn}\nparameter: {}")
    with pytest.raises(SettingsError, match="unknown section 'parameter'; did you mean 'parameters'"):
        load_space(str(broken))

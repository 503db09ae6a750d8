import importlib.util

import optuna
import pytest

from imgcls_ray.config import SearchSettings
from imgcls_ray.errors import SettingsError
from imgcls_ray.search.loading import load_space
from imgcls_ray.search.parameters import AnyParameter, Choice, Fixed, Float, Int
from imgcls_ray.search.samplers import build_sampler, check_sampler
from imgcls_ray.search.space import SearchSpace

DROPOUT = Float(type="float", low=0, high=0.5, step=0.1, default=0.1)
RATE = Float(type="float", low=1e-4, high=1e-2, log=True, default=1e-3)
OPTIMIZER = Choice(type="choice", values=["adam", "sgd"], default="adam")
LAYERS = Int(type="int", low=0, high=2, default=0)
WIDTH = Int(type="int", low=8, high=64, default=8, when={"head_layers": [1, 2]})


def settings(sampler: str) -> SearchSettings:
    return SearchSettings.model_validate({"sampler": sampler})


def check(sampler: str, **parameters: AnyParameter) -> None:
    check_sampler(settings(sampler), SearchSpace(parameters=parameters))


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if cmaes and torch were installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


def test_tpe_takes_parameters_together_and_counts_running_trials() -> None:
    sampler = build_sampler(settings("tpe"), 8)
    assert isinstance(sampler, optuna.samplers.TPESampler)
    assert sampler._multivariate
    assert sampler._group
    assert sampler._constant_liar
    assert sampler._n_startup_trials == 16


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_these_take_any_space(sampler: str) -> None:
    check_sampler(settings(sampler), load_space("quick"))


@pytest.mark.usefixtures("packages")
def test_a_space_that_a_sampler_can_take_is_let_through() -> None:
    check("grid", dropout=DROPOUT, optimizer=OPTIMIZER, head_layers=LAYERS, head_width=WIDTH)
    check("cmaes", dropout=DROPOUT, learning_rate=RATE)
    check("gp", dropout=DROPOUT, optimizer=OPTIMIZER)
    # The condition holds for every setting of the space, or for none.
    check("cmaes", dropout=DROPOUT, head_layers=Fixed(value=1), head_width=WIDTH)
    check("cmaes", dropout=DROPOUT, learning_rate=RATE, head_layers=Fixed(value=0), head_width=WIDTH)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(
    ("sampler", "parameters", "words"),
    [
        ("grid", {"dropout": DROPOUT, "learning_rate": RATE}, "no end to the values of 'learning_rate'"),
        (
            "grid",
            {"head_width": Int(type="int", low=4, high=4000, default=8), "cnn_width": LAYERS, "batch_size": WIDTH},
            "at most 100,000 settings",
        ),
        ("cmaes", {"dropout": DROPOUT, "optimizer": OPTIMIZER}, "'optimizer' is a choice"),
        ("cmaes", {"head_layers": LAYERS, "head_width": WIDTH}, "takes no conditions, and 'head_width'"),
        ("cmaes", {"dropout": DROPOUT, "epochs": Fixed(value=3)}, "at least two parameters to search; the space has 1"),
        ("gp", {"head_layers": LAYERS, "head_width": WIDTH}, "takes no conditions, and 'head_width'"),
    ],
)
def test_a_pair_that_can_not_work_is_refused_in_a_sentence(
    sampler: str, parameters: dict[str, AnyParameter], words: str
) -> None:
    if "batch_size" in parameters:
        parameters = {**parameters, "batch_size": Int(type="int", low=1, high=64, default=8)}
    with pytest.raises(SettingsError) as caught:
        check(sampler, **parameters)
    assert words in str(caught.value)
    assert "--sampler" in str(caught.value)


@pytest.mark.parametrize(("sampler", "line"), [("cmaes", "pip install cmaes"), ("gp", "pip install torch")])
def test_a_missing_package_is_told_with_the_line_that_gets_it(
    sampler: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=line):
        check(sampler, dropout=DROPOUT, learning_rate=RATE)

from dataclasses import replace
from pathlib import Path

import pytest

from imgcls_ray.config import RunSettings, SearchSettings, Size
from imgcls_ray.data.index import Index, ShardEntry
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import Counts
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.errors import SettingsError
from imgcls_ray.models import NO_WEIGHTS
from imgcls_ray.models.weights import Weights
from imgcls_ray.pipeline.effort import affordable
from imgcls_ray.pipeline.plan import Plan
from imgcls_ray.search.loading import load_space
from imgcls_ray.search.parameters import Choice, Fixed
from imgcls_ray.storage import Storage

NAME, SIZE = "mobilenet_v2_0.35", Size(96, 96)


def plan(limit: float) -> Plan:
    search = SearchSettings(backbones=(NAME,), image_size=SIZE, max_epoch_gmacs=limit)
    weights = Weights("file", Path("unused"), "0")
    space = load_space("quick").narrowed(search)
    settings = RunSettings(data="d", search=search)
    return Plan(settings, Storage(Path()), "s", space, {NAME: weights}, {(NAME, "96"): SIZE})


@pytest.fixture
def sets() -> dict[Size, Preprocessed]:
    shard = ShardEntry("train.h5", "train", 1000, 0, "0")
    index = Index(Labels.of(["a", "b"]), PixelOps(96, 96, "color"), "hdf5", "", "d", (shard,), {}, "")
    return {SIZE: Preprocessed(Path(), index, Counts(1000, 1000, 0, 0), {})}


def test_what_is_cheap_stays(sets: dict[Size, Preprocessed]) -> None:
    space, note = affordable(plan(60), sets, gpus=False)
    assert space.values("unfrozen_layers") == [0, 4, 10]
    assert note == ""


def test_what_is_too_slow_is_left_out_and_told(sets: dict[Size, Preprocessed]) -> None:
    space, note = affordable(plan(1), sets, gpus=False)
    assert space.values("unfrozen_layers") == [0]
    assert space.defaults()["unfrozen_layers"] == 0
    assert "search.max_epoch_gmacs" in note
    assert "the last 4 layers" in note
    assert affordable(plan(1), sets, gpus=True)[1] == ""


def test_what_the_space_fixes_or_starts_from_nothing_is_left_alone(sets: dict[Size, Preprocessed]) -> None:
    fixed = plan(1e-6)
    space = fixed.space.replaced("unfrozen_layers", Fixed(value=10))
    assert affordable(replace(fixed, space=space), sets, gpus=False) == (space, "")
    scratch = replace(fixed, weights={NAME: NO_WEIGHTS})
    assert affordable(scratch, sets, gpus=False)[1] == ""


def test_more_layers_than_a_backbone_has_are_left_out_and_told(sets: dict[Size, Preprocessed]) -> None:
    few = plan(1e6)
    many = Choice(type="choice", values=[0, 4, 190], default=190)
    space, note = affordable(replace(few, space=few.space.replaced("unfrozen_layers", many)), sets, gpus=False)
    assert (space.values("unfrozen_layers"), space.defaults()["unfrozen_layers"]) == ([0, 4], 4)
    assert note == "not trained, because there are not so many layers: the last 190"
    none = many.model_copy(update={"values": [190], "default": 190})
    with pytest.raises(SettingsError, match="received 190 to unfreeze"):
        affordable(replace(few, space=few.space.replaced("unfrozen_layers", none)), sets, gpus=False)

"""What a plan tells of a main job before it starts."""

from pathlib import Path

import pytest

from imgcls_ray.config import RunSettings, SearchSettings, TrackingSettings
from imgcls_ray.pipeline.plan import make_plan
from tests.conftest import write_tree


@pytest.mark.parametrize(("given", "name"), [("my flowers", "my-flowers"), ("roses", "roses"), (None, "data")])
def test_a_model_has_the_name_that_it_gets_in_the_registry(given: str | None, name: str, tmp_path: Path) -> None:
    """Else what the result names could not be promoted."""
    data = write_tree(tmp_path / "data", classes=2, each=4)
    tracking, search = TrackingSettings(model_name=given), SearchSettings(backbones=("cnn",))
    plan = make_plan(RunSettings(data=str(data), storage=str(tmp_path / "runs"), tracking=tracking, search=search))
    assert plan.model_name == name
    assert plan.resolved.tracking.model_name == name


def test_for_a_cluster_the_weights_lie_in_the_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "mine.h5").write_bytes(b"weights")
    settings = RunSettings(
        data=str(write_tree(tmp_path / "pictures", classes=2, each=3)),
        storage=str(tmp_path / "runs"),
        weights=(str(tmp_path / "mine.h5"),),
        search=SearchSettings(backbones=("mobilenet_0.25",)),
    )
    here = make_plan(settings).weights["mobilenet_0.25"]
    there = make_plan(settings.model_copy(update={"address": "head:6379"})).weights["mobilenet_0.25"]
    assert here.path == (tmp_path / "mine.h5").resolve()
    assert there.path and there.path.parent == tmp_path / "runs" / "weights" and there.sha256 == here.sha256

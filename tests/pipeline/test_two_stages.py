"""A run of two stages, from pictures to a bundle."""

import json
from pathlib import Path

import pytest

from imgcls_ray import api
from imgcls_ray.bundle.bundle import load_bundle
from imgcls_ray.errors import SettingsError
from tests.random_weights import NAME, random_weights

SPACE = f"""
parameters:
  backbone: {NAME}
  learning_rate: {{type: float, low: 1.0e-4, high: 1.0e-2, log: true, default: 1.0e-3}}
  epochs: 2
finetune:
  unfrozen_layers: {{type: choice, values: [2, 4], default: 4}}
  learning_rate: {{type: float, low: 1.0e-4, high: 1.0e-2, log: true, default: 1.0e-3}}
  dropout: 0.2
"""


def settings(folder: Path, pictures: Path, resume: bool = False, **search: object) -> api.RunSettings:
    space = folder / "space.yaml"
    space.write_text(SPACE)
    chosen = {"space": str(space), "image_size": 32, "trials": 3, "concurrency": 1, **search}
    weights = [str(random_weights(folder))]
    flags = {"data": str(pictures), "storage": str(folder / "s"), "study": "two", "resume": resume, "weights": weights}
    return api.load_settings(api.RunSettings, flags={**flags, "search": chosen})


@pytest.mark.timeout(500)
def test_a_run_tells_what_fine_tuning_brought(ray_local: None, pictures: Path, tmp_path: Path) -> None:
    result = api.run(settings(tmp_path, pictures))
    document = json.loads(json.dumps(result.to_json()))
    assert [trial.params.from_trial is None for trial in result.study.trials] == [True, True, False]
    probe, tuned = document["stages"]["probe"], document["stages"]["finetune"]
    assert probe["trial"] in (0, 1)
    assert probe["from_trial"] is None
    assert (tuned["trial"], tuned["from_trial"]) == (2, probe["trial"])
    for stage in (probe, tuned):
        assert 0 <= stage["test_accuracy"] <= 1
        assert stage["value"] == stage["val_accuracy"] == result.study.trials[stage["trial"]].value
    used = next((one for one in (probe, tuned) if one["trial"] == result.study.best.number), None)
    assert used is None or used["test_accuracy"] == result.test.accuracy
    assert load_bundle(Path(result.bundle)).card.settings.get("from_trial") == result.study.best.params.from_trial

    with pytest.raises(SettingsError, match=r"search\.finetune_share of 'two' was 0\.25 and is now 0\.5"):
        api.run(settings(tmp_path, pictures, resume=True, finetune_share=0.5))

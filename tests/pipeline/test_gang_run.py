"""The main job with two workers a trial, end to end."""

import time
from pathlib import Path

import ray

from imgcls_ray import api
from tests.conftest import write_tree


def free() -> dict[str, float]:
    return {name: amount for name, amount in ray.available_resources().items() if name in ("CPU", "memory")}


def test_two_workers_train_every_trial_and_give_all_back(ray_local: None, tmp_path: Path) -> None:
    before = free()
    assert before["CPU"] == 2
    flags = {
        "data": str(write_tree(tmp_path / "pictures", classes=2, each=20)),
        "storage": str(tmp_path / "runs"),
        "search": {"backbones": ["cnn"], "image_size": 16, "trials": 2, "epochs": 2, "workers": 2},
    }
    document = api.run(api.load_settings(api.RunSettings, flags=flags)).to_json()
    assert document["workers"] == 2
    assert document["trials"] == 2
    assert document["failed"] == 0
    assert Path(document["model"]["bundle"], "model.keras").is_file()
    deadline = time.monotonic() + 20
    while free() != before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert free() == before
    study = tmp_path / "runs" / "studies" / document["study"]
    assert not list(study.glob("gang-*")), "Ray Train's notes are gone with the gang"

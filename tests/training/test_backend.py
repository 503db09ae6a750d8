"""The backend tells TensorFlow who the workers are, and sets nothing else."""

import json
import os

import pytest

from imgcls_ray.training.backend import _address, _set_tf_config


def test_only_tf_config_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "")
    before = set(os.environ)
    _set_tf_config(["10.0.0.1:5000", "10.0.0.2:5001"], 1)
    assert set(os.environ) == before
    assert json.loads(os.environ["TF_CONFIG"]) == {
        "cluster": {"worker": ["10.0.0.1:5000", "10.0.0.2:5001"]},
        "task": {"type": "worker", "index": 1},
    }


def test_an_address_has_a_port_of_its_own(ray_local: None) -> None:
    hosts, ports = zip(*(_address().rsplit(":", 1) for _ in range(2)), strict=True)
    assert len(set(hosts)) == 1
    assert all(1024 <= int(port) < 65536 for port in ports)

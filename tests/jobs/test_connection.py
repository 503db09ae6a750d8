"""Which Ray a command ends up with. Where a cluster runs: test_cluster.py."""

import json

import pytest

from imgcls_ray import quiet
from imgcls_ray.jobs import connection
from imgcls_ray.jobs.connection import cluster


def test_a_ray_that_is_there_is_used_and_stays(ray_local: None) -> None:
    import ray

    node = ray.nodes()[0]["NodeID"]
    with cluster("127.0.0.1:1"):
        assert ray.nodes()[0]["NodeID"] == node
    assert ray.is_initialized()


def test_what_a_job_was_submitted_with_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    assert not connection.inside_job()
    assert connection._runtime_env() == {"env_vars": quiet.SETTINGS}

    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert connection.inside_job()
    plain = connection._runtime_env()
    assert plain["env_vars"] == quiet.SETTINGS
    assert plain["worker_process_setup_hook"] == "imgcls_ray.jobs.folder.leave"

    job = {"runtime_env": {"env_vars": {"TF_CPP_MIN_LOG_LEVEL": "0"}, "worker_process_setup_hook": "mine"}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    assert connection._runtime_env() == {
        "env_vars": {name: value for name, value in quiet.SETTINGS.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    }

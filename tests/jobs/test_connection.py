"""Which Ray a command ends up with."""

import json
import sys
import time

import pytest

from imgcls_ray import quiet
from imgcls_ray.jobs import connection
from imgcls_ray.jobs.connection import cluster
from tests.jobs.conftest import TwoNodes, free_ports

SCRIPT = """
import json, os, sys
from pathlib import Path
from imgcls_ray.errors import ImgclsError
from imgcls_ray.jobs.connection import cluster
from tests.processes import LOOPBACK, descendants, listening

def look(address=None):
    import ray
    try:
        with cluster(address):
            ray.get(ray.remote(lambda: None).remote())  # a worker is there
            ours = listening(descendants(os.getpid()))
            beyond = [address for address in ours if not address.startswith(LOOPBACK)]
            return {"nodes": len(ray.nodes()), "ports": len(ours), "beyond": beyond}
    except ImgclsError as error:
        return {"error": str(error), "code": error.exit_code}

found = [look(address) for address in json.loads(sys.argv[1])]
print(json.dumps(found))
"""


def look(two_nodes: TwoNodes, *addresses: str | None, **variables: str | None) -> list[dict[str, object]]:
    """What one process finds in `cluster(address)`, address after address."""
    variables = {"PYTHONPATH": ":".join(sys.path), **variables}
    done = two_nodes.run(sys.executable, "-c", SCRIPT, json.dumps(addresses), **variables)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_a_local_ray_is_started_beside_a_running_cluster(two_nodes: TwoNodes) -> None:
    """Joined, on its own, joined again: in one process, because being on loopback must not outlive the local Ray."""
    first, local, again = look(two_nodes, two_nodes.address, None, two_nodes.address)
    assert first["nodes"] == again["nodes"] == 2
    assert local["nodes"] == 1
    assert int(str(local["ports"])) > 3
    assert local["beyond"] == []


def test_ray_address_is_joined_and_an_address_wins_over_it(two_nodes: TwoNodes) -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    assert [found["nodes"] for found in look(two_nodes, None, RAY_ADDRESS=two_nodes.address)] == [2]
    assert [found["nodes"] for found in look(two_nodes, two_nodes.address, RAY_ADDRESS=nobody)] == [2]


def test_a_cluster_that_wants_its_token_says_so_at_once(two_nodes: TwoNodes) -> None:
    """Ray would not send the token unasked to an address that was given; alone it tries for 20 seconds."""
    started = time.monotonic()
    [found] = look(two_nodes, two_nodes.address, RAY_AUTH_MODE=None)
    assert "set RAY_AUTH_MODE=token" in str(found["error"])
    assert found["code"] == 2
    assert time.monotonic() - started < 19


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

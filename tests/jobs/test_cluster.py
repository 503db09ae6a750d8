"""The main job as a Ray job on two nodes, with token authentication, and who else joins them."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import write_tree
from tests.docs.blocks import blocks
from tests.jobs.conftest import RAY, TwoNodes, free_ports

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
SHARED = "/shared/imgcls-runs"

FREE = """
import json, time
import ray

ray.init(address="auto", logging_level="ERROR", log_to_driver=False)
total = ray.cluster_resources()
for _ in range(100):
    free = ray.available_resources()
    if free == total:
        break
    time.sleep(0.1)
print(json.dumps([total, free]))
"""

LOOK = """
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


def submit(two_nodes: TwoNodes, *words: str) -> subprocess.CompletedProcess[str]:
    done = two_nodes.run(*RAY, "job", "submit", "--working-dir", ".", "--log-style", "record", "--", *words)
    assert "401" not in done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def job(two_nodes: TwoNodes) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The job of docs/cluster.md, with two trials that go on until time is over, and its document.

    They go on, because a node takes longer to load TensorFlow than a trial on such pictures takes.
    """
    [block] = [block for block in blocks(PAGE) if "ray job submit" in block.text and not block.not_run]
    data = write_tree(two_nodes.root / "pictures", classes=2, each=40)
    command = block.text.strip().replace(SHARED, str(two_nodes.root / "runs"))
    small = "--backbone cnn --image-size 24 --trials 2 --epochs 10000 --time-budget 20s --json"
    done = two_nodes.run("bash", "-ec", f"{command} {small}", DATA=str(data))
    document = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert document, done.stdout + done.stderr
    return done, json.loads(document[-1])


def test_the_page_shows_what_the_tests_do() -> None:
    """The other commands are those of the fixture, which gives them ports of their own."""
    text = "".join(block.text for block in blocks(PAGE) if block.language == "sh" and not block.not_run)
    assert text.splitlines() == [
        "export RAY_AUTH_MODE=token",
        "ray get-auth-token --generate > /dev/null",
        "chmod 600 ~/.ray/auth_token",
        "ray start --head",
        "export RAY_AUTH_MODE=token",
        "ray start --address=$HEAD:6379",
        "export RAY_AUTH_MODE=token",
        f"ray job submit --working-dir . -- imgcls run $DATA --storage {SHARED}",
    ]


def test_the_token_is_made_as_the_page_says(tmp_path: Path) -> None:
    [first, *_] = [block.text for block in blocks(PAGE)]
    home = {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    subprocess.run(["bash", "-ec", first.partition("ray start")[0]], check=True, env=home, capture_output=True)
    token = tmp_path / ".ray" / "auth_token"
    assert len(token.read_text()) >= 32
    assert token.stat().st_mode & 0o077 == 0


def test_the_job_succeeds_and_ends_in_a_registered_model(
    two_nodes: TwoNodes, job: tuple[subprocess.CompletedProcess[str], dict[str, Any]]
) -> None:
    done, document = job
    assert done.returncode == 0
    assert document["trials"] == 2
    assert document["failed"] == 0
    assert document["workers"] == 1
    assert document["images"]["used"] == 80
    assert (document["model"]["name"], document["model"]["version"]) == ("pictures", 1)
    from imgcls_ray import api

    bundle = api.load_model("models:/pictures@champion", str(two_nodes.root / "runs"))
    assert bundle.labels.names == ("class0", "class1")


def test_the_document_is_the_last_line_of_the_jobs_log(
    two_nodes: TwoNodes, job: tuple[subprocess.CompletedProcess[str], dict[str, Any]]
) -> None:
    done, document = job
    [name] = set(re.findall(r"raysubmit_\w+", done.stdout))
    logs = two_nodes.run(*RAY, "job", "logs", name)
    lines = [line for line in logs.stdout.splitlines() if line]
    assert json.loads(lines[-1]) == document
    assert len(lines) < 60


def test_both_nodes_trained_at_the_same_time(
    two_nodes: TwoNodes, job: tuple[subprocess.CompletedProcess[str], dict[str, Any]]
) -> None:
    """By the processes that reported: on which node each ran, says Ray, and from when to when, say Tune's notes."""
    study = two_nodes.root / "runs" / "studies" / job[1]["study"]
    [notes] = sorted(study.glob("tune*/experiment_state-*.json"))[-1:]
    results = [json.loads(state)["last_result"] for _, state in json.loads(notes.read_text())["trial_data"]]
    node_of = {actor["pid"]: actor["node_id"] for actor in two_nodes.get("actors") if actor["node_id"]}
    first, second = ((r["timestamp"] - r["time_total_s"], r["timestamp"]) for r in results)
    assert len({node_of[result["pid"]] for result in results}) == 2
    assert min(first[1], second[1]) > max(first[0], second[0])


def test_everything_is_free_afterwards(
    two_nodes: TwoNodes, job: tuple[subprocess.CompletedProcess[str], dict[str, Any]]
) -> None:
    done = two_nodes.run(sys.executable, "-c", FREE, RAY_ADDRESS=two_nodes.address)
    assert done.returncode == 0, done.stderr
    total, free = json.loads(done.stdout)
    assert total["CPU"] == 2
    assert {name: free.get(name) for name in ("CPU", "memory")} == {name: total[name] for name in ("CPU", "memory")}
    assert {group["state"] for group in two_nodes.get("placement_groups")} <= {"REMOVED"}


def test_a_wrong_request_is_a_failed_job_with_its_sentence_and_exit_code(two_nodes: TwoNodes, pictures: Path) -> None:
    done = submit(two_nodes, "imgcls", "run", str(pictures), "--backbone", "cnn")
    assert done.returncode == 1  # that is ray job submit's own
    assert "failed with exit code 2" in done.stdout + done.stderr
    assert "imgcls: Inside a Ray job the storage must be named" in done.stdout


def look(two_nodes: TwoNodes, *addresses: str | None, **variables: str | None) -> list[dict[str, object]]:
    """What one process finds in `cluster(address)`, address after address."""
    variables = {"PYTHONPATH": ":".join(sys.path), **variables}
    done = two_nodes.run(sys.executable, "-c", LOOK, json.dumps(addresses), **variables)
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

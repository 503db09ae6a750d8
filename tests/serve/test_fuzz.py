"""Odd requests are answered or refused in a sentence: none is an error of ours, and none hangs.

IMGCLS_TEST_REQUESTS=10000 pytest tests/serve/test_fuzz.py
"""

import os
import time
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from serve.model.explaining import Explained, NotExplained
from serve.model.predictor import Predictor
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.serve.fuzz import Odd, odd_request

REQUESTS = int(os.environ.get("IMGCLS_TEST_REQUESTS", "600"))
"""More of them by hand."""
PARTS = 4


async def no_heat(_picture: bytes, label: str | None) -> Explained | NotExplained:
    return NotExplained(422, f"There is no class {label!r:.20}.")


@pytest.fixture(scope="module")
def slowest() -> Iterator[list[tuple[float, int]]]:
    """Seconds and seed of each request; the longest are told at the end."""
    times: list[tuple[float, int]] = []
    yield times
    print("slowest (seconds, seed):", sorted(times)[-3:])


@pytest.fixture
def client(predictor: Predictor) -> Iterator[TestClient]:
    predictor.warm_up()
    settings = ServeSettings(model="stand-in", max_body_bytes=200_000, max_pixels=10_000, max_pictures=4)
    with TestClient(build_app(predictor, settings, no_heat), raise_server_exceptions=False) as client:
        yield client


def sent(client: TestClient, odd: Odd) -> tuple[int, str]:
    headers = {name: value.encode("latin-1", "replace") for name, value in odd.headers.items()}
    answer = client.post(odd.url, content=odd.body, headers=headers)  # type: ignore[arg-type]
    if answer.status_code != 200:
        told = answer.json()
        assert told["success"] is False and told["error"].endswith((".", "?")) and told["request_id"], told
    return answer.status_code, answer.text[:300]


@pytest.mark.timeout(60 + REQUESTS)
@pytest.mark.parametrize("part", range(PARTS))
def test_odd_requests_get_an_answer_or_a_sentence(
    client: TestClient, part: int, slowest: list[tuple[float, int]]
) -> None:
    statuses: set[int] = set()
    for seed in range(part, REQUESTS, PARTS):
        odd, started = odd_request(seed), time.perf_counter()
        status, text = sent(client, odd)
        slowest.append((time.perf_counter() - started, seed))
        assert status < 500 or status == 503, (seed, odd.url, text)
        statuses.add(status)
    assert {200, 400, 415, 422} <= statuses

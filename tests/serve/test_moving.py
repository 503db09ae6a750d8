"""Aliases that move a hundred times while requests are answered: none fails, and none is answered by two versions."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from imgcls_ray.errors import ImageError
from imgcls_ray.tracking.registry import Located
from serve.model.follower import Follower
from serve.model.predictor import Predictor
from serve.model.served import Arm, Served
from serve.model.traffic import Traffic, place_of
from serve.record.meters import Meters
from serve.settings import ServeSettings
from serve.web.app import build_app
from tests.serve.conftest import BrightnessBundle, picture_bytes

MOVES, CLIENTS, WEIGHT = 100, 3, 0.5
CHAMPIONS, CANARIES = ("1", "2"), ("3", "4")


class Signed(BrightnessBundle):
    """Says its version's number in hundredths of every picture, so that an answer shows who gave it."""

    def __init__(self, version: str) -> None:
        super().__init__()
        self.path, self._said = Path(version), int(version) / 100

    def answers_of(self, decoded: list[np.ndarray | ImageError]) -> list[np.ndarray | ImageError]:
        return [np.array([self._said, 1 - self._said], np.float32) for _ in decoded]


def load(found: Located) -> Served:
    return Served(Signed(str(found.version)), found.version)  # type: ignore[arg-type]


class Alias:
    """What a follower finds, and the follower."""

    def __init__(self, arm: Arm, versions: tuple[str, str], meters: Meters) -> None:
        self._versions, self._now = versions, 0
        arm.served = load(self._find())
        self._follower = Follower(arm, meters, self._find, load)

    def _find(self) -> Located:
        return Located(Path(self._versions[self._now]), self._versions[self._now])

    def move(self) -> None:
        """To the other version, which is answering when this returns."""
        self._now = 1 - self._now
        self._follower.look()


def test_no_request_fails_and_none_is_mixed(settings: ServeSettings) -> None:
    meters = Meters()
    predictor = Predictor(load(Located(Path("1"), "1")), settings.model_copy(update={"max_waiting": 64}))
    predictor.ready = True
    canary = Arm("canary")
    predictor.traffic = Traffic(predictor.champion, canary, WEIGHT)
    aliases = [Alias(predictor.champion, CHAMPIONS, meters), Alias(canary, CANARIES, meters)]
    answers = asyncio.run(_asked_while_moved(predictor, aliases, settings, meters))
    assert {answer.status_code for answer in answers} == {200}
    for answer in answers:
        body = answer.json()
        version, canarys = body["model"]["version"], place_of(body["request_id"]) < WEIGHT
        assert version in (CANARIES if canarys else CHAMPIONS)
        said = [one["probability"] for result in body["results"] for one in _bright(result)]
        assert said == pytest.approx([int(version) / 100] * 2)
    versions = {answer.json()["model"]["version"] for answer in answers}
    assert versions == {*CHAMPIONS, *CANARIES}


def _bright(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in result["predictions"] if one["label"] == "bright"]


async def _asked_while_moved(
    predictor: Predictor, aliases: list[Alias], settings: ServeSettings, meters: Meters
) -> list[httpx.Response]:
    """The answers that clients get during `MOVES` moves of each alias; between two moves there is at least one."""
    transport = httpx.ASGITransport(build_app(predictor, settings, meters=meters))
    files = [("img", picture_bytes(brightness)) for brightness in (10, 240)]
    answers: list[httpx.Response] = []
    answered, moved = asyncio.Event(), asyncio.Event()

    async def ask(number: int, http: httpx.AsyncClient) -> None:
        count = 0
        while not moved.is_set():
            count += 1
            name = {"X-Request-ID": f"{number}-{count}"}
            answers.append(await http.post("/classify", files=files, headers=name))
            answered.set()

    async def move() -> None:
        try:
            for _ in range(MOVES):
                answered.clear()
                await answered.wait()
                await asyncio.to_thread(lambda: [alias.move() for alias in aliases])
        finally:
            moved.set()

    async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
        await asyncio.gather(move(), *(ask(number, http) for number in range(CLIENTS)))
    return answers

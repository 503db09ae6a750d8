"""What the benchmark of faults calls a wrong answer."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from _load import Answer
from serve_faults import misfits


def answer(version: str, first: float, labels_of: str | None = None) -> Answer:
    names = [f"v{labels_of or version} {letter}" for letter in "ab"]
    rows = [{"label": names[0], "probability": first}, {"label": names[1], "probability": 1 - first}]
    body = {"predictions": rows, "model": {"name": "faults", "version": version}}
    return Answer(0.0, 0.01, 200, 1, json.dumps(body).encode())


def test_each_version_may_answer_in_its_own_way() -> None:
    assert misfits([answer("1", 0.7), answer("2", 0.4), answer("1", 0.7), answer("2", 0.4)]) == []


@pytest.mark.parametrize("wrong", [answer("2", 0.7, labels_of="1"), answer("2", 0.7)], ids=["labels", "probabilities"])
def test_an_answer_of_another_version_than_it_names_is_found(wrong: Answer) -> None:
    assert misfits([answer("1", 0.7), answer("2", 0.4), wrong]) == [wrong]

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Said
from tests.cli.test_split import data  # noqa: F401 - a fixture

Call = Callable[..., Said]


@pytest.mark.usefixtures("ray_local")
def test_augment(imgcls: Call, data: Path, tmp_path: Path) -> None:  # noqa: F811
    words = ("augment", data, "--out", tmp_path / "out", "--per-class", 20, "--distort", 1, "--erase", 0)
    said = imgcls(*words, "--size", "24x30", "--json")
    assert said.code == 0, said.err
    document = json.loads(said.out)
    assert document["images"] == {"found": 42, "used": 40, "rejected": 1, "duplicates": 1}
    assert document["made"] == sum(document["copies"].values()) == 40 - document["splits"]["train"]
    assert {name: document["originals"][name] + document["copies"][name] for name in ("ant", "bee")} == {
        "ant": 20,
        "bee": 20,
    }
    assert document["short"] == {}
    assert len(list((tmp_path / "out/train").rglob("*.aug-*.jpg"))) == document["made"]
    said = imgcls(*words, "--size", "24x30")
    assert said.code == 0
    assert "0 of them new" in said.out
    assert "--out" in imgcls(*words).sentence  # without a size now


def test_refusals(imgcls: Call, data: Path, tmp_path: Path) -> None:  # noqa: F811
    out = tmp_path / "out"

    def refused(*words: object) -> str:
        return imgcls("augment", data, "--out", out, "--per-class", 20, *words).sentence

    assert "--crop" in refused("--crop", 2)
    assert "--size" in refused("--size", "x")
    assert "--format" in refused("--format", "gif")
    assert "test set" in refused("--test-fraction", 0)
    assert "all are off" in refused("--flip-horizontal", 0, "--crop", 0, "--rotate", 0, "--erase", 0)
    assert "--per-class" in imgcls("augment", data, "--out", out).sentence
    assert not out.exists()

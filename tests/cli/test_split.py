import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Said
from tests.data.test_arrange import patterned

Call = Callable[..., Said]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for label, name in enumerate(("ant", "bee")):
        (root / name).mkdir(parents=True)
        for number in range(20):
            patterned(100 * label + number).save(root / name / f"{number:02}.png")
    shutil.copy(root / "ant/03.png", root / "ant/copy.png")
    (root / "bee/notes.png").write_text("no picture")
    return root


@pytest.mark.usefixtures("ray_local")
def test_split(imgcls: Call, data: Path, tmp_path: Path) -> None:
    said = imgcls("split", data, "--out", tmp_path / "out", "--val-fraction", 0.2, "--json")
    assert said.code == 0, said.err
    document = json.loads(said.out)
    assert document["images"] == {"found": 42, "used": 40, "rejected": 1, "duplicates": 1}
    assert document["rejected"] == {"not a picture": 1}
    assert sum(document["splits"].values()) == document["placed"] == 40
    assert document["classes"]["train"].keys() == {"ant", "bee"}
    assert (document["way"], document["out"]) == ("copy", str(tmp_path / "out"))
    said = imgcls("split", data, "--out", tmp_path / "out", "--val-fraction", 0.2, "--link")
    assert said.code == 0
    assert "40 of 42 pictures (1 rejected, 1 duplicates)" in said.out
    assert "1 not a picture" in said.out
    assert "link       0 new" in said.out
    assert len(list(data.rglob("*.png"))) == 42


@pytest.mark.usefixtures("ray_local")
def test_move(imgcls: Call, data: Path, tmp_path: Path) -> None:
    assert imgcls("split", data, "--out", tmp_path / "out", "--test-fraction", 0, "--move").code == 0
    assert {p.name for p in data.rglob("*.png")} == {"copy.png", "notes.png"}
    assert not (tmp_path / "out/test").exists()


def test_refusals(imgcls: Call, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "choose one" in imgcls("split", data, "--out", out, "--link", "--move").sentence
    assert "--val-fraction" in imgcls("split", data, "--out", out, "--val-fraction", 0).sentence
    assert "--test-fraction" in imgcls("split", data, "--out", out, "--test-fraction", 1).sentence
    assert "regular expression" in imgcls("split", data, "--out", out, "--group-by", "(").sentence
    assert "inside" in imgcls("split", data, "--out", data / "out").sentence
    assert str(tmp_path / "none") in imgcls("split", tmp_path / "none", "--out", out).sentence
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.txt").write_text("")
    assert "a.txt" in imgcls("split", data, "--out", tmp_path / "other").sentence
    assert not out.exists()

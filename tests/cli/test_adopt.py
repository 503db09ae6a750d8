"""`imgcls adopt`: labelled pictures into class folders."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Said


def test_adopt(imgcls: Callable[..., Said], tmp_path: Path) -> None:
    kept, data = tmp_path / "kept", tmp_path / "pets"
    for folder in (kept / "pictures", data / "cat", data / "dog"):
        folder.mkdir(parents=True)
    (kept / "pictures" / "a.jpg").write_bytes(b"a")
    table = kept / "predictions-2026-11-29.csv"
    table.write_text("path,label,predicted\npictures/a.jpg,bird,cat\n")
    assert "received 'bird' for pictures/a.jpg" in imgcls("adopt", kept, data).sentence
    table.write_text("path,label,predicted\npictures/a.jpg,dog,cat\npictures/b.jpg,,cat\n")
    said = imgcls("adopt", kept, data)
    assert (said.code, said.out) == (0, "1 picture adopted (1 dog), 0 there already, 1 without a label.\n")
    said = imgcls("adopt", kept, data, "--json")
    assert json.loads(said.out) == {"new": {}, "known": 1, "unlabelled": 1, "moved": 0}

"""docs/shards.md: other programs read our shards with the very lines that the page shows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.data.index import Index, ShardEntry, write_index
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import write_manifest
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.data.shards import FORMATS, shard_format
from tests.data.shards.test_formats import ENCODINGS, shard
from tests.docs.blocks import blocks
from tests.docs.workshop import check_form

PAGE = Path(__file__).parents[3] / "docs" / "shards.md"
NAMES = ("daisy", "rose", "tulip")

CHECK = """
expected = np.load("images.npy")
by_label = lambda pairs: all(int(label) == n % 3 for n, label in enumerate(pairs))
assert np.array_equal(images, expected) and by_label(labels) and names == ["daisy", "rose", "tulip"]
assert len(pictures_of_h5) == 6 and pictures_of_h5[1].size == (48, 32)
assert rows_of_h5.count() == rows.count() == 12
for found in (rows_of_h5.take(6), rows.take(6)):
    assert np.array_equal([row["image"] for row in found], expected) and by_label(row["label"] for row in found)
assert np.array_equal([image for image, _ in samples.take(6)], expected) and by_label(n for _, n in samples.take(6))
assert len(list(samples)) == len(list(pictures)) == 12
assert all(image.shape == (32, 48, 3) for image, _ in pictures)
"""
"""Run after the page's blocks."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page's commands make, from six pictures in two shards."""
    folder = tmp_path_factory.mktemp("page")
    images, _, keys = shard(6, (32, 48, 3))
    labels = np.arange(6) % 3
    np.save(folder / "images.npy", images)
    for name in FORMATS:
        for encoding in ENCODINGS:
            kind = shard_format(name)
            made = folder / (f"flowers-{name}" + "-jpeg" * (encoding == "jpeg"))
            made.mkdir()
            entries = []
            for number in range(2):
                file = made / f"train-{number:05d}{kind.suffix}"
                written = kind.write(file, images, labels, keys, NAMES, encoding)
                entries.append(ShardEntry(file.name, "train", 6, written.bytes, written.sha256))
            index = Index(
                labels=Labels(NAMES),
                pixels=PixelOps(32, 48, "color"),
                format=name,  # type: ignore[arg-type]
                encoding=encoding,
                key="f" * 64,
                fingerprint="f" * 64,
                name="flowers",
                shards=tuple(entries),
                class_counts={"train": [4, 4, 4], "val": [0, 0, 0], "test": [0, 0, 0]},
                manifest_sha256=write_manifest(made, []),
            )
            write_index(made, index)
    return folder


def test_the_lines_on_the_page_read_our_shards(folder: Path) -> None:
    program = ""
    for block in blocks(PAGE):
        if block.language == "python":
            # Later blocks use the names again.
            program += block.text + "\n\n"
            program += "if 'pictures_of_h5' not in globals() and 'pictures' in globals(): pictures_of_h5 = pictures\n"
            program += "if 'rows_of_h5' not in globals() and 'rows' in globals(): rows_of_h5 = rows\n"
    done = subprocess.run(
        [sys.executable, "-c", program + CHECK],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "(32, 48, 3)" in done.stdout
    assert done.stdout.count("whole") == 2
    assert "DAMAGED" not in done.stdout


def test_the_index_on_the_page_has_the_form_of_ours(folder: Path) -> None:
    (shown,) = (block for block in blocks(PAGE) if block.language == "json")
    for made in folder.glob("flowers-*"):
        check_form(json.loads(shown.text), json.loads((made / "index.json").read_text()), shown.place)

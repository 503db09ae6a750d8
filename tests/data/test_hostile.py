"""Each broken or hostile file is refused for its reason, within bounds; each odd one (odd.py) is used."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcls_ray.data.pixels import PixelOps, decode
from tests.data.hostile import encode, hostile_files, noise, write_hostile
from tests.data.odd import odd_files, write_odd

OPS = PixelOps(64, 64, "color")
MEGABYTES = 50

# Run in a process of its own: its peak of memory is set back before each file.
CHILD = """
import json, sys, time
from pathlib import Path
from imgcls_ray.data.pixels import PixelOps, decode
from imgcls_ray.errors import ImageError

def status(key):
    return int(Path("/proc/self/status").read_text().split(key + ":")[1].split()[0]) / 1024

ops = PixelOps(64, 64, "color")
for path in sorted(Path(sys.argv[1]).iterdir()):
    data = path.read_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    before, start = status("VmRSS"), time.perf_counter()
    try:
        outcome = str(decode(data, ops).shape)
    except ImageError as error:
        outcome = error.reason
    seconds = time.perf_counter() - start
    print(json.dumps([path.name, outcome, status("VmHWM") - before, seconds]), flush=True)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("hostile")
    return folder, write_hostile(folder)


@pytest.fixture(scope="module")
def outcomes(corpus: tuple[Path, dict[str, str]]) -> Iterator[dict[str, tuple[str, float, float]]]:
    """Name -> (reason, megabytes, seconds), from one process that meets all of them."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of memory can be set back on Linux only")
    run = subprocess.run([sys.executable, "-c", CHILD, str(corpus[0])], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    found = {name: (outcome, megabytes, seconds) for name, outcome, megabytes, seconds in rows}
    worst = max(found, key=lambda name: found[name][1])
    slowest = max(found, key=lambda name: found[name][2])
    print(f"{len(found)} files; most memory {found[worst][1]:.0f} MB ({worst}), ", end="")
    print(f"longest {1000 * found[slowest][2]:.0f} ms ({slowest})")
    yield found


def test_there_are_more_than_sixty_and_they_are_the_same_each_time(corpus: tuple[Path, dict[str, str]]) -> None:
    folder, causes = corpus
    assert len(causes) >= 60
    for name, (data, _) in hostile_files().items():
        assert Path(folder, name).read_bytes() == data


def test_each_is_refused_for_its_reason_and_none_ends_the_process(
    corpus: tuple[Path, dict[str, str]], outcomes: dict[str, tuple[str, float, float]]
) -> None:
    # The text before the particulars is what manifests and reports count.
    assert {name: outcome[0].split(" (")[0] for name, outcome in outcomes.items()} == corpus[1]


def test_none_takes_much_memory(outcomes: dict[str, tuple[str, float, float]]) -> None:
    assert {name: row[1] for name, row in outcomes.items() if row[1] > MEGABYTES} == {}


def test_odd_files_that_hold_a_picture_are_used(tmp_path: Path) -> None:
    names = write_odd(tmp_path)
    assert len(names) >= 30
    for name in names:
        assert decode(Path(tmp_path, name).read_bytes(), OPS).shape == OPS.shape, name


@pytest.mark.parametrize(
    ("odd", "options"),
    [
        ("trailing-garbage.jpg", {"format": "JPEG"}),
        ("html-in-comment.jpg", {"format": "JPEG"}),
        ("exif-loop.jpg", {"format": "JPEG"}),
        ("text-bombs.png", {"format": "PNG"}),
        ("many-small-chunks.png", {"format": "PNG"}),
        ("animated.png", {"format": "PNG"}),
        ("top-down.bmp", None),
        ("two-pages.tif", {"format": "TIFF"}),
        ("comments.gif", {"format": "GIF"}),
    ],
)
def test_what_is_odd_about_a_file_does_not_change_its_pixels(odd: str, options: dict[str, Any] | None) -> None:
    photo = noise(40, 48)
    plain = encode(photo, **options) if options else encode(photo[..., ::-1], "PNG")
    assert np.array_equal(decode(odd_files()[odd], OPS), decode(plain, OPS))

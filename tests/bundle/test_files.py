"""Each way a bundle's files can be wrong is refused with a sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.bundle.bundle import load_bundle
from imgcls_ray.bundle.files import CHECKED, CHECKSUMS, GOLDEN, read_golden, read_json, verify_files, write_checksums
from imgcls_ray.errors import ModelError


def test_a_good_bundle_passes(made: Path) -> None:
    verify_files(made)


@pytest.mark.parametrize("name", CHECKED)
def test_a_changed_byte_is_found(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(ModelError, match=f"{name}.* changed or damaged"):
        load_bundle(copy)


@pytest.mark.parametrize("name", [*CHECKED, CHECKSUMS])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelError, match=f"has no {name}"):
        load_bundle(copy)


def test_a_file_too_many_is_named(copy: Path) -> None:
    (copy / "run_me.py").write_text("print()")
    with pytest.raises(ModelError, match=r"run_me\.py"):
        load_bundle(copy)


def test_links_are_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "labels.json").rename(tmp_path / "labels.json")
    (copy / "labels.json").symlink_to(tmp_path / "labels.json")
    with pytest.raises(ModelError, match="plain file"):
        load_bundle(copy)


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        load_bundle(tmp_path / "nothing")


@pytest.mark.parametrize(
    "change", [{"format": 3}, {"decoder": 99}, {"files": {}}, {"files": {"../../etc/passwd": "00"}}, {"files": None}]
)
def test_checksums_of_another_kind_are_refused(copy: Path, change: dict[str, object]) -> None:
    document = json.loads((copy / CHECKSUMS).read_text()) | change
    (copy / CHECKSUMS).write_text(json.dumps(document))
    with pytest.raises(ModelError, match=r"format|list"):
        load_bundle(copy)


@pytest.mark.parametrize("text", ["[1]", "{", "\ufeff{}", "[" * 100_000])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(ModelError, match="JSON"):
        read_json(tmp_path / "labels.json")


def test_pickled_golden_pictures_are_refused(copy: Path) -> None:
    images, scores = read_golden(copy / GOLDEN)
    np.savez(copy / GOLDEN, images=images, scores=np.array([{"run": "me"}] * len(scores), dtype=object))
    write_checksums(copy)
    with pytest.raises(ModelError, match="can't be read"):
        load_bundle(copy)


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": np.zeros((1, 2, 2, 3), np.uint8)},
        {"images": np.zeros((1, 2, 2, 3), np.float32), "scores": np.zeros((1, 3), np.float32)},
        {"images": np.zeros((2, 2, 2, 3), np.uint8), "scores": np.zeros((1, 3), np.float32)},
    ],
)
def test_golden_pictures_of_another_kind_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / GOLDEN, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="images"):
        read_golden(tmp_path / GOLDEN)


def test_a_golden_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / GOLDEN).write_bytes(b"nothing")
    with pytest.raises(ModelError, match="can't be read"):
        read_golden(tmp_path / GOLDEN)

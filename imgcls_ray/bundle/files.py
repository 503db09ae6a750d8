"""The files of a bundle: their names, their checksums, and how each is read without trusting it."""

import hashlib
import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_ray.data.pixels import DECODER_VERSION
from imgcls_ray.errors import ModelError
from imgcls_ray.models.bundled import MODEL as MODEL

LABELS, PIXELS = "labels.json", "pixels.json"
CALIBRATION, CARD, CARD_PAGE = "calibration.json", "card.json", "card.md"
GOLDEN, CHECKSUMS = "golden.npz", "checksums.json"
REFERENCE = "reference.json"
PROGRAM, PROGRAM_WEIGHTS = "openvino.xml", "openvino.bin"
CHECKED = (MODEL, LABELS, PIXELS, CALIBRATION, CARD, CARD_PAGE, GOLDEN)
OPTIONAL = (REFERENCE, PROGRAM, PROGRAM_WEIGHTS)
"""Checked where they are there."""
FORMAT = 2
"""Raised when a bundle of the new kind can't be read by the old program."""
MAX_JSON = 16 * 2**20
MAX_GOLDEN = 2**28
MAX_MODEL = 5 * 2**30
"""Bytes."""
LIMITS = {MODEL: MAX_MODEL, GOLDEN: MAX_GOLDEN, PROGRAM_WEIGHTS: MAX_MODEL}
"""The others are text, of at most `MAX_JSON`."""


def is_bundle(path: Path) -> bool:
    """Whether the folder looks like a bundle; `load_bundle` says whether it is a good one."""
    return (path / MODEL).is_file() and (path / CHECKSUMS).is_file()


def write_json(path: Path, document: Any) -> None:
    """Indented, with sorted keys, so that two bundles can be compared with diff."""
    path.write_text(json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of at most 16 MB.

    Raises:
        ModelError: it is larger or something else.
    """
    try:
        if path.stat().st_size > MAX_JSON:
            raise ModelError(f"{path.name} of a bundle is at most {MAX_JSON // 2**20} MB; get the bundle again.")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path.name} of the bundle is not JSON; get the bundle again.") from error
    if not isinstance(document, dict):
        raise ModelError(f"{path.name} of a bundle holds a JSON object; received a {type(document).__name__}.")
    return document


def write_checksums(folder: Path) -> None:
    """The last file of a bundle: the sha256 of each other one. All are on the disk when this returns."""
    files = {name: _sha256(folder / name) for name in (*CHECKED, *_optional(folder))}
    write_json(folder / CHECKSUMS, {"format": FORMAT, "decoder": DECODER_VERSION, "files": files})
    for path in (*folder.iterdir(), folder):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def verify_files(folder: Path) -> None:
    """Return when the folder holds a bundle's files, no others, and each is what it was when it was written.

    Raises:
        ModelError: the first thing that is not so.
    """
    if not folder.is_dir():
        raise ModelError(f"A bundle is a folder; received {folder}, which is none.")
    expected = {*CHECKED, CHECKSUMS}
    found = {path.name: path.lstat() for path in folder.iterdir()}
    if missing := sorted(expected - found.keys()):
        raise ModelError(f"The bundle at {folder} has no {missing[0]}; get it again.")
    if unknown := sorted(found.keys() - expected - {*OPTIONAL}):
        raise ModelError(f"The bundle at {folder} holds {unknown[0]!r}, which is not part of a bundle; take it out.")
    if (PROGRAM in found) != (PROGRAM_WEIGHTS in found):
        raise ModelError(f"The bundle at {folder} has {PROGRAM} and {PROGRAM_WEIGHTS}, or neither; get it again.")
    for name, status in sorted(found.items()):
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{name} of the bundle at {folder} must be a plain file, not a link or a folder.")
        if status.st_size > LIMITS.get(name, MAX_JSON):  # before it is read once for its checksum
            raise ModelError(
                f"{name} of a bundle has at most {LIMITS.get(name, MAX_JSON) // 2**20:,} MB; that at {folder} has "
                f"{status.st_size // 2**20:,}."
            )
    document = read_json(folder / CHECKSUMS)
    if document.get("format") != FORMAT or document.get("decoder") != DECODER_VERSION:
        raise ModelError(
            f"The bundle at {folder} has format {document.get('format')} and decoder {document.get('decoder')}; this "
            f"program reads format {FORMAT} and decoder {DECODER_VERSION}: use the imgcls version its card names."
        )
    sums = document.get("files")
    if not isinstance(sums, dict) or set(sums) != {*CHECKED, *_optional(folder)}:
        raise ModelError(f"{CHECKSUMS} of the bundle at {folder} does not list the bundle's files; get it again.")
    for name in sums:
        if _sha256(folder / name) != sums[name]:
            raise ModelError(
                f"{name} of the bundle at {folder} was changed or damaged after it was written; get it again."
            )


def write_golden(path: Path, images: np.ndarray, scores: np.ndarray) -> None:
    """Golden images (g, H, W, C) uint8 and the model's probabilities for them (g, K) float32."""
    np.savez(path, images=images, scores=scores)


def read_golden(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """What `write_golden` wrote.

    Raises:
        ModelError: it is something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(member.filename for member in archive.infolist())
            size = sum(member.file_size for member in archive.infolist())
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())
        if names != ["images.npy", "scores.npy"] or size > MAX_GOLDEN or packed:
            raise ModelError(
                f"{path.name} holds images and scores, not packed, at most {MAX_GOLDEN // 2**20} MB; received "
                f"{names[:5]}, {size:,} bytes{', packed' if packed else ''}."
            )
        with np.load(path, allow_pickle=False) as arrays:
            images, scores = arrays["images"], arrays["scores"]
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path.name} of the bundle can't be read ({error}); get the bundle again.") from error
    fits = images.dtype == np.uint8 and images.ndim == 4 and scores.dtype == np.float32 and scores.ndim == 2
    if not fits or not 0 < len(images) == len(scores):
        raise ModelError(
            f"{path.name} holds images (g, H, W, C) uint8 and scores (g, K) float32, g at least 1; "
            f"received {images.shape} {images.dtype} and {scores.shape} {scores.dtype}."
        )
    return images, scores


def _optional(folder: Path) -> list[str]:
    return [name for name in OPTIONAL if (folder / name).is_file()]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

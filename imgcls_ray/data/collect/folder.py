"""The folder that is filled: which pictures it holds, and how new ones get their names."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from imgcls_ray.data.collect.errors import Again, FetchError
from imgcls_ray.data.collect.record import Entry
from imgcls_ray.data.files import storage_error, write_atomic
from imgcls_ray.data.header import sniff
from imgcls_ray.data.pixels import PixelOps, decode, read_header
from imgcls_ray.errors import DataError, ImageError

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp"}
_PROBE = 32
"""Height and width to which a picture is decoded to see that it is whole."""


def check_head(head: bytes) -> None:
    """Refuse by the first bytes what is no picture, before the rest is read.

    Raises:
        FetchError: with the decoder's reason.
    """
    try:
        sniff(head)
    except ImageError as error:
        raise FetchError(error.reason, Again.NEVER) from error


def check_picture(data: bytes, max_pixels: int, min_side: int) -> str:
    """Decode it as preprocess will; return the suffix that fits its format.

    Raises:
        FetchError: it can't be used.
    """
    try:
        header = read_header(data)
        if min(header.width, header.height) < min_side:
            raise FetchError(f"too small ({header.width}x{header.height})", Again.LATER)
        decode(data, PixelOps(height=_PROBE, width=_PROBE, colorspace="color", max_pixels=max_pixels))
    except ImageError as error:
        again = Again.LATER if error.reason.startswith("too many pixels") else Again.NEVER
        raise FetchError(error.reason, again) from error
    return SUFFIXES[header.format]


@dataclass(frozen=True)
class Kept:
    """Where a picture is."""

    file: str
    """Relative to the output folder."""
    sha256: str
    new: bool
    """False: equal bytes were there already."""


class Folder:
    """`OUT/[split/]CLASS/CLASS_N.jpg`. One thread at a time; what is there is never written over."""

    def __init__(self, root: Path, entries: Iterable[Entry], folders: Iterable[str]) -> None:
        """Look at what is there: recorded pictures by their record, others in `folders` by their bytes.

        Raises:
            DataError: the folder holds pictures in the other layout (with splits, or without).
            StorageError: a folder can't be read.
        """
        self.root = root
        recorded = {entry.file: entry.sha256 for entry in entries if entry.file}
        self._files: dict[str, str] = {}
        """sha256 to file."""
        self._numbers: dict[str, int] = {}
        wanted = sorted(set(folders))
        _check_layout(root, recorded, wanted)
        for file, digest in recorded.items():
            name, _, last = file.rpartition("/")
            self._count(name, last)  # gone or not: a name that was given is not given to another picture
            if (root / file).is_file():
                self._files.setdefault(digest, file)
        try:
            for name in wanted:
                for path in sorted((root / name).iterdir()) if (root / name).is_dir() else ():
                    self._look_at(path, name, recorded)
        except OSError as error:
            raise storage_error(root, error) from error

    def holds(self, file: str) -> bool:
        """Whether a recorded file is still there."""
        return (self.root / file).is_file()

    def keep(self, data: bytes, suffix: str, name: str) -> Kept:
        """Write a picture into the folder `name`, unless its bytes are anywhere already.

        Raises:
            StorageError: it can't be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        file = self._files.get(digest)
        if file is not None and self.holds(file):
            return Kept(file, digest, new=False)
        number = self._numbers.get(name, 0) + 1
        self._numbers[name] = number
        file = f"{name}/{name.rpartition('/')[2]}_{number}{suffix}"
        try:
            (self.root / name).mkdir(parents=True, exist_ok=True)
            write_atomic(self.root / file, data)
        except OSError as error:
            raise storage_error(self.root / file, error) from error
        self._files[digest] = file
        return Kept(file, digest, new=True)

    def _count(self, name: str, file: str) -> None:
        numbered = re.fullmatch(re.escape(name.rpartition("/")[2]) + r"_(\d{1,9})\.\w+", file)
        if numbered:
            self._numbers[name] = max(self._numbers.get(name, 0), int(numbered[1]))

    def _look_at(self, path: Path, name: str, recorded: dict[str, str]) -> None:
        self._count(name, path.name)
        file = f"{name}/{path.name}"
        if file not in recorded and path.is_file() and not path.name.startswith("."):
            with path.open("rb") as opened:
                self._files.setdefault(hashlib.file_digest(opened, "sha256").hexdigest(), file)


def _check_layout(root: Path, recorded: Iterable[str], wanted: list[str]) -> None:
    depths = {file.count("/") for file in recorded} | {name.count("/") + 1 for name in wanted}
    if len(depths) > 1:
        raise DataError(
            f"A folder is laid out with splits or without; {root} holds pictures of a CSV that was the other way: "
            "choose another folder with --out."
        )

"""TFRecord files of earlier systems: `image` (an encoded picture) and `label` (its class's number) in each record."""

import re
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from imgcls_ray.data.labels import Labels
from imgcls_ray.data.shards.example import Value, parse
from imgcls_ray.data.shards.records import opened, read_records, scan
from imgcls_ray.data.sources.base import HEAD, Reader, SourceItem, Split, identity
from imgcls_ray.data.sources.folders import split_folders
from imgcls_ray.data.sources.kinds import Listed, Rules, SourceKind, Words
from imgcls_ray.data.sources.listing import printable
from imgcls_ray.data.sources.places import LocalPlace, Place
from imgcls_ray.errors import DataError

SUFFIXES = (".tfrec", ".tfrecord", ".tfrec.gz", ".tfrecord.gz")
_FRAME = 16
"""Bytes of a record around its data."""
_OPEN = 64
"""Files that a process keeps open."""
_COUNT = re.compile(r"\d+-(\d+)\.tfrec")
_WORDS = Words("the training records", "", "name the others in a label list", "The labels in")


@dataclass(frozen=True)
class TfRecordReader(Reader):
    """`FILE#OFFSET`: the record that begins at that byte."""

    folder: str

    def read(self, path: str, check: Callable[[bytes], object] | None = None) -> bytes:
        """See Reader. Both checksums are checked."""
        name, _, offset = path.rpartition("#")
        try:
            # A handle for each thread: in a compressed file it goes on from where the last record ended.
            file = _opened(*identity(f"{self.folder}/{name}"), threading.get_ident())
            file.seek(int(offset))
            record = next(scan(file), None)
            image = parse(record.data).get("image") if record else None
        except (ValueError, EOFError, zlib.error) as error:
            raise OSError(5, f"damaged record ({error})") from error
        if not isinstance(image, bytes):
            raise OSError(5, "damaged record (it has no `image`)")
        if check:
            check(image[:HEAD])
        return image


class TfRecords(SourceKind):
    """Files `*.tfrec` or `*.tfrecord`, alone or below a folder for each split. The label list names the numbers."""

    def matches(self, place: Place) -> bool:
        return place.is_folder and any(_files(place))

    def listed(self, place: Place, rules: Rules) -> Listed:
        if not isinstance(place, LocalPlace):
            raise DataError(f"TFRecord files are read from a folder; {place.root} is elsewhere: copy it first.")
        seen: set[int] = set()
        items = tuple(
            item for path, split in _files(place) for item in _Numbered(rules, seen).items(place.path, path, split)
        )
        order = None if rules.known or not seen else Labels(tuple(map(str, sorted(seen))))
        return Listed(items, TfRecordReader(place.root), words=_WORDS, order=order)


def _files(place: Place) -> Iterator[tuple[str, Split | None]]:
    splits = split_folders(place)
    names = {name for found in splits.values() for name in found}
    if any(name not in names for name in place.folders()):
        return  # these are classes
    for name in place.names():
        if name.lower().endswith(SUFFIXES):
            yield name, None
    for split, found in splits.items():
        for folder in found:
            for name in place.names(folder):
                if name.lower().endswith(SUFFIXES):
                    yield f"{folder}/{name}", split


@dataclass
class _Numbered:
    """Turns records into items."""

    rules: Rules
    seen: set[int]

    def items(self, root: Path, path: str, split: Split | None) -> Iterator[SourceItem]:
        file, shown = root / path, printable(path)
        mtime_ns = file.stat().st_mtime_ns
        end = rows = 0
        told = _COUNT.fullmatch(file.name)
        try:
            for record in read_records(file):
                label, refused, size = self._label(parse(record.data), file)
                # Sorted paths go forward through the file.
                yield SourceItem(f"{shown}#{record.offset:012}", label, split, size, mtime_ns, None, refused)
                end, rows = record.offset + len(record.data) + _FRAME, rows + 1
        except (DataError, ValueError) as error:
            if not rows:  # nothing in it can be read: most likely it is something else
                raise error if isinstance(error, DataError) else DataError(f"{_RULE}; {file} has others.") from error
            yield SourceItem(f"{shown}#{end:012}", "", split, 0, mtime_ns, None, "damaged from this record on")
        else:
            if told and int(told[1]) > rows:
                reason = f"records are missing ({rows} of {told[1]})"
                yield SourceItem(f"{shown}#{end:012}", "", split, 0, mtime_ns, None, reason)

    def _label(self, example: dict[str, Value], file: Path) -> tuple[str, str | None, int]:
        image, numbers = example.get("image"), example.get("label", [])
        if not isinstance(image, bytes) or not isinstance(numbers, list):
            raise DataError(f"{_RULE}; those of {file} hold {', '.join(sorted(example)) or 'nothing'}.")
        known = self.rules.known
        if known is None:
            label, refused = self.rules.settle(map(str, numbers))
            if label:
                self.seen.add(int(label))
        else:
            names = known.names
            label, refused = self.rules.settle(names[n] if 0 <= n < len(names) else str(n) for n in numbers)
        return label, refused, len(image)


_RULE = "Records of pictures hold `image`, an encoded picture, and `label`, the number of its class"


@lru_cache(maxsize=_OPEN)
def _opened(path: str, *identity: int) -> IO[bytes]:  # noqa: ARG001 - nobody shares a handle
    return opened(Path(path))

"""Augmented copies beside the training pictures of a separated layout."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgcls_ray.data.arrange import Arranged, Progress
from imgcls_ray.data.augmentation.copies import augment_block, blocks_of, operations_of
from imgcls_ray.data.augmentation.dealing import Original, deal, original_of, stem_of
from imgcls_ray.data.augmentation.settings import AugmentSettings
from imgcls_ray.data.files import storage_error, storing, write_atomic
from imgcls_ray.data.pixels import DECODER_VERSION
from imgcls_ray.data.tasks import map_blocks
from imgcls_ray.data.workplace import workplace
from imgcls_ray.errors import DataError, SettingsError, StorageError

RECORD = "augment.json"
"""What the copies in a layout were made with; it stands beside `split.json`."""

_VERSION = 1
_BLOCK = 16
_WANTED_BLOCKS = 32


@dataclass(frozen=True)
class Augmented:
    """A separated layout with augmented copies in its training part."""

    arranged: Arranged
    made: int
    """Copies that this call wrote."""
    classes: dict[str, tuple[int, int]]
    """Training originals and copies by class."""
    short: dict[str, int]
    """Pictures that a class lacks, as no further different copy could be drawn."""
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls augment --json` prints."""
        splits = self.arranged.to_json()
        return {
            **{name: splits[name] for name in ("images", "rejected", "splits")},
            "copies": {name: copies for name, (_, copies) in self.classes.items()},
            "originals": {name: originals for name, (originals, _) in self.classes.items()},
            "made": self.made,
            "short": self.short,
            "seconds": round(self.arranged.seconds + self.seconds, 3),
            "out": splits["out"],
        }


def check_earlier(folder: Path, settings: AugmentSettings, seed: int) -> None:
    """Refuse to mix two kinds of copies in one layout.

    Raises:
        SettingsError: every operation is off.
        StorageError: `folder` holds copies that were made otherwise, or split pictures without copies.
    """
    if not operations_of(settings):
        raise SettingsError("Copies need an operation that changes something, but all are off: set one above 0.")
    file = folder / RECORD
    if not file.exists():
        return
    try:
        before = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise StorageError(f"The record {file} can't be read ({error}): choose another folder with --out.") from error
    now = _document(settings, seed)
    other = next((name for name in now if before.get(name) != now[name]), None)
    if other:
        raise StorageError(
            f"The copies of a folder are all made alike; those in {folder} were made with {other} {before.get(other)}, "
            f"not {now[other]}: choose another folder with --out, or the settings of before."
        )


def augment(
    arranged: Arranged, settings: AugmentSettings, seed: int = 0, progress: Progress | None = None
) -> Augmented:
    """Bring each class to `per_class` training pictures by copies that are changed at random, beside the originals.

    Ray must be initialised; the copies are made on its nodes. A copy depends on the seed, the original and its number
    only. Those that are there are not made again; those whose original is there no more are removed. Neither
    validation nor test gets any. `progress(done, total)` counts copies.

    Raises:
        DataError: an original was changed in the layout.
        StorageError: the layout can't be written, is full, or holds copies that were made otherwise.
    """
    started = time.perf_counter()
    folder = arranged.path
    check_earlier(folder, settings, seed)
    originals = Original.of(arranged.rows)
    with workplace(folder):
        with storing(folder):
            write_atomic(folder / RECORD, (json.dumps(_document(settings, seed), indent=2) + "\n").encode())
            there = _there(folder, originals)
        wanted = deal(originals, there, settings.per_class, seed)
        total, done = sum(map(len, wanted.values())), 0
        made: Counter[str] = Counter()
        if progress:
            progress(0, total)
        for place, number in _made(folder, originals, wanted, settings, seed):
            made[place] += number
            done += len(wanted[place])
            if progress:
                progress(done, total)
    copies: Counter[str] = Counter()
    short: Counter[str] = Counter()
    for one in originals:
        copies[one.label] += len(there.get(one.place, ())) + made[one.place]
        short[one.label] += len(wanted.get(one.place, ())) - made[one.place]
    number_of = Counter(one.label for one in originals)
    classes = {name: (number_of[name], copies[name]) for name in sorted(number_of)}
    lacking = {name: number for name, number in sorted(short.items()) if number}
    return Augmented(arranged, made.total(), classes, lacking, time.perf_counter() - started)


def _made(
    folder: Path, originals: list[Original], wanted: dict[str, list[int]], settings: AugmentSettings, seed: int
) -> Iterator[tuple[str, int]]:
    """Have the copies made; yields the places of originals, with how many of theirs were made."""
    rows = [
        {"place": one.place, "sha256": one.sha256, "numbers": wanted[one.place]}
        for one in originals
        if one.place in wanted
    ]
    if not rows:
        return
    blocks = blocks_of(rows, max(1, min(_BLOCK, len(rows) // _WANTED_BLOCKS)))
    failed = []
    for table in map_blocks(blocks, augment_block, {"folder": str(folder), "settings": settings, "seed": seed}):
        for told in table.to_pylist():
            failed += [told] if told["error"] else []
            yield told["place"], told["made"]
    for told in failed:
        if told["errno"]:
            raise storage_error(folder, OSError(told["errno"], told["error"]))
        raise DataError(
            f"Copies are made of the pictures in the split folder; {folder / told['place']} can't be used, as "
            f"{told['error']}: remove it there, so that it is put there again."
        )


def _there(folder: Path, originals: list[Original]) -> dict[str, set[int]]:
    """The copies that are there, by the place of their original; orphans and what was cut off are removed."""
    places = {one.place for one in originals}
    stems = {stem_of(place): place for place in places}
    there: dict[str, set[int]] = defaultdict(set)
    for directory in sorted((folder / "train").iterdir()):
        for entry in directory.iterdir() if directory.is_dir() else ():
            place = entry.relative_to(folder).as_posix()
            told = None if place in places else original_of(place, stems)
            if entry.name.startswith(".") and entry.name.endswith(".tmp"):
                entry.unlink(missing_ok=True)
            elif told and told[0] in places and entry.stat().st_size:
                there[told[0]].add(told[1])
            elif told:
                entry.unlink(missing_ok=True)
    return there


def _document(settings: AugmentSettings, seed: int) -> dict[str, Any]:
    """What decides a copy's bytes."""
    chosen = settings.model_dump(mode="json", exclude={"per_class"})
    return {"version": [_VERSION, DECODER_VERSION], "seed": seed, **chosen}

"""From pictures that a service kept, and people have labelled, to the class folders that an update reads."""

import csv
import filecmp
import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from imgcls_ray.data.files import replacing, storing
from imgcls_ray.data.sources.choose import find_place
from imgcls_ray.data.sources.folders import SplitFolders, split_folders
from imgcls_ray.data.sources.places import LocalPlace
from imgcls_ray.data.sources.rows import decoded
from imgcls_ray.errors import DataError, ending

TABLES = "predictions-*.csv"


@dataclass(frozen=True)
class Adopted:
    """What became of the rows of all tables."""

    new: dict[str, int]
    """Pictures that were copied, by class."""
    known: int
    """That were there already."""
    unlabelled: int
    moved: int = 0
    """That were there in another class, of an earlier label."""

    @property
    def sentence(self) -> str:
        """In a line."""
        each = f" ({', '.join(f'{count} {label}' for label, count in self.new.items())})" if self.new else ""
        new, moved = sum(self.new.values()), f" {self.moved} moved to another class," if self.moved else ""
        known = f"{moved} {self.known} there already"
        return f"{new} picture{'' if new == 1 else 's'} adopted{each},{known}, {self.unlabelled} without a label"

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls adopt --json` prints."""
        return asdict(self)


def adopt(kept: Path, data: Path) -> Adopted:
    """Copy each picture of `kept` that has a label in one of its tables into that class's folder in `data`.

    All labels are checked before anything is copied, against the class folders that are there. Where `data` has folders
    for splits, pictures go into that for training. Names come from the pictures' content, so doing it again copies
    nothing twice, and what an earlier label brought into another class is moved. A later table counts more than an
    earlier one.

    Raises:
        DataError: no tables, no class folders, a label that is none of these, or a picture that is missing.
        StorageError: `data` can't be written.
    """
    tables = sorted(kept.glob(TABLES))
    if not tables:
        raise DataError(f"Pictures are adopted from a folder that a service kept them in; {kept} has no {TABLES}.")
    labels: dict[str, str] = {}
    for table in tables:
        for path, label in _rows(table):
            labels[path] = label or labels.get(path, "")  # a row that nobody filled in takes nothing back
    place = find_place(str(data))
    if not isinstance(place, LocalPlace) or not place.is_folder:
        raise DataError(f"Pictures are adopted into a folder that holds one folder per class; {data} is none.")
    below = split_folders(place)["train"][0] if SplitFolders().matches(place) else ""
    classes = [name for name in place.folders(below) if not name.startswith(".")]
    for path, label in labels.items():
        _check(kept, path, label, classes, data)
    new: Counter[str] = Counter()
    known = moved = 0
    for path, label in sorted(labels.items()):
        if not label:
            continue
        target = Path(place.root, below, label, PurePosixPath(path).name)
        with storing(target):
            there = target.exists()
            elsewhere = [
                other
                for other in (Path(place.root, below, name, target.name) for name in classes)
                if other.is_file()
                and not other.parent.samefile(target.parent)
                and filecmp.cmp(kept / path, other, shallow=False)
            ]
            if not there:
                with replacing(target) as file, (kept / path).open("rb") as source:
                    shutil.copyfileobj(source, file)
            for other in elsewhere:  # under two labels it would be left out
                other.unlink()
        if elsewhere:
            moved += 1
        elif there:
            known += 1
        else:
            new[label] += 1
    return Adopted(dict(sorted(new.items())), known, sum(not label for label in labels.values()), moved)


def _rows(table: Path) -> list[tuple[str, str]]:
    """The path and the label of each row."""
    rows = csv.DictReader(decoded(table.read_bytes(), table.name).splitlines())
    if not {"path", "label"} <= set(rows.fieldnames or ()):
        raise DataError(f"A table of kept pictures has the columns path and label, parted by commas; {table} has not.")
    return [((row["path"] or "").strip(), (row["label"] or "").strip()) for row in rows]


def _check(kept: Path, path: str, label: str, classes: list[str], data: Path) -> None:
    if not label:
        return
    if label not in classes:
        raise DataError(
            f"A label is the name of a class folder in {data}, which you make for a new class ({', '.join(classes)}); "
            f"received '{label}' for {path}{ending(label, classes)}"
        )
    parts = PurePosixPath(path).parts
    if len(parts) != 2 or parts[0] == ".." or path.startswith("/") or not (kept / path).is_file():
        raise DataError(f"A row names a picture in the pictures folder of {kept}; '{path}' is not there: mend the row.")

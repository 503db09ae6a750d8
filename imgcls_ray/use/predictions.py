"""What a model says of any number of pictures, as a table: one row a file, with bounded memory."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcls_ray.data.files import check_output, replacing, storing
from imgcls_ray.data.header import sniff
from imgcls_ray.data.manifest import cause
from imgcls_ray.data.pixels import decode
from imgcls_ray.data.sources import LocalReader
from imgcls_ray.errors import DataError, ImageError
from imgcls_ray.use.answers import BATCH

if TYPE_CHECKING:
    from imgcls_ray.bundle.bundle import Bundle

COLUMNS = ("key", "prediction", "label", "scores", "error")
"""Path as it was given or found; number and name of the most probable class; all probabilities as a JSON list in the
order of the labels; why there is no answer."""


@dataclass(frozen=True)
class Predictions:
    """A table that was written."""

    path: Path
    answered: int
    rejected: dict[str, int]
    """Files without an answer, by cause, the most common first."""

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls classify --csv --json` prints."""
        return {"csv": str(self.path), "answered": self.answered, "rejected": self.rejected}


def check_places(places: Sequence[str], out: Path) -> None:
    """Refuse what can be told before a model is loaded.

    Raises:
        DataError: one of `places` is neither a file nor a folder.
        StorageError: `out` is no place for a table.
    """
    for place in places:
        if not Path(place).exists():
            raise DataError(f"Pictures are given as files and folders of them; '{place}' is neither.")
    check_output(out, "The table", ".csv")


def write_predictions(bundle: "Bundle", places: Sequence[str], out: Path) -> Predictions:
    """Classify each file in `places`, and each below those that are folders, into the CSV file `out`.

    One row a file, those of a folder in the order of their names; hidden files are left out. A file that is no usable
    picture has the reason in its row. `out` appears when it is complete, in the place of an older one.

    Raises:
        DataError: there is no file, or none is a picture.
        StorageError: `out` can't be written.
    """
    check_places(places, out)
    answered, rejected = 0, Counter[str]()
    with ThreadPoolExecutor() as pool, _table(out) as table:
        for paths in _batches(files_of(places)):
            outcomes = list(pool.map(lambda path: _decoded(path, bundle), paths))
            images = [outcome for outcome in outcomes if isinstance(outcome, np.ndarray)]
            answers = iter(bundle.predict(np.stack(images)) if images else ())
            for path, outcome in zip(paths, outcomes, strict=True):
                if isinstance(outcome, ImageError):
                    rejected[cause(outcome.reason)] += 1
                    table.writerow((path, "", "", "", outcome.reason))
                else:
                    table.writerow((path, *_row(bundle, next(answers)), ""))
                    answered += 1
        if not answered:
            files = "There is no file" if not rejected else f"None of the {rejected.total()} files given is a picture"
            raise DataError(f"{files} that can be classified in {', '.join(places)}.")
    return Predictions(out, answered, dict(rejected.most_common()))


def files_of(places: Iterable[str]) -> Iterator[str]:
    """The files given, and those below folders given, one at a time."""
    for place in places:
        if not Path(place).is_dir():
            yield place
            continue
        for folder, folders, files in os.walk(place):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (str(Path(folder, name)) for name in sorted(files) if not name.startswith("."))


def _row(bundle: "Bundle", probabilities: np.ndarray) -> tuple[int, str, str]:
    best = int(probabilities.argmax())
    return best, bundle.labels.names[best], json.dumps([round(float(value), 6) for value in probabilities])


def _decoded(path: str, bundle: "Bundle") -> np.ndarray | ImageError:
    place = Path(path)
    if place.exists() and not place.is_file():  # a pipe would be waited for
        return ImageError("no file")
    try:
        return decode(LocalReader("").read(path, sniff), bundle.pixels)  # sniffed before a film of gigabytes is read
    except ImageError as error:
        return error
    except OSError as error:
        return ImageError(f"can't be read ({(error.strerror or str(error)).lower()})")


def _batches(paths: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(paths, BATCH)):
        yield batch


@contextmanager
def _table(out: Path) -> Iterator[Any]:
    """A writer of CSV rows under `COLUMNS`; the file gets its name at the end, unless something is raised."""
    with storing(out), replacing(out) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        table = csv.writer(text)
        table.writerow(COLUMNS)
        yield table
        text.flush()
        text.detach()

"""The preprocessed set that a model was made from."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from imgcls_ray.bundle.card import Card
from imgcls_ray.data.index import INDEX, read_index
from imgcls_ray.errors import DataError
from imgcls_ray.search.record import RECORD, RESULT
from imgcls_ray.storage import Storage


@dataclass(frozen=True)
class Origin:
    """A preprocessed set at hand."""

    folder: Path
    study: Path | None
    """The folder of a study on it."""


def find_origin(storage: Storage, card: Card) -> Origin | None:
    """The set that the model of `card` was made from, as it is now: it may have got new pictures since.

    That of the model's study, else one in the storage that is unchanged; None where there is none.
    """
    study = next((path.parent for path in storage.studies.glob(f"*/{RECORD}") if path.parent.name == card.study), None)
    if study and (study / RESULT).is_file():
        folder = Path(json.loads((study / RESULT).read_text(encoding="utf-8"))["data"])
        if (folder / INDEX).is_file():
            return Origin(folder, study)
    for file in storage.data.glob(f"*/{INDEX}"):
        try:
            if read_index(file.parent).fingerprint == card.data_fingerprint:
                return Origin(file.parent, study)
        except DataError as error:  # of other data, so no matter here
            logging.getLogger(__name__).info("%s", error)
    return None

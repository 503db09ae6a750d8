"""The test pictures that two models are compared on, and what each answers to them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from imgcls_ray.bundle.bundle import Bundle
from imgcls_ray.config import RunSettings, load_settings
from imgcls_ray.data.index import Index, read_index, shard_is_whole
from imgcls_ray.data.manifest import ManifestRow, read_manifest
from imgcls_ray.data.pixels import decode
from imgcls_ray.data.shards import read_shard
from imgcls_ray.data.sources import Source, list_source
from imgcls_ray.errors import DataError, ImageError
from imgcls_ray.pipeline.plan import SETTINGS
from imgcls_ray.search.record import read_record
from imgcls_ray.storage import Storage
from imgcls_ray.use.origin import Origin, find_origin

BATCH = 64
"""Pictures decoded at a time."""
_HOW = (
    "give that of a preprocessed set as --data SET, which 'imgcls preprocess DATA --out SET' makes, or let 'imgcls "
    "update DATA' make the newest"
)


@dataclass(frozen=True)
class HeldOut:
    """The test split of a preprocessed set, without the pictures that one of the models was trained on."""

    path: Path
    index: Index
    rows: tuple[ManifestRow, ...]
    """In the order of the shards."""
    names: tuple[str, ...]
    """The classes of the set, then those that only a model has."""
    study: Path | None = None
    """The folder of a study on this set, whose settings name the pictures that it was made from."""
    unknown: tuple[str, ...] = ()
    """The studies of models that were made from other sets, which are gone: some of the pictures may be theirs."""

    @property
    def labels(self) -> np.ndarray:
        """The right class (n,) int of each picture, its place in `names`."""
        return np.array([self.names.index(row.label) for row in self.rows])

    @property
    def words(self) -> str:
        """What they are called in a sentence."""
        seen = f", some of which {' and '.join(self.unknown)} may have learned: its set is gone" if self.unknown else ""
        return f"{len(self.rows)} test pictures of '{self.index.name}' ({self.index.fingerprint[:8]}{seen})"

    def answers(self, bundle: Bundle) -> np.ndarray:
        """Probabilities (n, K) of a bundle for each picture over `names`; 0 for a class that it does not know.

        A bundle that takes pictures as the shards hold them gets these; for another one they are decoded again.

        Raises:
            DataError: they would have to be, and are no longer what they were or not where they were.
        """
        batches = self._stored() if bundle.pixels == self.index.pixels else self._decoded(bundle)
        found = np.concatenate([bundle.predict(images) for images in batches])
        columns = [self.names.index(name) for name in bundle.labels.names]
        spread = np.zeros((len(found), len(self.names)), np.float32)
        spread[:, columns] = found
        return spread

    def _stored(self) -> Iterator[np.ndarray]:
        places: dict[str | None, list[int]] = defaultdict(list)
        for row in self.rows:
            if row.row is not None:
                places[row.shard].append(row.row)
        for entry in self.index.of("test"):
            if entry.file in places:
                yield read_shard(self.path, entry, self.index.format).images[places[entry.file]]

    def _decoded(self, bundle: Bundle) -> Iterator[np.ndarray]:
        for start in range(0, len(self.rows), BATCH):
            yield np.stack([self._picture(row, bundle) for row in self.rows[start : start + BATCH]])

    def _picture(self, row: ManifestRow, bundle: Bundle) -> np.ndarray:
        try:
            data = self._source.reader.read(row.path)
            if hashlib.sha256(data).hexdigest() != row.sha256:
                raise ImageError("it was changed since it was preprocessed")
            return decode(data, bundle.pixels)
        except (OSError, ImageError) as error:
            reason = error.reason if isinstance(error, ImageError) else error.strerror or str(error)
            raise DataError(
                f"The test pictures are decoded again for a model of {bundle.pixels.height} x {bundle.pixels.width} "
                f"pixels, but '{row.path}' of {self._source.root} can't be used ({reason}): put it back, or {_HOW}."
            ) from error

    @cached_property
    def _source(self) -> Source:
        record = read_record(self.study) if self.study else None
        if self.study is None or record is None:
            raise DataError(
                f"The two models take pictures of different sizes, and the set at {self.path} does not say where its "
                f"pictures lie: choose a set that a study of this storage was made on, or {_HOW}."
            )
        settings = load_settings(RunSettings, self.study / SETTINGS)
        unpack = self.study.parent.parent / "unpacked"
        return list_source(record.data, settings.preprocess.source, self.index.labels, unpack)


def find_held_out(storage: Storage, bundles: Sequence[Bundle], given: Path | None = None) -> HeldOut:
    """The test pictures to compare all of `bundles` on: those of the newest one's data, or of the set `given`.

    A set that got new pictures since has them too: pictures keep their split, so none of them was trained on. Where two
    models come from different sets, the pictures that one of them was trained on are left out.

    Raises:
        DataError: the newest one's set is not at hand or damaged, or no picture is left.
    """
    by_age = sorted(bundles, key=lambda bundle: bundle.card.created, reverse=True)
    known = [(bundle.card, find_origin(storage, bundle.card)) for bundle in by_age]
    places = {place.folder: place for _, place in known if place}
    if given is not None:
        path = given.expanduser().resolve()
        place = places.get(path, Origin(path, None))
    else:
        place = _newest(storage, by_age)
    index, rows = read_index(place.folder), read_manifest(place.folder)
    damaged = next((entry.file for entry in index.of("test") if not shard_is_whole(place.folder, entry)), None)
    if damaged:
        raise DataError(f"{place.folder / damaged} is damaged or cut: preprocess again.")
    seen = {row.sha256 for other in places if other != place.folder for row in _learned(other)}
    test = [row for row in rows if row.status == "used" and row.split == "test" and row.sha256 not in seen]
    if not test:
        raise DataError(f"All test pictures of {place.folder} were trained on by one of the models: {_HOW}.")
    test.sort(key=lambda row: (row.shard or "", row.row or 0))
    names = dict.fromkeys(name for labels in (index.labels, *(one.labels for one in bundles)) for name in labels.names)
    other = tuple(card.study for card, place in known if place is None and card.data_fingerprint != index.fingerprint)
    return HeldOut(place.folder, index, tuple(test), tuple(names), place.study, other)


def _newest(storage: Storage, by_age: Sequence[Bundle]) -> Origin:
    newest = by_age[0].card
    alike = [bundle.card for bundle in by_age if bundle.card.data_fingerprint == newest.data_fingerprint]
    place = next((place for card in alike if (place := find_origin(storage, card))), None)
    if place is None:
        raise DataError(
            f"Models are compared on the test pictures of the newest one's data; the preprocessed set of "
            f"'{newest.data_name}' ({newest.data_fingerprint[:8]}) is not in the storage {storage.root}: {_HOW}."
        )
    return place


def _learned(folder: Path) -> Iterator[ManifestRow]:
    return (row for row in read_manifest(folder) if row.status == "used" and row.split in ("train", "val"))

"""One folder per class, alone or below a folder for each split."""

import re
from collections.abc import Iterator

from imgcls_ray.data.sources.base import SourceItem, Split
from imgcls_ray.data.sources.kinds import SPLIT_NAMES, Listed, Rules, SourceKind
from imgcls_ray.data.sources.listing import printable
from imgcls_ray.data.sources.places import Place
from imgcls_ray.errors import DataError


class SplitFolders(SourceKind):
    """`Training/CLASS/*` with `Test/CLASS/*`, `Validation/CLASS/*` or both; other folders beside them are ignored."""

    def matches(self, place: Place) -> bool:
        found = split_folders(place) if place.is_folder else {}
        return len(found) > 1 and "train" in found and any(place.folders(found["train"][0]))

    def listed(self, place: Place, rules: Rules) -> Listed:
        splits = split_folders(place)
        return Listed(self._items(place, splits, rules), place.reader, _classes(place, splits["train"][0]))

    @staticmethod
    def _items(place: Place, splits: dict[Split, list[str]], rules: Rules) -> Iterator[SourceItem]:
        for split, names in splits.items():
            if len(names) > 1:
                raise DataError(
                    f"Each split has one folder, but {place.root} holds {' and '.join(names)}; "
                    "rename or merge one of them."
                )
            for label in place.folders(names[0]):
                yield from _of_class(place, f"{names[0]}/{label}", label, split, rules)


class ClassFolders(SourceKind):
    """`CLASS/**`: one folder per class, files at any depth below it; files beside the class folders are ignored."""

    def matches(self, place: Place) -> bool:
        return place.is_folder and any(place.folders())

    def listed(self, place: Place, rules: Rules) -> Listed:
        classes = place.folders()
        if rules.known is None:  # whose label list may want even these
            _check_no_splits(place, classes)
        items = (item for label in classes for item in _of_class(place, label, label, None, rules))
        deeper = len(classes) == 1 and any(place.folders(classes[0]))
        hint = f" (perhaps {place.root}/{classes[0]} is the data folder)" if deeper else ""
        return Listed(items, place.reader, _classes(place, ""), hint=hint)


def split_folders(place: Place) -> dict[Split, list[str]]:
    """The folders of each split by their names."""
    found: dict[Split, list[str]] = {}
    for name in place.folders():
        split = SPLIT_NAMES.get(name.lower())
        if split:
            found.setdefault(split, []).append(name)
    return found


def _check_no_splits(place: Place, classes: list[str]) -> None:
    """Refuse `train_data` with `test_data` and the like: two classes of these names are hardly meant.

    Raises:
        DataError: it names them.
    """
    words = {name: re.split(r"[\W\d_]+", name.lower()) for name in classes}
    splits = {name: split for name in classes if (split := next(filter(None, map(SPLIT_NAMES.get, words[name])), None))}
    train = [name for name, split in splits.items() if split == "train"]
    if not train or len(set(splits.values())) < 2:
        return
    # `train` among others may be a vehicle, with pictures of its own.
    if len(splits) == len(classes) or not any(map(place.names, train)):
        raise DataError(
            "Folders of splits are called train, val and test, with a folder per class in each; "
            f"{place.root} holds {' and '.join(splits)}: rename them."
        )


def _classes(place: Place, below: str) -> tuple[str, ...]:
    return tuple(printable(name) for name in place.folders(below))


def _of_class(place: Place, folder: str, name: str, split: Split | None, rules: Rules) -> Iterator[SourceItem]:
    label, refused = rules.settle([printable(name)])
    for path, size, mtime_ns in place.files(folder):
        yield SourceItem(printable(path), label, split, size, mtime_ns, None, refused)

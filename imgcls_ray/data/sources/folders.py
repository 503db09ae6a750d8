"""Where pictures come from: each kind of layout lists the same items. Nothing is opened here."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from imgcls_ray.data.labels import Labels
from imgcls_ray.data.sources.base import LocalReader, Source, SourceItem, Split
from imgcls_ray.data.sources.listing import files, folders, printable
from imgcls_ray.errors import DataError, nearest

_SPLIT_FOLDERS: dict[str, Split] = {
    "training": "train",
    "train": "train",
    "validation": "val",
    "val": "val",
    "valid": "val",
    "test": "test",
}


class SourceKind(ABC):
    """A layout of a folder: recognises it and lists it."""

    @abstractmethod
    def matches(self, root: Path) -> bool:
        """Whether `root` is laid out this way."""

    @abstractmethod
    def classes(self, root: Path) -> list[str]:
        """The folders whose names are the classes, empty ones too."""

    @abstractmethod
    def items(self, root: Path) -> Iterator[SourceItem]:
        """Every regular file below a class, in any order."""


class SplitFolders(SourceKind):
    """`Training/CLASS/*` with `Test/CLASS/*`, `Validation/CLASS/*` or both; other folders beside them are ignored."""

    def matches(self, root: Path) -> bool:
        found = self._splits(root)
        return len(found) > 1 and "train" in found and any(self.classes(root))

    def classes(self, root: Path) -> list[str]:
        return folders(root / self._splits(root)["train"][0])

    def items(self, root: Path) -> Iterator[SourceItem]:
        for split, names in self._splits(root).items():
            if len(names) > 1:
                raise DataError(
                    f"Each split has one folder, but {root} holds {' and '.join(names)}; rename or merge one of them."
                )
            for item in ClassFolders().items(root / names[0]):
                yield SourceItem(f"{names[0]}/{item.path}", item.label, split, item.bytes, item.mtime_ns)

    @staticmethod
    def _splits(root: Path) -> dict[Split, list[str]]:
        found: dict[Split, list[str]] = {}
        for name in folders(root):
            split = _SPLIT_FOLDERS.get(name.lower())
            if split:
                found.setdefault(split, []).append(name)
        return found


class ClassFolders(SourceKind):
    """`CLASS/**`: one folder per class, files at any depth below it; files beside the class folders are ignored."""

    def matches(self, root: Path) -> bool:
        return any(folders(root))

    def items(self, root: Path) -> Iterator[SourceItem]:
        for label in folders(root):
            for path, size, mtime_ns in files(root / label, label):
                yield SourceItem(printable(path), printable(label), None, size, mtime_ns)

    def classes(self, root: Path) -> list[str]:
        return folders(root)


_KINDS: tuple[SourceKind, ...] = (SplitFolders(), ClassFolders())


def list_source(root: str, labels: Labels | None = None) -> Source:
    """List the pictures of a folder with one folder per class, or with split folders that hold class folders.

    Hidden files, `Thumbs.db`, `desktop.ini` and files that are not below a class do not count. With `labels` (of a
    trained model) the folder is only measured: it may hold a single class or picture, but no class unknown to them.

    Raises:
        DataError: the folder is missing, empty, can't be read, or breaks a rule about classes.
    """
    folder = _folder(root)
    kind = next((kind for kind in _KINDS if kind.matches(folder)), None)
    if kind is None:
        raise DataError(f"The data folder needs one folder per class with pictures in it; {folder} holds no folders.")
    items = tuple(sorted(kind.items(folder), key=lambda item: item.path))
    if not items:
        raise DataError(f"The data folder needs one folder per class with pictures in it; those in {folder} are empty.")
    if labels is None:
        _check_classes(folder, kind, items)
    else:
        unknown = sorted({item.label for item in items} - set(labels.names))
        if unknown:
            tail = nearest(unknown[0], labels.names)
            raise DataError(
                f"The folders in {folder} must be classes of the model ({', '.join(labels.names)}); "
                f"received '{unknown[0]}'{tail}."
            )
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in folder.name).strip("-.")
    if labels is None:
        # In a layout with split folders, those of the training folder are all there are.
        labels = Labels.of(item.label for item in items)
    return Source(name or "data", items, str(folder), LocalReader(str(folder)), labels)


def _folder(root: str) -> Path:
    if "://" in root:
        raise DataError(f"The data must be a folder that each node can open; received {root}: mount or copy it first.")
    folder = Path(root).expanduser().absolute()
    try:
        if folder.is_dir():
            return folder.resolve()
        missing = not folder.exists()
    except OSError as error:
        raise DataError(f"The data folder {folder} can't be opened: {error.strerror}; check its path.") from error
    if missing:
        raise DataError(f"There is no folder {folder}; give the path of a folder that holds one folder per class.")
    raise DataError(f"The data must be a folder that holds one folder per class; {folder} is a file.")


def _check_classes(folder: Path, kind: SourceKind, items: tuple[SourceItem, ...]) -> None:
    counts = Counter(item.label for item in items)
    trained = {item.label for item in items if item.split in (None, "train")}
    untrained = [item for item in items if item.label not in trained]
    if untrained:
        first = untrained[0]
        raise DataError(
            f"Each class needs pictures in the training folder; '{first.label}' stands only in "
            f"{PurePosixPath(first.path).parts[0]} of {folder}: add some, or remove it there."
        )
    # An empty class folder lists no items, but was surely meant to hold some.
    counts.update({printable(name): 0 for name in kind.classes(folder)})
    if len(counts) < 2:
        (name,) = counts
        deeper = isinstance(kind, ClassFolders) and any(folders(folder / name))
        hint = f" (perhaps {folder / name} is the data folder)" if deeper else ""
        raise DataError(f"At least 2 classes are needed, a folder for each; {folder} holds one, '{name}'{hint}.")
    name, count = min(counts.items(), key=lambda pair: pair[1])
    if count < 2:
        raise DataError(
            f"Each class needs at least 2 pictures; '{name}' in {folder} has {count}: add some or remove the folder."
        )

"""Buckets and other remote storage: listed by one call, read file by file wherever a task runs."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from imgcls_ray.data.sources.addresses import FINAL, Address, reason, told
from imgcls_ray.data.sources.base import HEAD, Reader
from imgcls_ray.data.sources.listing import counts
from imgcls_ray.data.sources.places import MAX_TABLE, Found, Place, whole
from imgcls_ray.errors import DataError, ImageError

TRIES = 3
"""How often a file is asked for."""
_PAUSE = 0.2  # seconds before the second try, and four times that before the third
_AT_ONCE = 16 * 2**20
"""Bytes up to which a file is read whole before its head is checked: a second request costs more than they do."""

T = TypeVar("T")


@dataclass(frozen=True)
class RemoteReader(Reader):
    """Files below an address."""

    address: Address

    def read(self, path: str, check: Callable[[bytes], object] | None = None) -> bytes:
        """See Reader. A failing storage is asked three times."""
        return _read(self.address, path, check)


@dataclass(frozen=True)
class TableReader(Reader):
    """Files that a table names: whole URIs, and what `inner` reads."""

    inner: Reader
    address: Address | None
    """Of the table: URIs on its server are reached in the same way."""

    def read(self, path: str, check: Callable[[bytes], object] | None = None) -> bytes:
        """See Reader."""
        if "://" not in path:
            return self.inner.read(path, check)
        return _read(self.address.beside(path) if self.address else Address.parse(path), "", check)


def _read(address: Address, path: str, check: Callable[[bytes], object] | None) -> bytes:
    for wait in (_PAUSE, 4 * _PAUSE, None):
        try:
            filesystem, base = address.open()
            with filesystem.open_input_file(f"{base}/{path}" if path else base) as file:
                head = file.read(None if file.size() <= _AT_ONCE else HEAD)
                if check:
                    check(head[:HEAD])
                return bytes(head) if file.size() <= _AT_ONCE else head + file.read()
        except (ImageError, MemoryError):  # the one is `check`'s, the other is told in its own words
            raise
        except DataError as error:
            raise OSError(22, str(error)) from error
        except Exception as error:  # fsspec lets pass what the library below it raises, often no OSError
            if wait is None or isinstance(error, FileNotFoundError) or reason(error) in FINAL:
                raise told(error) from error
            time.sleep(wait)
    raise RuntimeError("the last try returns or raises")


class RemotePlace(Place):
    """A file or folder in remote storage."""

    def __init__(self, address: Address, info: Any) -> None:
        from pyarrow.fs import FileType

        self.address = address
        self.root = address.public
        self.is_folder = info.type == FileType.Directory
        self._info = info

    @classmethod
    def find(cls, uri: str) -> "RemotePlace":
        """The place that a user names.

        Raises:
            DataError: there is none, or its storage can't be reached.
        """
        return cls._at(Address.parse(uri))

    @classmethod
    def _at(cls, address: Address) -> "RemotePlace":
        from pyarrow.fs import FileType

        def ask() -> Any:
            filesystem, path = address.open()
            return filesystem.get_file_info(path)

        info = asked(ask, address)
        if info.type == FileType.NotFound:
            raise DataError(f"There is nothing at {address.public}; check the bucket and the path.")
        return cls(address, info)

    @property
    def parent(self) -> "RemotePlace":
        return self._at(self.address.parent)

    @cached_property
    def _tree(self) -> tuple[dict[str, tuple[int, int]], list[str], dict[str, set[str]]]:
        """Size and time of all files; the paths of those that count, sorted; the folders in each folder."""
        from pyarrow.fs import FileSelector, FileType

        def ask() -> tuple[list[Any], str]:
            filesystem, path = self.address.open()
            return filesystem.get_file_info(FileSelector(path, recursive=True)), path

        infos, base = asked(ask, self.address)
        start = len(base.strip("/")) + 1
        found: dict[str, tuple[int, int]] = {}
        folders: dict[str, set[str]] = {}
        for info in infos:
            path = info.path.strip("/")[start:]
            if info.type == FileType.File:
                found[path] = (info.size or 0, info.mtime_ns or 0)
                path = path.rpartition("/")[0]
            while path:
                above, _, name = path.rpartition("/")
                inside = folders.setdefault(above, set())
                if name in inside:
                    break
                inside.add(name)
                path = above
        return found, sorted(path for path in found if all(map(counts, path.split("/")))), folders

    def folders(self, below: str = "") -> list[str]:
        return sorted(name for name in self._tree[2].get(below, ()) if counts(name))

    def names(self, below: str = "") -> list[str]:
        start = len(below) + 1 if below else 0
        return [path[start:] for path, _, _ in self.files(below) if "/" not in path[start:]]

    def files(self, below: str) -> Iterator[Found]:
        found, paths, _ = self._tree
        prefix = f"{below}/" if below else ""
        for number in range(bisect_left(paths, prefix), len(paths)):
            path = paths[number]
            if not path.startswith(prefix):
                break
            yield path, *found[path]

    def look(self, paths: Iterable[str]) -> Iterator[Found | None]:
        found = self._tree[0]
        for path in paths:
            yield (path, *found[path]) if path in found else None

    def content(self) -> bytes:
        def ask() -> bytes:
            filesystem, path = self.address.open()
            with filesystem.open_input_stream(path) as file:
                return bytes(file.read(MAX_TABLE + 1))

        return whole(asked(ask, self.address), self.root)

    def status(self) -> tuple[int, int]:
        return self._info.size or 0, self._info.mtime_ns or 0

    @property
    def reader(self) -> RemoteReader:
        return RemoteReader(self.address)

    def stream(self) -> Any:
        """This file, opened for reading from its beginning to its end.

        Raises:
            DataError: it can't be opened.
        """

        def ask() -> Any:
            filesystem, path = self.address.open()
            return filesystem.open_input_stream(path)

        return asked(ask, self.address)


def asked(ask: Callable[[], T], address: Address) -> T:
    """What `ask` returns, which asks the storage of `address`.

    Raises:
        DataError: it refuses.
    """
    try:
        return ask()
    except DataError:
        raise
    except Exception as error:  # see `_read`
        raise DataError(
            f"The data must be within reach; {address.public} can't be read ({reason(error)}): check the address, the "
            "connection and the credentials."
        ) from error


def look_at(addresses: dict[str, Address]) -> dict[str, Found]:
    """What there is under whole URIs, each with its address: one listing per bucket, of the folder common to all."""
    buckets: dict[Address, dict[str, str]] = {}
    for uri, address in addresses.items():
        bucket = Address(address.scheme, address.bucket, "", address.credentials, address.query)
        buckets.setdefault(bucket, {})[uri] = address.path
    found: dict[str, Found] = {}
    for bucket, paths in buckets.items():
        common = _common_folder(list(paths.values()))
        place = RemotePlace._at(Address(bucket.scheme, bucket.bucket, common, bucket.credentials, bucket.query))
        start = len(common) + 1 if common else 0
        for uri, file in zip(paths, place.look(path[start:] for path in paths.values()), strict=True):
            if file:
                found[uri] = (uri, *file[1:])
    return found


def _common_folder(paths: list[str]) -> str:
    parts = [path.split("/")[:-1] for path in (min(paths), max(paths))]
    common = []
    for one, other in zip(*parts, strict=False):
        if one != other:
            break
        common.append(one)
    return "/".join(common)

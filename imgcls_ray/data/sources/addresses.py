"""URIs: taken apart, opened, and shown without what is secret in them."""

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from imgcls_ray.errors import DataError

ARROW_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
"""Opened by pyarrow; all others by fsspec."""
_GS_PATIENCE = 20  # seconds; without it an unreachable Google Storage is tried for a quarter of an hour

_ONE_SERVER = ("s3", "gs", "gcs")
"""Schemes whose buckets are all reached through one server, which the query names or everybody knows."""
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_CREDENTIALS = re.compile(r"//[^/@\s]*@")
_QUERY = re.compile(r"(://[^?\s'\"]*)\?[^\s'\"]*")
_AWS = re.compile(r"AWS Error ([A-Z_]+)")
_REASONS = {
    "NO_SUCH_BUCKET": "there is no such bucket",
    "RESOURCE_NOT_FOUND": "there is no such bucket",
    "ACCESS_DENIED": "access is denied, check the credentials",
    "INVALID_ACCESS_KEY_ID": "the access key is not known, check the credentials",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key is wrong, check the credentials",
    "NETWORK_CONNECTION": "the server can't be reached",
}
FINAL = frozenset(_REASONS.values()) - {_REASONS["NETWORK_CONNECTION"]}
"""Reasons that trying again does not change."""


@dataclass(frozen=True)
class Address:
    """A URI. Its credentials (`scheme://key:secret@bucket`) and its query never show."""

    scheme: str
    bucket: str
    path: str
    """Below the bucket, as the storage has it (not percent-encoded), without slashes at its ends."""
    credentials: str = field(default="", repr=False)
    query: str = field(default="", repr=False)

    @classmethod
    def parse(cls, uri: str) -> "Address":
        """Take a URI apart. The query begins at the last `?` that `=` follows; only pyarrow's schemes have one."""
        scheme, _, rest = uri.partition("://")
        scheme, query = scheme.lower(), ""
        if scheme in ARROW_SCHEMES:
            before, mark, after = rest.rpartition("?")
            if mark and "=" in after:
                rest, query = before, after
        host, _, path = rest.partition("/")
        # For Azure the part before the @ is the container and no secret.
        credentials, _, bucket = ("", "", host) if scheme.startswith("abfs") else host.rpartition("@")
        return cls(scheme, bucket, path.strip("/"), credentials, query)

    @property
    def public(self) -> str:
        """The URI without credentials and query."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.path}" if self.path else "")

    @property
    def parent(self) -> "Address":
        """Of the folder that it lies in."""
        return replace(self, path=self.path.rpartition("/")[0])

    def beside(self, uri: str) -> "Address":
        """The address of `uri`, reached with this one's credentials and query where these go to the same server."""
        other = Address.parse(uri)
        here = other.bucket.rpartition("@")[2].lower() == self.bucket.rpartition("@")[2].lower()
        same = other.scheme == self.scheme and (here or self.scheme in _ONE_SERVER)
        if not same or other.query or other.credentials:
            return other
        return replace(other, credentials=self.credentials, query=self.query)

    def open(self) -> tuple[Any, str]:
        """Its `pyarrow.fs.FileSystem` and the path there.

        Raises:
            OSError: the storage can't be reached; `strerror` says why.
            DataError: no library that is installed knows the scheme.
        """
        filesystem, base = _filesystem(self.scheme, self.bucket, self.credentials, self.query)
        return filesystem, f"{base}/{self.path}" if self.path else base


@lru_cache(maxsize=32)  # one per process: opening S3 costs a thread pool, and a question for the bucket's region
def _filesystem(scheme: str, bucket: str, credentials: str, query: str) -> tuple[Any, str]:
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    uri = f"{scheme}://{credentials}{'@' if credentials else ''}{bucket}"
    try:
        if not _SCHEME.fullmatch(scheme):
            raise ValueError("there is no such kind of address")
        if scheme not in ARROW_SCHEMES:
            from fsspec.core import url_to_fs  # type: ignore[import-untyped]

            filesystem, path = url_to_fs(uri)
            return PyFileSystem(FSSpecHandler(filesystem)), path.rstrip("/")
        if scheme in ("gs", "gcs") and "retry_limit_seconds" not in query:
            query = f"{query}{'&' if query else ''}retry_limit_seconds={_GS_PATIENCE}"
        filesystem, path = FileSystem.from_uri(f"{uri}?{query}" if query else uri)
        return filesystem, path.rstrip("/")
    except OSError as error:
        raise told(error) from error
    except (ValueError, ImportError) as error:
        raise DataError(
            f"The data must be a folder, a file, or an address such as s3://bucket/folder; received "
            f"{scheme}://{bucket}, which can't be opened ({reason(error)})."
        ) from error


def reason(error: Exception) -> str:
    """Why a storage refused, in a few words and without secrets."""
    text = str(error)
    code = _AWS.search(text)
    if code:
        return _REASONS.get(code[1], code[1].lower().replace("_", " "))
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if "resolve host" in text or "Could not connect" in text or "CURL error" in text:
        return _REASONS["NETWORK_CONNECTION"]
    if isinstance(status := getattr(error, "status", None), int):  # of aiohttp, whose text holds the address
        return f"HTTP {status}"
    text = getattr(error, "strerror", None) or text or type(error).__name__
    return _QUERY.sub(r"\1", _CREDENTIALS.sub("//", text.strip().partition("\n")[0]))[:200].rstrip(".")


def told(error: Exception) -> OSError:
    """The same error as an OSError, with a `strerror` of a few words."""
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(2, reason(error))
    return OSError(getattr(error, "errno", None) or 5, reason(error))

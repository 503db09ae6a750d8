"""Where MLflow records: which addresses are taken, and whether something answers there."""

import socket
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from imgcls_ray.errors import ClusterError, SettingsError

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
STUDIES = "studies"
"""The folder of the studies under the storage root; each keeps there what MLflow is to know of it."""
SERVERS = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql")
PATIENCE = 4.0
"""Seconds until an address that does not answer is given up. MLflow itself tries for minutes."""


def resolve_uri(storage: Path, uri: str | None) -> str:
    """The tracking address: `uri` itself, or the SQLite database under the `storage` root when it is None.

    Raises:
        SettingsError: `uri` is a folder (MLflow's old file store) or of a kind that is not supported.
    """
    if uri is None:
        return _sqlite(storage.absolute() / DATABASE)
    scheme = uri.partition(":")[0].partition("+")[0] if "://" in uri else ""
    if scheme == "sqlite":
        path = uri.partition("://")[2].removeprefix("/")
        if not uri.startswith("sqlite:///") or path in ("", ":memory:"):
            raise SettingsError(f"A SQLite tracking address is sqlite:///FILE; received {uri!r}.")
        return _sqlite(Path(path).absolute())
    if scheme in SERVERS and not urlsplit(uri).hostname:
        raise SettingsError(f"A tracking server's address is http://HOST:PORT; received {uri!r}.")
    if scheme in SERVERS + DATABASES:
        return uri.rstrip("/")
    if scheme in ("", "file"):
        folder = uri.removeprefix("file:").removeprefix("//")
        raise SettingsError(
            f"MLflow no longer records into plain folders such as {uri!r}: leave --tracking-uri out, give "
            "sqlite:///FILE or http://HOST:PORT, or bring old runs over with "
            f"`mlflow migrate-filestore --source {folder} --target sqlite:///mlflow.db`."
        )
    raise SettingsError(
        "A tracking address is http(s)://HOST:PORT, sqlite:///FILE, postgresql://... or mysql://...; "
        f"received {hide(uri)!r}."
    )


def is_server(uri: str) -> bool:
    """Whether `uri` is an MLflow server and not a database."""
    return uri.startswith(("http://", "https://"))


def sqlite_file(uri: str) -> Path | None:
    """The file of a resolved SQLite address; None for any other kind."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:") else None


def hide(uri: str) -> str:
    """The address without user name and password, for messages."""
    head, at, tail = uri.rpartition("@")
    return f"{head.partition('://')[0]}://{tail}" if at else uri


def check_reachable(uri: str) -> None:
    """Return when something answers at the resolved `uri`; a SQLite file needs nothing.

    Raises:
        ClusterError: nothing answers within a few seconds.
    """
    if sqlite_file(uri):
        return
    parts = urlsplit(uri)
    try:
        if is_server(uri):
            # A fixed scheme was checked by resolve_uri; any answer, a 401 too, shows that a server is there.
            urllib.request.urlopen(f"{hide(uri)}/health", timeout=PATIENCE).close()  # noqa: S310
        elif parts.hostname:
            port = parts.port or (3306 if parts.scheme.startswith("mysql") else 5432)
            socket.create_connection((parts.hostname, port), timeout=PATIENCE).close()
    except urllib.error.HTTPError as answer:
        answer.close()
    except (OSError, HTTPException) as error:  # the second: something else speaks there
        reason = getattr(error, "reason", error)
        raise ClusterError(
            f"The tracking server must answer before the search starts, but {hide(uri)} does not ({reason}); "
            "start it, correct --tracking-uri, or leave it out to record under --storage."
        ) from error


def _sqlite(path: Path) -> str:
    if any(sign in str(path) for sign in "?%#"):
        raise SettingsError(
            "The path of a SQLite database may not hold '?', '%' or '#', which mean something in an address; "
            f"received {str(path)!r}."
        )
    return f"sqlite:///{path}"

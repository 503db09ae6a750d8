"""Keras' ImageNet weights from where Keras publishes them, into Keras' own cache, without ever hanging."""

import hashlib
import os
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

from imgcls_ray.errors import WeightsError
from imgcls_ray.models.backbones import KerasBackbone

_PROBE_SECONDS = 4.0
_READ_SECONDS = 30.0


def keras_models_folder() -> Path:
    """Where Keras keeps downloaded weights: `$KERAS_HOME/models` or `~/.keras/models`."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def download(entry: KerasBackbone) -> Path:
    """Fetch the weights file of `entry` into Keras' cache and return its path.

    The server is first asked for the file's header only, so a dead network is found out within five seconds; proxies
    in the environment are respected. The file is checked against Keras' own hash, where there is one, before it gets
    its name.

    Raises:
        WeightsError: not reachable, cut off, a wrong hash, or the cache can't be written.
    """
    reason = _unreachable(entry.weights_url)
    if reason is not None:
        raise WeightsError(_sentence(entry, reason))
    folder = keras_models_folder()
    partial: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{entry.weights_file}.", dir=folder)
        partial = Path(name)
        with os.fdopen(handle, "wb") as file, _open(entry.weights_url, "GET", _READ_SECONDS) as answer:
            while chunk := answer.read(1 << 20):
                file.write(chunk)
            # urllib does not tell of a connection that ends too soon, and some families have no published hash.
            promised = answer.headers.get("Content-Length")
            if promised and file.tell() != int(promised):
                raise WeightsError(_sentence(entry, f"cut off after {file.tell()} of {promised} bytes"))
            file.flush()
            os.fsync(file.fileno())
        if not _matches(partial, entry.weights_hash):
            raise WeightsError(_sentence(entry, "what arrived does not match the published hash"))
        partial.chmod(0o644)
        partial.replace(folder / entry.weights_file)
    except (OSError, urllib.error.URLError) as error:
        raise WeightsError(_sentence(entry, str(error))) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
    return folder / entry.weights_file


def _sentence(entry: KerasBackbone, reason: str) -> str:
    return (
        f"The ImageNet weights of '{entry.name}' are not on this machine and can't be downloaded from "
        f"{entry.weights_url} ({reason}); bring the file '{entry.weights_file}' and put it into "
        f"'{keras_models_folder()}' or into a folder named by IMGCLS_WEIGHTS_DIR, or give its path with "
        f"--weights {entry.name}=PATH."
    )


def _open(url: str, method: str, seconds: float):  # type: ignore[no-untyped-def]  # what urllib returns has no public type
    # The address is one of the table's, always https.
    return urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=seconds)  # noqa: S310


def _unreachable(url: str) -> str | None:
    """Why `url` does not answer in time; None if it does."""
    outcome: list[str | None] = []

    def ask() -> None:
        try:
            with _open(url, "HEAD", _PROBE_SECONDS):
                outcome.append(None)
        except (OSError, ValueError) as error:
            outcome.append(str(getattr(error, "reason", None) or error))

    # In a thread of its own, because no time-out of a socket bounds the look-up of a host's name.
    thread = threading.Thread(target=ask, name="weights-probe", daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS + 0.5)
    return outcome[0] if outcome else f"no answer within {_PROBE_SECONDS:.0f} seconds"


def _matches(path: Path, expected: str | None) -> bool:
    if expected is None:
        return True
    # Keras publishes MD5 for its older families: enough against a cut or a proxy's error page, not against attackers.
    digest = hashlib.sha256() if len(expected) == 64 else hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == expected

"""MLflow's model registry: put a bundle in, find the bundle behind `models:/name@alias`."""

import hashlib
import re
import shutil
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from imgcls_ray.bundle.bundle import is_bundle
from imgcls_ray.bundle.files import CHECKSUMS
from imgcls_ray.errors import ModelError, StorageError, nearest
from imgcls_ray.tracking.client import connect, quiet, told
from imgcls_ray.tracking.flavour import BUNDLE, write_flavour
from imgcls_ray.tracking.location import ARTIFACTS, hide, resolve_uri
from imgcls_ray.tracking.moves import CANDIDATE, CHAMPION, ORDER
from imgcls_ray.tracking.tracker import Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient

SCHEME = "models:/"
FOLDER = "model"
"""The model's place among the artifacts of the study's parent run; the bundle lies in it."""
DIGEST = "imgcls.bundle"
"""Tag of a version: the sha256 of its bundle's list of checksums."""


@dataclass(frozen=True)
class Registered:
    """One version in the registry."""

    name: str
    version: int
    alias: str | None
    """`champion`, `previous` or `candidate`; None where another version has taken its place."""
    champion: int | None = None
    """The champion when it was registered; None where there was none."""

    def __str__(self) -> str:
        return f"{SCHEME}{self.name}@{self.alias}" if self.alias else f"{SCHEME}{self.name}/{self.version}"


def model_name(text: str) -> str:
    """`text` as a name the registry takes: what is not a letter, digit, `.`, `_` or `-` becomes `-`."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "model"


def check_bundle(path: Path) -> None:
    """Whether `path` is what `register` takes.

    Raises:
        ModelError: it is no bundle.
    """
    if not is_bundle(path):
        raise ModelError(f"Only a bundle can be registered; {path} is none.")


def register(tracker: Tracker, bundle_path: Path, name: str, run: str, accuracy: float | None = None) -> Registered:
    """Copy a bundle to the artifacts of `run` and make it the next version of the model `name`, its `candidate`.

    Nothing that is served changes by it. `accuracy` is kept as the version's tag `accuracy`. A bundle that `run` has
    registered already stays that version. Beside the bundle lies what MLflow's own tools need to run it.

    Raises:
        ModelError: `bundle_path` is no bundle.
        ClusterError, StorageError: MLflow can't take it.
    """
    check_bundle(bundle_path)
    client, name = tracker.client, model_name(name)
    digest = hashlib.sha256((bundle_path / CHECKSUMS).read_bytes()).hexdigest()
    with told(tracker.uri), quiet():
        known = find_model(client, name)
        versions = client.search_model_versions(f"name = '{name}'") if known else ()
        number = next((int(v.version) for v in versions if v.run_id == run and v.tags.get(DIGEST) == digest), None)
        if number is None:
            source = _upload(client, bundle_path, run)
            if known is None:
                client.create_registered_model(name, description="An image classifier made by imgcls.")
            tags = {DIGEST: digest} | ({} if accuracy is None else {"accuracy": f"{accuracy:.4f}"})
            number = int(client.create_model_version(name, source, run_id=run, tags=tags).version)
        aliases = {} if known is None else {alias: int(version) for alias, version in known.aliases.items()}
        alias = next((alias for alias in ORDER if aliases.get(alias) == number), None)
        # A version that was there has none if a kill came before it had, or if a newer one has taken its place.
        if alias is None and number > max((aliases.get(alias, 0) for alias in ORDER), default=0):
            client.set_registered_model_alias(name, CANDIDATE, str(number))
            alias = CANDIDATE
    return Registered(name, number, alias, aliases.get(CHAMPION))


def _upload(client: "MlflowClient", bundle_path: Path, run: str) -> str:
    """Copy the bundle, and what MLflow needs to run it, to the artifacts of `run`; the address of the folder."""
    taken = {file.path for file in client.list_artifacts(run)}
    # A second bundle of the same run must not overwrite the files of the first one's version.
    folder = next(name for name in (FOLDER, *(f"{FOLDER}-{n}" for n in range(2, 10_000))) if name not in taken)
    client.log_artifacts(run, str(bundle_path), f"{folder}/{BUNDLE}")
    with tempfile.TemporaryDirectory() as beside:
        write_flavour(Path(beside), bundle_path, run)
        client.log_artifacts(run, beside, folder)
    return f"{client.get_run(run).info.artifact_uri}/{folder}"


@dataclass(frozen=True)
class Located:
    """A bundle that was found."""

    path: Path
    version: str | None
    """In the registry; None for a bundle that was given by its path."""


def resolve(ref: str, storage: Path, uri: str | None = None) -> Path:
    """The folder of the bundle that `ref` means; see `locate`."""
    return locate(ref, storage, uri).path


def locate(ref: str, storage: Path, uri: str | None = None) -> Located:
    """The bundle that `ref` means: a bundle's path, `models:/name@alias` or `models:/name/3`.

    A version that lies on another machine is downloaded once, to `models/` under the storage root.

    Raises:
        ModelError: no such bundle, model, alias or version.
        SettingsError, ClusterError, StorageError: as `Tracker`.
    """
    if not ref.startswith("models:"):
        return Located(_path(ref), None)
    match = re.fullmatch(r"models:/+([^/:@]+)(?:@([\w.-]+)|/(\d+))", ref)
    if match is None:
        raise ModelError(f"A registered model is written models:/NAME@ALIAS or models:/NAME/VERSION; received {ref!r}.")
    name, alias, number = match.groups()
    address = resolve_uri(storage, uri)
    client = connect(address, create=False)
    with told(address), quiet():
        version = find_version(client, name, alias, number, address)
        return Located(fetch(client, version, storage), str(version.version))


def _path(ref: str) -> Path:
    path = Path(ref).expanduser().absolute()
    if is_bundle(path):
        return path
    if is_bundle(path.parent):
        what = f"a file of the bundle {path.parent}: give that folder"
    elif not path.exists():
        what = "which does not exist"
    else:
        what = "which does not hold both model.keras and checksums.json"
    raise ModelError(f"A model is a bundle's folder or models:/NAME@ALIAS; received {ref!r}, {what}.")


def find_model(client: "MlflowClient", name: str) -> Any:
    known = client.search_registered_models(f"name = '{model_name(name)}'")  # a name can't hold quotes then
    return next((model for model in known if model.name == name), None)


def find_version(client: "MlflowClient", name: str, alias: str | None, number: str | None, uri: str) -> Any:
    model = find_model(client, name)
    if model is None:
        known = [other.name for other in client.search_registered_models(max_results=1000)]
        raise ModelError(
            f"No model named {name!r} is registered at {hide(uri)}{nearest(name, known) or '.'}"
            + ("" if known else " None is registered there yet; `imgcls run` registers one.")
        )
    if alias is not None:
        if alias not in model.aliases:
            listed = ", ".join(sorted(model.aliases)) or "none"
            raise ModelError(f"The model {name!r} has no alias {alias!r}; its aliases are: {listed}.")
        number = model.aliases[alias]
    versions = {str(version.version): version for version in client.search_model_versions(f"name = '{name}'")}
    if str(int(number or 0)) not in versions:
        listed = ", ".join(sorted(versions, key=int)) or "none"
        raise ModelError(f"The model {name!r} has no version {number}; its versions are: {listed}.")
    return versions[str(int(number or 0))]


def fetch(client: "MlflowClient", version: Any, storage: Path) -> Path:
    """The folder of a version's bundle; one that lies on another machine is downloaded once.

    Raises:
        ModelError: no bundle is there.
    """
    parts = urlsplit(version.source)
    if parts.scheme in ("", "file"):
        path = Path(unquote(parts.path) if parts.scheme else version.source)
        # A storage root that was moved as a whole keeps its models: the tail below mlartifacts/ is still right.
        moved = storage.absolute() / ARTIFACTS / path.as_posix().rpartition(f"/{ARTIFACTS}/")[2]
        for place in (path / BUNDLE, path, moved / BUNDLE, moved):  # versions of before have no folder in between
            if is_bundle(place):
                return place
        raise ModelError(f"Version {version.version} of {version.name!r} should lie at {path}, but no bundle is there.")
    # The time keeps versions apart that a deleted and re-made model numbered the same.
    target = storage.absolute() / "models" / f"{version.name}-{version.version}-{version.creation_timestamp}"
    if is_bundle(target):
        return target
    return _download(client, version, target)


def _download(client: "MlflowClient", version: Any, target: Path) -> Path:
    draft = target.with_name(f".{uuid.uuid4().hex}")
    try:
        draft.mkdir(parents=True)
        found = Path(client.download_artifacts(version.run_id, version.source.rpartition("/")[2], str(draft)))
        found = found / BUNDLE if is_bundle(found / BUNDLE) else found
        if not is_bundle(found):
            raise ModelError(f"Version {version.version} of {version.name!r} was downloaded, but it is no bundle.")
        if not is_bundle(target):
            found.rename(target)
    except OSError as error:
        raise StorageError(f"The model can't be downloaded to {target}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # made in this call
    return target

"""Moving the aliases of a model so that a kill in between loses nothing and two movers do not mix.

MLflow moves one alias at a time. So a move is first written down whole, as a tag of the registered model; then its
aliases are set, its line is added to the log, and the tag is taken away. Each of these steps can be done again without
harm, and whoever moves next does them again for a tag that is still there.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls_ray.data.files import storing
from imgcls_ray.errors import ModelError
from imgcls_ray.tracking.ledger import Entry, Shift, note, plain

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CANDIDATE, PREVIOUS = "champion", "candidate", "previous"
ORDER = (CHAMPION, PREVIOUS, CANDIDATE)
PENDING = "imgcls.move"
"""Tag of a registered model: the move that is being made."""
MOVED, GATES = "imgcls.moved", "imgcls.gates"
"""Tags of a version: its last move in words, and what the gates said of it."""
LOCK = ".registry.lock"
MAX_REASON = 500
MAX_TAG = 4900
"""MLflow takes 5000 characters for a tag of a registered model."""


@contextmanager
def sole_mover(storage: Path) -> Iterator[None]:
    """Wait until no other process moves aliases under this storage root, then keep others out for the block."""
    with storing(storage):
        storage.mkdir(parents=True, exist_ok=True)
        file = (storage / LOCK).open("a")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def aliases_of(client: "MlflowClient", name: str) -> dict[str, int]:
    """Alias -> version of a registered model."""
    return {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()}


def recover(client: "MlflowClient", storage: Path, name: str) -> Entry | None:
    """Finish a move that was cut off; the caller is `sole_mover`. Returns it, or None where there was none.

    Where its version was deleted in between, which can't become the champion any more, it is undone.
    """
    text = client.get_registered_model(name).tags.get(PENDING)
    if not text:
        return None
    entry = Entry.from_json(json.loads(text))
    if not _is_there(client, name, entry.version):
        _undo(client, entry)
        return None
    _carry_out(client, storage, entry)
    return entry


def move(client: "MlflowClient", storage: Path, entry: Entry) -> Entry:
    """Give `entry.champion` and `entry.previous` these aliases; its version is no candidate any more.

    The caller is `sole_mover`, has recovered, and has checked that the aliases are those that it decided by.

    Raises:
        ModelError: the version was deleted meanwhile, or another program that keeps another storage root moves the same
            model at this moment.
    """
    if not _is_there(client, entry.model, entry.version):
        raise ModelError(
            f"Version {entry.version} of '{entry.model}' was deleted from the registry meanwhile, so nothing is moved: "
            f"`imgcls models {entry.model}` lists those that are left."
        )
    client.set_registered_model_tag(entry.model, PENDING, _short(entry))
    theirs = Entry.from_json(json.loads(client.get_registered_model(entry.model).tags[PENDING]))
    if theirs.id != entry.id:
        raise ModelError(
            f"Version {theirs.version} of '{entry.model}' is being moved by {theirs.who} at this moment: try again."
        )
    _carry_out(client, storage, entry)
    return entry


def shifts(before: dict[str, int], after: dict[str, int]) -> tuple[Shift, ...]:
    """What becomes of each version between two states of the aliases."""
    was = {version: alias for alias in reversed(ORDER) for version in [before.get(alias)] if version}
    now = {version: alias for alias in reversed(ORDER) for version in [after.get(alias)] if version}
    versions = sorted(was.keys() | now.keys(), reverse=True)
    pairs = [(version, was.get(version, "none"), now.get(version, "none")) for version in versions]
    return tuple(Shift(*pair) for pair in pairs if pair[1] != pair[2])


def _carry_out(client: "MlflowClient", storage: Path, entry: Entry) -> None:
    # `previous` first: whenever it is cut off there is a champion, and what it takes the place of is in the tag.
    for alias, version in ((PREVIOUS, entry.previous), (CHAMPION, entry.champion)):
        if aliases_of(client, entry.model).get(alias) != version and _is_there(client, entry.model, version):
            client.set_registered_model_alias(entry.model, alias, str(version))
    if aliases_of(client, entry.model).get(CANDIDATE) == entry.version:
        client.delete_registered_model_alias(entry.model, CANDIDATE)
    note(storage, entry)
    tell_versions(client, entry)
    client.delete_registered_model_tag(entry.model, PENDING)


def _undo(client: "MlflowClient", entry: Entry) -> None:
    """Put back what the move has changed, as far as those versions are still there. Done twice, it changes nothing."""
    before = {shift.before: shift.version for shift in entry.moved}
    now = aliases_of(client, entry.model)
    if CHAMPION not in now and _is_there(client, entry.model, before.get(CHAMPION)):
        client.set_registered_model_alias(entry.model, CHAMPION, str(before[CHAMPION]))
    now = aliases_of(client, entry.model)
    if now.get(PREVIOUS) in (None, now.get(CHAMPION)):
        if _is_there(client, entry.model, before.get(PREVIOUS)):
            client.set_registered_model_alias(entry.model, PREVIOUS, str(before[PREVIOUS]))
        elif PREVIOUS in now:
            client.delete_registered_model_alias(entry.model, PREVIOUS)
    client.delete_registered_model_tag(entry.model, PENDING)


def _is_there(client: "MlflowClient", name: str, version: int | None) -> bool:
    """Whether a model has this version: who looks after models in MLflow's pages may delete one at any moment."""
    from mlflow.exceptions import MlflowException

    if version is None:
        return False
    try:
        client.get_model_version(name, str(version))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True


def tell_versions(client: "MlflowClient", entry: Entry) -> None:
    """Leave on the versions themselves what the log says of them, for who looks at them in MLflow's pages."""
    why = f": {entry.reason}" if entry.reason else ""
    forced = ", against the gates" if entry.forced else ""
    for shift in entry.moved:
        if not _is_there(client, entry.model, shift.version):
            continue
        text = f"{shift.before} -> {shift.after} by {entry.who} at {entry.at} ({entry.action}{forced}){why}"
        client.set_model_version_tag(entry.model, str(shift.version), MOVED, plain(text))
    if entry.gates and _is_there(client, entry.model, entry.version):
        client.set_model_version_tag(entry.model, str(entry.version), GATES, _gates(entry))


def _gates(entry: Entry) -> str:
    kept = ("gate", "verdict", "figure", "limit", "unit")
    return json.dumps([{name: gate[name] for name in kept} for gate in entry.gates])


def _short(entry: Entry) -> str:
    """The entry as a tag can hold it: of what the gates said, the sentences are cut where there is too much."""
    document: dict[str, Any] = entry.to_json()
    if len(text := _written(document)) > MAX_TAG:
        document["gates"] = [{**gate, "sentence": gate["sentence"][:200]} for gate in document["gates"]]
        text = _written(document)
    return text


def _written(document: dict[str, Any]) -> str:
    return plain(json.dumps(document, ensure_ascii=False))

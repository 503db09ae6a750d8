"""The versions of registered models: which there are, and moving them between candidate, champion and previous."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls_ray.errors import ModelError, SettingsError, nearest
from imgcls_ray.tracking import ledger
from imgcls_ray.tracking.client import connect, quiet, told
from imgcls_ray.tracking.ledger import Entry
from imgcls_ray.tracking.location import hide, resolve_uri
from imgcls_ray.tracking.moves import (
    CANDIDATE,
    CHAMPION,
    MAX_REASON,
    MOVED,
    ORDER,
    PREVIOUS,
    aliases_of,
    move,
    recover,
    shifts,
    sole_mover,
    tell_versions,
)
from imgcls_ray.tracking.registry import SCHEME, fetch, find_model, find_version

if TYPE_CHECKING:
    from mlflow import MlflowClient

FORMS = f"NAME, NAME/VERSION, {SCHEME}NAME/VERSION, {SCHEME}NAME@ALIAS or '{CANDIDATE}'"


@dataclass(frozen=True)
class Version:
    """One version of a model."""

    model: str
    version: int
    aliases: tuple[str, ...]
    created: str
    """ISO 8601, UTC."""
    run: str | None
    """The id of the study's run."""
    moved: str = ""
    """Its last move, in words."""
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


class Versions:
    """The registry under a storage root, or at a tracking address.

    Raises:
        StorageError: nothing is recorded there.
        SettingsError, ClusterError: as `Tracker`.
    """

    def __init__(self, storage: Path, uri: str | None = None) -> None:
        self.storage = storage.absolute()
        self.uri = resolve_uri(self.storage, uri)
        self._client = connect(self.uri, create=False)

    @contextmanager
    def _asking(self) -> Iterator["MlflowClient"]:
        with told(self.uri), quiet():
            yield self._client

    def listed(self, model: str | None = None) -> list[Version]:
        """All versions of one model or of all, the newest first.

        Raises:
            ModelError: there is no such model.
        """
        with self._asking() as client:
            found = client.search_registered_models(max_results=1000)
            if model is not None:
                found = [one for one in found if one.name == model] or [self._known(client, model)]
            rows = []
            for one in found:
                aliases = {alias: int(version) for alias, version in one.aliases.items()}
                quote = '"' if "'" in one.name else "'"  # others' models may be called anything
                for version in client.search_model_versions(f"name = {quote}{one.name}{quote}"):
                    rows.append(_version(version, aliases))
        return sorted(rows, key=lambda row: (row.model, -row.version))

    def named(self, ref: str | None) -> tuple[str, int]:
        """The model and version that `ref` means; None and `candidate` are the one candidate there is.

        Raises:
            ModelError: there is no such model or version, or no candidate, or more than one.
        """
        if ref in (None, CANDIDATE):
            return self._sole_candidate()
        match = re.fullmatch(rf"(?:{SCHEME}/*)?([^/:@]+)(?:@([\w.-]+)|/(\d+))?", ref or "")
        if match is None:
            raise ModelError(f"A version is written {FORMS}; received {ref!r}.")
        name, alias, number = match.groups()
        with self._asking() as client:
            if alias is None and number is None:
                self._known(client, name)
                alias = CANDIDATE
                if CANDIDATE not in aliases_of(client, name):
                    raise ModelError(
                        f"The model {name!r} has no candidate; a version is promoted by its number, as in {name}/1."
                    )
            return name, int(find_version(client, name, alias, number, self.uri).version)

    def _sole_candidate(self) -> tuple[str, int]:
        with self._asking() as client:
            models = client.search_registered_models(max_results=1000)
        found = [(one.name, int(one.aliases[CANDIDATE])) for one in models if CANDIDATE in one.aliases]
        if len(found) == 1:
            return found[0]
        if not found:
            raise ModelError(
                f"There is no candidate at {hide(self.uri)}: `imgcls run` or `imgcls update` makes one; a version is "
                "promoted by its number, as in NAME/1."
            )
        names = ", ".join(sorted(name for name, _ in found))
        raise ModelError(f"There are candidates of {len(found)} models ({names}): name one.")

    def sole_model(self) -> str:
        """The name of the one model that is registered.

        Raises:
            ModelError: there is none, or more than one.
        """
        with self._asking() as client:
            names = sorted(one.name for one in client.search_registered_models(max_results=1000))
        if len(names) != 1:
            there = f"there are {', '.join(names)}" if names else "none is registered"
            raise ModelError(f"The model must be named where there is not just one; at {hide(self.uri)} {there}.")
        return str(names[0])

    def aliases(self, model: str) -> dict[str, int]:
        """Alias -> version; a move that was cut off is finished first.

        Raises:
            ModelError: there is no such model.
        """
        with self._asking() as client:
            self._known(client, model)
            with sole_mover(self.storage):
                recover(client, self.storage, model)
            return aliases_of(client, model)

    def folder(self, model: str, version: int) -> Path:
        """The version's bundle.

        Raises:
            ModelError: no bundle is there.
        """
        with self._asking() as client:
            return fetch(client, find_version(client, model, None, str(version), self.uri), self.storage)

    def promote(
        self,
        model: str,
        version: int,
        champion: int | None,
        gates: Sequence[Mapping[str, Any]],
        reason: str = "",
        forced: bool = False,
    ) -> Entry:
        """Make `version` the champion, and what was it the previous one.

        `champion` is the version that the gates compared with: if it is another one by now, they judged in vain.

        Raises:
            ModelError: the champion has changed meanwhile, or is this version.
        """
        _check_reason(reason)
        with self._asking() as client, sole_mover(self.storage):
            recover(client, self.storage, model)
            before = aliases_of(client, model)
            if before.get(CHAMPION) == version:
                raise ModelError(f"Version {version} of '{model}' is the champion already.")
            if before.get(CHAMPION) != champion:
                raise ModelError(
                    f"The champion of '{model}' became version {before.get(CHAMPION)} while {version} was judged "
                    f"against {f'version {champion}' if champion else 'none'}: promote again."
                )
            previous = before.get(PREVIOUS) if champion is None else champion
            after = {CHAMPION: version, **({PREVIOUS: previous} if previous else {})}
            if CANDIDATE in before and before[CANDIDATE] != version:
                after[CANDIDATE] = before[CANDIDATE]
            moved = shifts(before, after)
            entry = Entry(model, "promote", version, version, previous, moved, reason, forced, tuple(gates))
            return move(client, self.storage, entry)

    def refuse(self, model: str, version: int, gates: Sequence[Mapping[str, Any]], reason: str) -> Entry:
        """Note in the log that the gates refused a version; nothing is moved."""
        with self._asking() as client, sole_mover(self.storage):
            now = aliases_of(client, model)
            entry = Entry(
                model, "refuse", version, now.get(CHAMPION), now.get(PREVIOUS), reason=reason, gates=tuple(gates)
            )
            ledger.note(self.storage, entry)
            tell_versions(client, entry)
            return entry

    def rollback(self, model: str, reason: str = "") -> Entry:
        """Let champion and previous change places.

        Raises:
            ModelError: there is no such model, or nothing to go back to.
        """
        _check_reason(reason)
        with self._asking() as client, sole_mover(self.storage):
            self._known(client, model)
            recover(client, self.storage, model)
            before = aliases_of(client, model)
            if CHAMPION not in before or PREVIOUS not in before:
                raise ModelError(
                    f"There is no version to go back to: the model '{model}' has no '{PREVIOUS}', which the second "
                    "promotion makes."
                )
            champion, previous = before[PREVIOUS], before[CHAMPION]
            after = {**before, CHAMPION: champion, PREVIOUS: previous}
            entry = Entry(model, "rollback", champion, champion, previous, shifts(before, after), reason)
            return move(client, self.storage, entry)

    def _known(self, client: "MlflowClient", model: str) -> Any:
        found = find_model(client, model)
        if found is None:
            known = [one.name for one in client.search_registered_models(max_results=1000)]
            raise ModelError(
                f"No model named {model!r} is registered at {hide(self.uri)}{nearest(model, known) or '.'}"
            )
        return found


def _check_reason(reason: str) -> None:
    if len(reason) > MAX_REASON:
        raise SettingsError(f"A reason has up to {MAX_REASON} characters; received {len(reason)}: shorten it.")


def _version(version: Any, aliases: Mapping[str, int]) -> Version:
    number = int(version.version)
    held = tuple(alias for alias in ORDER if aliases.get(alias) == number)
    others = tuple(sorted(alias for alias, one in aliases.items() if one == number and alias not in ORDER))
    created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).isoformat(timespec="seconds")
    tags = dict(version.tags)
    return Version(version.name, number, held + others, created, version.run_id, tags.get(MOVED, ""), tags)

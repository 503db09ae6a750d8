"""Promotion: a version is judged by the gates, and takes the champion's place when it passes them all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_ray.bundle.bundle import load_bundle
from imgcls_ray.config import GateSettings
from imgcls_ray.errors import DataError, ModelError, SettingsError
from imgcls_ray.pipeline.heldout import find_held_out
from imgcls_ray.storage import Storage
from imgcls_ray.tracking.gates import Contender, Contest, Judgement, judged, passed
from imgcls_ray.tracking.ledger import Entry
from imgcls_ray.tracking.moves import CHAMPION
from imgcls_ray.tracking.registry import SCHEME, Registered
from imgcls_ray.tracking.versions import Versions


@dataclass(frozen=True)
class Promotion:
    """What came of a version's promotion."""

    model: str
    version: int
    champion: int | None
    """The version that was the champion before; None where there was none."""
    judgements: tuple[Judgement, ...]
    entry: Entry | None
    """Its line in the log; None where it was judged only."""

    @property
    def passed(self) -> bool:
        """Whether no gate stands against it."""
        return passed(self.judgements)

    @property
    def promoted(self) -> bool:
        """Whether it is the champion now."""
        return self.entry is not None and self.entry.action == "promote"

    @property
    def failures(self) -> list[Judgement]:
        """What stands against it."""
        return [one for one in self.judgements if not passed([one])]

    @property
    def sentence(self) -> str:
        """What happened, and why."""
        name = f"{SCHEME}{self.model}/{self.version}"
        against = f"version {self.champion}" if self.champion else "no champion"
        failed = ", ".join(one.gate for one in self.failures)
        if self.promoted and self.failures:
            return f"{name} is the champion now, in place of {against}, against the gates: {failed}."
        if self.promoted and self.champion is None:
            return f"{name} is the champion now: the first one, which passed the gates that need no rival."
        if self.promoted:
            return f"{name} is the champion now, in place of {against}: it passed all gates."
        if self.entry is None:
            return f"{name} {'passes all gates' if self.passed else f'fails {failed}'} against {against}; it stays."
        return f"{name} is not promoted, {against} stays the champion: it fails {failed}."

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls promote --json` prints."""
        return {
            "model": self.model,
            "version": self.version,
            "champion_before": self.champion,
            "promoted": self.promoted,
            "passed": self.passed,
            "forced": bool(self.entry and self.entry.forced),
            "gates": [one.to_json() for one in self.judgements],
            "sentence": self.sentence,
            "who": self.entry.who if self.entry else None,
            "at": self.entry.at if self.entry else None,
        }


@dataclass(frozen=True)
class PromotionSettings:
    """How a version is promoted."""

    gates: GateSettings = GateSettings()  # noqa: RUF009 - it can't be changed
    data: Path | None = None
    """A preprocessed set on whose test pictures the models are compared; by default that of the newest one."""
    force: bool = False
    """Promote it whatever the gates say; that needs a reason."""
    reason: str = ""


def promote(
    storage: Storage,
    ref: str | None = None,
    settings: PromotionSettings = PromotionSettings(),
    tracking_uri: str | None = None,
    move: bool = True,
) -> Promotion:
    """Judge the version that `ref` means (see `Versions.named`), and make it the champion when it passes.

    With `move` false it is judged only. A refusal is in the log too.

    Raises:
        ModelError: there is no such version, it is the champion already, or another one became it meanwhile.
        DataError: the two models can't be compared, for want of test pictures.
        SettingsError: it is to be forced without a reason.
    """
    if settings.force and not settings.reason.strip():
        raise SettingsError("Who overrides the gates says why: add --reason '...'; it is kept in the log.")
    versions = Versions(storage.root, tracking_uri)
    model, version = versions.named(ref)
    champion = versions.aliases(model).get(CHAMPION)
    if champion == version:
        raise ModelError(f"Version {version} of '{model}' is the champion already.")
    judgements = judged(_contest(storage, versions, model, (version, champion), settings))
    gates = [one.to_json() for one in judgements]
    entry = None
    if move and (settings.force or passed(judgements)):
        forced = not passed(judgements)
        entry = versions.promote(model, version, champion, gates, settings.reason, forced)
    elif move:
        why = "; ".join(one.sentence for one in judgements if not passed([one]))
        entry = versions.refuse(model, version, gates, why)
    return Promotion(model, version, champion, judgements, entry)


def promote_first(versions: Versions, registered: Registered) -> Promotion | None:
    """Make the version of a model that has no champion the first one, if it passes the gates that need no rival.

    None where there is a champion: what is served does not change by itself.
    """
    model, version = registered.name, registered.version
    if CHAMPION in versions.aliases(model):
        return None
    judgements = judged(Contest(_contender(versions, model, version), None, np.empty(0, int)))
    gates = [one.to_json() for one in judgements]
    try:
        if passed(judgements):
            entry = versions.promote(model, version, None, gates, "the first version of this model")
        else:
            entry = versions.refuse(model, version, gates, "; ".join(one.sentence for one in judgements))
    except ModelError:
        if CHAMPION in versions.aliases(model):  # of another run that ended at the same time
            return None
        raise
    return Promotion(model, version, None, judgements, entry)


def _contest(
    storage: Storage, versions: Versions, model: str, pair: tuple[int, int | None], settings: PromotionSettings
) -> Contest:
    """Load both, and ask both for the same test pictures."""
    candidate = _contender(versions, model, pair[0])
    champion = _contender(versions, model, pair[1]) if pair[1] else None
    bundles = [one.bundle for one in (candidate, champion) if one and one.bundle]
    if champion is None or len(bundles) < 2:
        return Contest(candidate, champion, np.empty(0, int), settings=settings.gates)
    try:
        held = find_held_out(storage, bundles, settings.data)
        answers = [held.answers(bundle) for bundle in bundles]
    except DataError as error:
        if not settings.force:
            raise
        return Contest(candidate, Contender(champion.name, None, str(error)), np.empty(0, int))
    return Contest(
        Contender(candidate.name, candidate.bundle, answers=answers[0]),
        Contender(champion.name, champion.bundle, answers=answers[1]),
        held.labels,
        held.words,
        settings.gates,
    )


def _contender(versions: Versions, model: str, version: int) -> Contender:
    name = f"{SCHEME}{model}/{version}"
    try:
        return Contender(name, load_bundle(versions.folder(model, version)))
    except ModelError as error:
        return Contender(name, None, str(error))

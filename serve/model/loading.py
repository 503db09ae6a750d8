"""From a model's name to a predictor that is ready."""

import sys
from dataclasses import replace
from pathlib import Path

from imgcls_ray.bundle.bundle import answered_by, load_bundle
from imgcls_ray.errors import ModelError
from imgcls_ray.inference.device import claim
from imgcls_ray.tracking.registry import Located, locate
from serve.model.explaining import Explainer
from serve.model.follower import Follower
from serve.model.predictor import Predictor
from serve.model.served import Arm, Served
from serve.model.shadow import Shadow
from serve.model.traffic import Traffic
from serve.record.meters import Meters
from serve.settings import ServeSettings


def find(settings: ServeSettings, model: str | None = None) -> Located:
    """The bundle that `settings.model` names, with the version that answers are to name; or that of another arm.

    Raises:
        ModelError: there is none.
    """
    found = locate(model or settings.model, Path(settings.storage), settings.tracking_uri)
    return found if model else replace(found, version=settings.version or found.version)


def check(bundle: Path) -> None:
    """The checks of a bundle that need no TensorFlow, so that a bad one is told before anything starts.

    Raises:
        ModelError: a file is missing or was changed, or the model file holds more than stock layers and weights.
    """
    from imgcls_ray.bundle.archive import check_archive
    from imgcls_ray.bundle.files import MODEL, verify_files

    verify_files(bundle)
    check_archive(bundle / MODEL)


def load(found: Located, settings: ServeSettings) -> Served:
    """Load and check a bundle, and run it once in each batch size.

    Where TensorFlow answers it gets as many threads as the replica has CPUs; else it is not loaded.

    Raises:
        ModelError: a check fails.
    """
    if answered_by(found.path) == "tensorflow" and "tensorflow" not in sys.modules:
        claim(settings.cpus)
    served = Served(load_bundle(found.path, settings.cpus), found.version)
    served.bundle.engine.warm_up()
    return served


def load_predictor(settings: ServeSettings) -> Predictor:
    """Load the model.

    Raises:
        ModelError: there is no such bundle, or a check fails.
    """
    predictor = Predictor(load(find(settings), settings), settings)
    predictor.ready = True
    return predictor


def follow(predictor: Predictor, settings: ServeSettings, meters: Meters) -> None:
    """Let each arm of the predictor follow its alias; one that is a version or a folder stays what it is.

    Canary and shadow are loaded here, before the replica answers: an id that is the canary's is so from the start. If
    they can't be, the champion answers alone.
    """
    if settings.canary:
        predictor.traffic = Traffic(predictor.champion, Arm("canary"), settings.canary_weight)
    if settings.shadow:
        predictor.shadow = Shadow(Arm("shadow"), settings.shadow_share, predictor.classify_now, meters)
    for arm in predictor.arms:
        follower = _follower(arm, predictor, settings, meters)
        if arm.served is None:
            follower.look()
        if settings.follow_seconds and _is_alias(_named(arm, settings)):
            follower.start(settings.follow_seconds)


def _follower(arm: Arm, predictor: Predictor, settings: ServeSettings, meters: Meters) -> Follower:
    """A version that another arm has is not loaded again; a canary with other classes than the champion is refused."""
    other = None if arm.name == "champion" else _named(arm, settings)

    def loaded(found: Located) -> Served:
        there = [each.served for each in predictor.arms if each.served]
        same = [one for one in there if (one.version, one.path) == (found.version, found.path)]
        served = same[0] if same else load(found, settings)
        known = predictor.served.labels
        if arm.name == "canary" and served.labels != known:
            raise ModelError(
                f"A canary knows the champion's classes, {len(known)} of them, since clients do not know "
                f"which of the two answers; this one knows {len(served.labels)}, or others: try it as the shadow."
            )
        return served

    return Follower(arm, meters, lambda: find(settings, other), loaded)


def _named(arm: Arm, settings: ServeSettings) -> str:
    """What the settings say is in an arm."""
    return {"champion": settings.model, "canary": settings.canary, "shadow": settings.shadow}[arm.name] or ""


def _is_alias(model: str) -> bool:
    return model.startswith("models:") and "@" in model


def load_explainer(path: Path, settings: ServeSettings) -> Explainer:
    """Load and check a bundle for heat maps, and trace their graph.

    Raises:
        ModelError: a check fails.
    """
    claim(settings.cpus)
    explainer = Explainer(Served(load_bundle(path, engine="tensorflow")))
    explainer.warm_up()
    return explainer

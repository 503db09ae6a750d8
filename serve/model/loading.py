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

    Canary and shadow are loaded meanwhile; until they are, and if they can't be, the champion answers alone.
    """
    if settings.follow_seconds and _is_alias(settings.model):
        _follower(predictor.champion, settings, meters).start(settings.follow_seconds)
    if settings.canary:
        arm = Arm("canary")
        predictor.traffic = Traffic(predictor.champion, arm, settings.canary_weight)
        _follower(arm, settings, meters, settings.canary, predictor).start(_seconds(settings, settings.canary))
    if settings.shadow:
        arm = Arm("shadow")
        predictor.shadow = Shadow(arm, settings.shadow_share, predictor, meters)
        _follower(arm, settings, meters, settings.shadow).start(_seconds(settings, settings.shadow))


def _follower(
    arm: Arm, settings: ServeSettings, meters: Meters, model: str | None = None, alike: Predictor | None = None
) -> Follower:
    """With `alike` only a version with the same classes as its champion is let in."""

    def loaded(found: Located) -> Served:
        served = load(found, settings)
        if alike and served.labels != alike.served.labels:
            raise ModelError(
                f"A canary knows the champion's classes, {len(alike.served.labels)} of them, since clients do not know "
                f"which of the two answers; this one knows {len(served.labels)}, or others: try it as the shadow."
            )
        return served

    return Follower(arm, meters, lambda: find(settings, model), loaded)


def _is_alias(model: str) -> bool:
    return model.startswith("models:") and "@" in model


def _seconds(settings: ServeSettings, model: str) -> float:
    return settings.follow_seconds if _is_alias(model) else 0.0


def load_explainer(path: Path, settings: ServeSettings) -> Explainer:
    """Load and check a bundle for heat maps, and trace their graph.

    Raises:
        ModelError: a check fails.
    """
    claim(settings.cpus)
    explainer = Explainer(Served(load_bundle(path, engine="tensorflow")))
    explainer.warm_up()
    return explainer

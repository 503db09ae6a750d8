"""From a model's name to a predictor that is ready."""

import sys
from dataclasses import replace
from pathlib import Path

from imgcls_ray.bundle.bundle import answered_by, load_bundle
from imgcls_ray.inference.device import claim
from imgcls_ray.tracking.registry import Located, locate
from serve.model.explaining import Explainer
from serve.model.follower import Follower
from serve.model.predictor import Predictor
from serve.model.served import Served
from serve.record.meters import Meters
from serve.settings import ServeSettings


def find(settings: ServeSettings) -> Located:
    """The bundle that `settings.model` names, with the version that answers are to name.

    Raises:
        ModelError: there is none.
    """
    found = locate(settings.model, Path(settings.storage), settings.tracking_uri)
    return replace(found, version=settings.version or found.version)


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
    """Let the predictor follow the alias that `settings.model` names; anything else stays what it is."""
    if settings.follow_seconds and "@" in settings.model and settings.model.startswith("models:"):
        follower = Follower(predictor, meters, lambda: find(settings), lambda found: load(found, settings))
        follower.start(settings.follow_seconds)


def load_explainer(path: Path, settings: ServeSettings) -> Explainer:
    """Load and check a bundle for heat maps, and trace their graph.

    Raises:
        ModelError: a check fails.
    """
    claim(settings.cpus)
    explainer = Explainer(Served(load_bundle(path, engine="tensorflow")))
    explainer.warm_up()
    return explainer

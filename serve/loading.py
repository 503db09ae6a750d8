"""From a model's name to a predictor that is ready."""

from dataclasses import replace
from pathlib import Path

from imgcls_ray.bundle.bundle import load_bundle
from imgcls_ray.inference.device import claim
from imgcls_ray.tracking.registry import Located, locate
from serve.explaining import Explainer
from serve.predictor import Predictor
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


def load_predictor(settings: ServeSettings) -> Predictor:
    """Load, check and warm up the bundle; TensorFlow gets as many threads as the replica has CPUs.

    Raises:
        ModelError: there is no such bundle, or a check fails.
    """
    claim(settings.cpus)
    found = find(settings)
    predictor = Predictor(load_bundle(found.path, settings.cpus), settings, found.version)
    predictor.warm_up()
    return predictor


def load_explainer(settings: ServeSettings) -> Explainer:
    """Load and check the bundle for heat maps, and trace their graph.

    Raises:
        ModelError: as `load_predictor`.
    """
    claim(settings.cpus)
    explainer = Explainer(load_bundle(find(settings).path))
    explainer.warm_up()
    return explainer

"""From a model's name to a predictor that is ready."""

from pathlib import Path

from imgcls_ray.bundle.bundle import load_bundle
from imgcls_ray.inference.device import claim
from imgcls_ray.tracking.registry import resolve
from serve.explaining import Explainer
from serve.predictor import Predictor
from serve.settings import ServeSettings


def locate(settings: ServeSettings) -> Path:
    """The folder of the bundle that `settings.model` names.

    Raises:
        ModelError: there is none.
    """
    return resolve(settings.model, Path(settings.storage), settings.tracking_uri)


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
    predictor = Predictor(load_bundle(locate(settings), settings.cpus), settings)
    predictor.warm_up()
    return predictor


def load_explainer(settings: ServeSettings) -> Explainer:
    """Load and check the bundle for heat maps, and trace their graph.

    Raises:
        ModelError: as `load_predictor`.
    """
    claim(settings.cpus)
    explainer = Explainer(load_bundle(locate(settings)))
    explainer.warm_up()
    return explainer

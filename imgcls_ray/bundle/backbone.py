"""The weights that a backbone starts from: of a bundle only after all its checks."""

from imgcls_ray import quiet
from imgcls_ray.bundle.bundle import load_bundle
from imgcls_ray.models.bundled import is_bundled
from imgcls_ray.models.weights import Weights, resolve_weights


def find_weights(name: str, weights: tuple[str, ...]) -> Weights:
    """As `resolve_weights`; the bundle of a backbone `bundle:PATH` is verified as for an answer (TensorFlow is loaded).

    Whoever builds the network later, on whatever machine, compares the file with the digest in what is returned.

    Raises:
        ModelError: there is no such bundle, or one of its checks fails.
        SettingsError, WeightsError: as `resolve_weights`.
    """
    found = resolve_weights(name, weights)
    if is_bundled(name) and found.path:
        quiet.import_tensorflow()
        load_bundle(found.path.parent)
    return found

"""A model for a verb: what can be told without TensorFlow is told before it is waited for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgcls_ray.bundle.bundle import Bundle


def load_model(model: str, storage: str, tracking_uri: str | None) -> "Bundle":
    """What `imgcls_ray.api.load_model` gives.

    Raises:
        ModelError: there is no such model, or its checks fail.
    """
    from imgcls_ray.storage import Storage
    from imgcls_ray.tracking.registry import resolve

    path = resolve(model, Storage.at(storage).root, tracking_uri)
    from imgcls_ray import quiet

    quiet.import_tensorflow()
    from imgcls_ray.bundle.bundle import load_bundle

    return load_bundle(path)

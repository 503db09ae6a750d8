"""The table of backbones, their weights, and the networks built from them.

`network` loads TensorFlow and is therefore imported by name: `from imgcls_ray.models.network import build_head`.
"""

from imgcls_ray.models.backbones import BACKBONES, SCRATCH, Backbone, backbone
from imgcls_ray.models.bundled import find_backbone, is_bundled
from imgcls_ray.models.weights import NO_WEIGHTS, Weights, at_hand, placed, resolve_weights

__all__ = [
    "BACKBONES",
    "NO_WEIGHTS",
    "SCRATCH",
    "Backbone",
    "Weights",
    "at_hand",
    "backbone",
    "find_backbone",
    "is_bundled",
    "placed",
    "resolve_weights",
]

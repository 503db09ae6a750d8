"""Augmented copies of training pictures on disk: changed as a classifier should not mind."""

from imgcls_ray.data.augmentation.job import Augmented, augment
from imgcls_ray.data.augmentation.settings import AugmentSettings

__all__ = ["AugmentSettings", "Augmented", "augment"]

"""A data set written as `train|val|test/CLASS/file`, by the same rules that preprocess splits it by."""

from imgcls_ray.data.arrange.job import Arranged, Progress, arrange, list_pictures
from imgcls_ray.data.arrange.record import Record, read_record
from imgcls_ray.data.arrange.settings import ArrangeSettings, Way

__all__ = [
    "ArrangeSettings",
    "Arranged",
    "Progress",
    "Record",
    "Way",
    "arrange",
    "list_pictures",
    "read_record",
]

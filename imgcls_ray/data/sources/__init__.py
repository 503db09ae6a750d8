"""Where pictures come from: each kind of data gives the same items behind one reader. No picture is opened here."""

from imgcls_ray.data.sources.base import HEAD, SPLITS, LocalReader, Reader, Source, SourceItem, Split
from imgcls_ray.data.sources.choose import check_source, list_source
from imgcls_ray.data.sources.kinds import SPLIT_NAMES

__all__ = [
    "HEAD",
    "SPLITS",
    "SPLIT_NAMES",
    "LocalReader",
    "Reader",
    "Source",
    "SourceItem",
    "Split",
    "check_source",
    "list_source",
]

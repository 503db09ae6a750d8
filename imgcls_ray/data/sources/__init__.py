"""Where pictures come from: each kind of data gives the same items behind one reader. No picture is opened here."""

from imgcls_ray.data.sources.base import HEAD, SPLITS, LocalReader, Reader, Source, SourceItem, Split
from imgcls_ray.data.sources.choose import check_source, list_source

__all__ = [
    "HEAD",
    "SPLITS",
    "LocalReader",
    "Reader",
    "Source",
    "SourceItem",
    "Split",
    "check_source",
    "list_source",
]

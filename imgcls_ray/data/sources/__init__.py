"""Where pictures come from: each kind of layout gives the same items behind one reader. Nothing is opened here."""

from imgcls_ray.data.sources.base import HEAD, SPLITS, LocalReader, Reader, Source, SourceItem, Split
from imgcls_ray.data.sources.folders import list_source

__all__ = ["HEAD", "SPLITS", "LocalReader", "Reader", "Source", "SourceItem", "Split", "list_source"]

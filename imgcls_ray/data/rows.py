"""Rows of the manifest on their way: from what the source says, over what the bytes told, to what is settled."""

from dataclasses import replace

from imgcls_ray.data.manifest import ManifestRow, Status
from imgcls_ray.data.sources import SourceItem
from imgcls_ray.data.spool import Scanned

_LEARNED = ("sha256", "format", "width", "height", "phash", "signature", "decoded")
"""Fields of a row that its file's bytes decide."""


def renewed_row(row: ManifestRow | None, item: SourceItem) -> ManifestRow:
    """An item's row before anything is settled: what the source says now, and what was learned of its bytes before."""
    said = ManifestRow(
        path=item.path,
        label=item.label,
        split=item.split,
        given=item.split,
        group=item.group,
        given_group=item.group,
        sha256=None,
        width=None,
        height=None,
        bytes=item.bytes,
        mtime_ns=item.mtime_ns,
        status="rejected" if item.refused else "used",
        reason=item.refused,
    )
    if row is None or item.refused:
        return said
    learned = {name: getattr(row, name) for name in _LEARNED}
    said = replace(said, **learned)
    return said if row.decoded else replace(said, status="rejected", reason=row.reason)


def found_row(row: ManifestRow, one: Scanned | None) -> ManifestRow:
    """The row with what the scan told."""
    if one is None:
        return row
    learned = {name: getattr(one, name) for name in _LEARNED if name != "decoded"}
    status: Status = "rejected" if one.reason else "used"
    return replace(row, **learned, decoded=one.reason is None, status=status, reason=one.reason)


def compared_row(row: ManifestRow, one: Scanned | None) -> ManifestRow:
    """The settled row after another look at its file: it must be the same picture."""
    if row.status != "used" or one is None or (one.sha256 == row.sha256 and one.reason is None):
        return row
    return replace(row, status="rejected", reason=one.reason or "changed while it was read", sha256=None, split=None)

"""The first pass: bytes to sha256 and header, without decoding."""

import hashlib
from pathlib import Path

import pyarrow as pa

from imgcls_ray.data.header import SNIFF_BYTES, read_header, sniff
from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.sources import SourceItem
from imgcls_ray.errors import ImageError

_SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("sha256", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("bytes", pa.int64()),
        ("reason", pa.string()),
    ]
)


def inspect_block(block: pa.Table, root: str, max_pixels: int) -> pa.Table:
    """For a block with columns `number` and `path`: one row per file with what its bytes tell, or why it is refused."""
    rows = []
    for number, path in zip(block["number"].to_pylist(), block["path"].to_pylist(), strict=True):
        rows.append({"number": number, **_inspect(Path(root, path), max_pixels)})
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _inspect(path: Path, max_pixels: int) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    try:
        with path.open("rb") as file:
            data = file.read(SNIFF_BYTES)
            sniff(data)  # before a film of gigabytes is read
            data += file.read()
        found["bytes"] = len(data)
        found["sha256"] = hashlib.sha256(data).hexdigest()
        header = read_header(data)
        found["width"], found["height"] = header.width, header.height
        if header.width * header.height > max_pixels:
            found["reason"] = f"too many pixels ({header.width}x{header.height}; max_pixels is {max_pixels})"
    except ImageError as error:
        found["reason"] = error.reason
    except OSError as error:
        found["reason"] = unreadable(error)
    return found


def unreadable(error: OSError) -> str:
    """The manifest's reason for a file that can't be opened or read."""
    return f"can't be read: {(error.strerror or str(error)).lower()}"


def to_row(item: SourceItem, found: dict[str, str | int | None]) -> ManifestRow:
    """The manifest's row of an inspected file, before duplicates and splits."""
    reason = found["reason"]
    return ManifestRow(
        path=item.path,
        label=item.label,
        split=item.split,
        sha256=found["sha256"],  # type: ignore[arg-type]
        width=found["width"],  # type: ignore[arg-type]
        height=found["height"],  # type: ignore[arg-type]
        bytes=item.bytes if found["bytes"] is None else int(found["bytes"]),
        status="rejected" if reason else "used",
        reason=str(reason) if reason else None,
    )

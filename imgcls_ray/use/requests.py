"""Requests for a model that is served from its SavedModel: pictures as lines of JSON."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgcls_ray.data.files import check_output, replacing, storing
from imgcls_ray.data.header import look, orientation
from imgcls_ray.data.jpeg import JpegHead
from imgcls_ray.data.pixels import PixelOps, Pixels, open_picture
from imgcls_ray.data.shards.jpeg import encode
from imgcls_ray.errors import DataError, ImageError
from imgcls_ray.use.answers import check_pictures


@dataclass(frozen=True)
class Requests:
    """A file of requests that was written."""

    path: Path
    pictures: int
    encoded: tuple[str, ...]
    """Pictures that were written anew as JPEG."""

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls request --json` prints."""
        return {"path": str(self.path), "pictures": self.pictures, "encoded": list(self.encoded)}


def write_requests(paths: Sequence[str], out: Path, longest: int | None = None) -> Requests:
    """Write one line `{"key": path, "image_bytes": {"b64": ...}}` for each picture to the file `out`, all or nothing.

    JPEG and PNG go in as they are. What TensorFlow's decoders would read otherwise than `decode` (other formats, an
    EXIF orientation, CMYK), and pictures with a side longer than `longest` pixels, are written as upright JPEG.

    Raises:
        DataError: a file is missing or no usable picture.
        StorageError: `out` is no place for requests, or can't be written.
    """
    check_output(out, "A file of requests", ".json", ".jsonl", ".ndjson")
    check_pictures(paths)
    encoded = []
    with storing(out), replacing(out) as file:
        for path in paths:
            try:
                data = Path(path).read_bytes()
                sent = _sendable(data, longest)
            except ImageError as error:
                raise DataError(f"The picture '{path}' can't be sent: {error.reason}; leave it out.") from error
            except OSError as error:
                raise DataError(f"The picture '{path}' can't be read: {error.strerror}.") from error
            if sent is not data:
                encoded.append(path)
            line = {"key": path, "image_bytes": {"b64": base64.b64encode(sent).decode()}}
            file.write(json.dumps(line).encode() + b"\n")
    return Requests(out, len(paths), tuple(encoded))


def _sendable(data: bytes, longest: int | None) -> bytes:
    header, details = look(data)
    size = max(header.width, header.height)
    turned = orientation(details.exif) != 1
    plain = len(details.sampling) in (1, 3) if isinstance(details, JpegHead) else header.format == "PNG"
    pixels = open_picture(data, PixelOps(header.height, header.width, "color"), (header, details))
    if plain and not turned and (longest is None or size <= longest):
        return data
    return encode(pixels if longest is None else _within(pixels, longest))


def _within(pixels: Pixels, longest: int) -> Pixels:
    import cv2

    height, width = pixels.shape[:2]
    share = min(1.0, longest / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))  # OpenCV: width first
    return pixels if share == 1 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)

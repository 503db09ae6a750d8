"""What the first bytes of a picture tell: its format, its size, how it was held. Nothing is decoded here."""

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import simplejpeg
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from imgcls_ray.errors import ImageError

_ORIENTATION = 0x0112

# Pillow's readers are called by class: Image.open would judge the size by a limit of its own, with warnings.
_READERS: dict[str, type[Image.Image]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "TIFF": TiffImageFile,
    "GIF": GifImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
}

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)

_REFUSED = (
    (b"8BPS", "PSD"),
    (b"\0\0\1\0", "ICO"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"%PDF", "PDF"),
    (b"<svg", "SVG"),
)

_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"msf1": "HEIF"}

SIMPLEJPEG_ERRORS = (ValueError, LookupError, RuntimeError)
"""What simplejpeg raises: ValueError by its documentation, KeyError on headers it has no names for."""

SNIFF_BYTES = 32
"""As many bytes as `sniff` looks at."""

_warnings_lock = threading.Lock()


@dataclass(frozen=True)
class Header:
    """Format (`JPEG`, `PNG`, `TIFF`, `GIF`, `WEBP`, `BMP`) and size in pixels as stored, before EXIF orientation."""

    format: str
    width: int
    height: int


def sniff(data: bytes) -> str:
    """The format told by the first bytes; a file's name is never asked.

    Raises:
        ImageError: `empty file`, `not a picture` or `unsupported format X`.
    """
    if not data:
        raise ImageError("empty file")
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:2] == b"BM" and data[6:10] == b"\0\0\0\0":  # the four reserved bytes: "BM" alone begins many a text
        return "BMP"
    for magic, name in _REFUSED:
        if data.startswith(magic):
            raise ImageError(f"unsupported format {name}")
    if data[4:8] == b"ftyp" and data[8:12] in _BRANDS:
        raise ImageError(f"unsupported format {_BRANDS[data[8:12]]}")
    raise ImageError("not a picture")


@contextmanager
def quiet(data: bytes, name: str) -> Iterator[None]:
    """Turn whatever Pillow raises into an ImageError, and keep its warnings in.

    Warning filters belong to the whole process, so they are only touched, under a lock, for the two kinds of picture
    that Pillow warns about: TIFF, and PNG with animation chunks.
    """
    noisy = name == "TIFF" or (name == "PNG" and b"acTL" in data)
    try:
        if noisy:
            with _warnings_lock, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        else:
            yield
    except ImageError:
        raise
    except Exception as error:
        raise ImageError("truncated or damaged") from error


def open_pillow(data: bytes, name: str) -> Image.Image:
    """Pillow's lazy image of `data`; call it, and whatever loads the image, inside `quiet`."""
    return _READERS[name](io.BytesIO(data))  # type: ignore[call-arg]


def read_header(data: bytes) -> Header:
    """Format and size of a picture, read from its header: microseconds for a JPEG.

    Raises:
        ImageError: `empty file`, `not a picture`, `unsupported format X` or `truncated or damaged`.
    """
    name = sniff(data)
    if name == "JPEG":
        with suppress(*SIMPLEJPEG_ERRORS):  # an odd JPEG (12 bits, arithmetic coding): Pillow has the last word
            height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
            return _checked(Header(name, width, height))
    with quiet(data, name):
        width, height = open_pillow(data, name).size
    return _checked(Header(name, width, height))


def _checked(header: Header) -> Header:
    if header.width < 1 or header.height < 1:
        raise ImageError("truncated or damaged")
    return header


def orientation(exif: bytes) -> int:
    """The EXIF orientation, 1 to 8, from an EXIF block (a small TIFF); 1 where it says nothing usable.

    CIPA DC-008 (EXIF 2.32), 4.6.2 and 4.6.4: tag 0x0112 in the first directory, one SHORT.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:  # a cut or circular block: the picture itself may still be whole
        return 1
    return 1


def jpeg_orientation(data: bytes) -> int:
    """The EXIF orientation of a JPEG, 1 to 8: walks the segments before the picture data for an APP1 with EXIF."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in (0xD9, 0xDA):  # end of picture, start of scan
            break
        (length,) = struct.unpack_from(">H", data, position + 2)
        body = data[position + 4 : position + 2 + length]
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            return orientation(body)
        position += 2 + length
    return 1

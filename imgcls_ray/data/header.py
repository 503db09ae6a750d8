"""What the first bytes of a picture tell: its format, its size, how it was held. Nothing is decoded here."""

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from imgcls_ray.data.containers import Container, damaged, measure_png, read_bmp, read_gif, read_png, read_webp
from imgcls_ray.data.jpeg import JpegHead, check_jpeg, jpeg_head
from imgcls_ray.data.tiff import read_tiff
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

_CONTAINERS = {"PNG": read_png, "GIF": read_gif, "WEBP": read_webp, "BMP": read_bmp, "TIFF": read_tiff}

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
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
)

_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1"), "HEIF"),
}

SNIFF_BYTES = 32
"""As many bytes as `sniff` looks at."""

_process_lock = threading.Lock()


@dataclass(frozen=True)
class Header:
    """Format (`JPEG`, `PNG`, `TIFF`, `GIF`, `WEBP`, `BMP`) and size in pixels as stored, before EXIF orientation."""

    format: str
    width: int
    height: int


Looked = tuple[Header, JpegHead | Container]
"""A header, and what else the markers or the container of the file told."""


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
def quiet(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises into an ImageError, keep its warnings in, and its own limit of pixels out.

    Both belong to the whole process, so they are only touched, under a lock, for the format that needs it.
    """
    try:
        if name == "TIFF":
            with _process_lock, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
                try:
                    yield
                finally:
                    Image.MAX_IMAGE_PIXELS = limit
        else:
            yield
    except ImageError:
        raise
    except Exception as error:
        if "unknown pixel mode" in str(error):
            raise ImageError(f"unsupported format {name} with pixels of an unknown kind") from error
        raise damaged() from error


def open_pillow(data: bytes, name: str) -> Image.Image:
    """Pillow's lazy image of `data`; call it, and whatever loads the image, inside `quiet`."""
    return _READERS[name](io.BytesIO(data))  # type: ignore[call-arg]


def read_header(data: bytes) -> Header:
    """Format and size of a picture, read from its header; no memory is taken for pixels.

    Raises:
        ImageError: `empty file`, `not a picture`, `unsupported format X` or `truncated or damaged`.
    """
    return look(data)[0]


def look(data: bytes) -> Looked:
    """The header, with what else the markers or the container of the file told.

    Raises:
        ImageError: as `read_header`.
    """
    name = sniff(data)
    details = jpeg_head(data) if name == "JPEG" else _CONTAINERS[name](data)
    if details.width < 1 or details.height < 1:
        raise damaged()
    return Header(name, details.width, details.height), details


def check(data: bytes, details: JpegHead | Container) -> None:
    """Refuse a file that can't hold the pixels it says it has, before a decoder takes memory for them.

    Raises:
        ImageError: `truncated or damaged` or `unsupported format X`.
    """
    if isinstance(details, JpegHead):
        check_jpeg(data, details)
    elif details.needs > details.has:
        raise damaged()
    elif data.startswith(b"\x89PNG"):
        measure_png(details)


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

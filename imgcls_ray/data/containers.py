"""PNG, GIF, WebP and BMP up to their pixels: size, orientation, and whether the file can hold what it says.

Pillow takes the memory for a whole picture before it reads the first pixel, and unpacks whatever else is in a file.
So each walker here finds the size by itself, refuses files that are too short for it, and hands Pillow only the parts
that pixels depend on.
"""

import struct
import zlib
from dataclasses import dataclass

from imgcls_ray.errors import ImageError

DEFLATE = 1032
"""Deflate packs at most so many bytes into one (258 bytes in two codes of one bit; zlib's technical notes)."""
LZW = 2731
"""A code of LZW has 12 bits at most and stands for at most 4096 bytes."""
RUNS = 128
"""A run of 255 takes two bytes."""

LARGE = 1 << 22
"""Pixels from which it is worth while to take memory step by step."""

_MEASURED = 32 << 20
_MAX_PARTS = 200_000
"""Chunks or blocks before the end of the first frame; each costs the walk a microsecond or less."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")


@dataclass(frozen=True)
class Container:
    """A picture as its container describes it."""

    width: int
    height: int
    pixels: bytes
    """The file without what no pixel of the first frame depends on."""
    exif: bytes = b""
    needs: int = 0
    """Bytes that the file has at the least, if it holds all its pixels."""
    has: int = 0
    """Bytes that can be pixels."""


def damaged() -> ImageError:
    """The error of a file that ends too early or contradicts itself."""
    return ImageError("truncated or damaged")


def read_png(data: bytes) -> Container:
    """Chunks, with the checksums of those that pixels depend on. W3C PNG (third edition), 5.

    Of an animation this is the still picture (IDAT).

    Raises:
        ImageError: `truncated or damaged`.
    """
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise damaged()
    width, height, depth, color = struct.unpack_from(">IIBB", data, 16)
    pieces, exif, packed = [data[:8]], b"", 0
    position, kind, parts = 8, b"", 0
    while kind != b"IEND":
        if position + 12 > len(data):
            raise damaged()
        (length,) = struct.unpack_from(">I", data, position)
        kind, end = data[position + 4 : position + 8], position + 12 + length
        if end > len(data):
            raise damaged()
        if kind in _PIXEL_CHUNKS or kind == b"IEND":
            if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise damaged()
            if kind != b"IDAT" or length:
                pieces.append(data[position:end])
            packed += length if kind == b"IDAT" else 0
        elif kind == b"eXIf" and not exif:
            exif = data[position + 8 : end - 4]
        position = end
        parts += 1
        if parts > _MAX_PARTS:
            raise damaged()
    if color == 3 and not any(piece[4:8] == b"PLTE" for piece in pieces[1:4]):
        raise damaged()
    raw = height * (1 + -(-width * depth * _CHANNELS.get(color, 1) // 8))
    return Container(width, height, b"".join(pieces), exif, -(-raw // DEFLATE), packed)


def measure_png(container: Container) -> None:
    """Unpack a large PNG once piece by piece, keeping nothing, before the memory for all of it is taken.

    Raises:
        ImageError: `truncated or damaged`.
    """
    left = container.needs * DEFLATE
    if left < _MEASURED:
        return
    inflate, position, data = zlib.decompressobj(), 8, container.pixels
    left -= DEFLATE  # `needs` was rounded up
    while left > 0 and position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        if data[position + 4 : position + 8] == b"IDAT":
            packed: bytes | memoryview = memoryview(data)[position + 8 : position + 8 + length]
            while packed and left > 0:
                try:
                    left -= len(inflate.decompress(packed, 1 << 20))
                except zlib.error as error:
                    raise damaged() from error
                if inflate.eof:
                    break
                packed = inflate.unconsumed_tail
        position += 12 + length
    if left > 0:
        raise damaged()


def read_gif(data: bytes) -> Container:
    """The screen and the first frame. CompuServe GIF89a specification, 17 to 23.

    Raises:
        ImageError: `truncated or damaged`.
    """
    try:
        width, height, flags = struct.unpack_from("<HHB", data, 6)
        begin = position = 13 + _colors(flags)
        control, parts = b"", 0
        while data[position] != 0x2C:
            parts += 1
            if parts > _MAX_PARTS:
                raise damaged()
            if data[position] == 0x3B:  # the trailer, before any picture
                raise damaged()
            if data[position] == 0x21:
                end = _after_blocks(data, position + 2)
                if data[position + 1] == 0xF9:
                    control = data[position:end]
                position = end
            else:
                position += 1
        left, top, frame_width, frame_height, flags = struct.unpack_from("<HHHHB", data, position + 1)
        end = _after_blocks(data, position + 11 + _colors(flags))
    except (IndexError, struct.error) as error:
        raise damaged() from error
    width, height = max(width, left + frame_width), max(height, top + frame_height)
    if not frame_width or not frame_height:
        raise damaged()
    pixels = b"".join([data[:begin], control, data[position:end], b";"])
    return Container(width, height, pixels, b"", -(-width * height // LZW), end - position)


def _colors(flags: int) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 * (2 << (flags & 7)) if flags & 0x80 else 0


def _after_blocks(data: bytes, position: int) -> int:
    for _ in range(_MAX_PARTS):
        length = data[position]
        position += length + 1
        if not length:
            return position
    raise damaged()


def read_webp(data: bytes) -> Container:
    """The canvas, and the first frame as a still picture. Google, WebP Container Specification; RFC 9649.

    Pixels of one colour take no bits at all in WebP, so that no file is too short for what it says.

    Raises:
        ImageError: `truncated or damaged`.
    """
    if len(data) < 30 or struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        raise damaged()
    if data[12:16] != b"VP8X":
        return Container(*_webp_size(data), data)
    width, height = _side(data, 24), _side(data, 27)
    exif, pixels, position = b"", data, 12
    for _ in range(_MAX_PARTS):
        if position + 8 > len(data):
            break
        kind, (length,) = data[position : position + 4], struct.unpack_from("<I", data, position + 4)
        body = position + 8
        if kind == b"EXIF" and not exif:
            exif = data[body : body + length]
        elif kind == b"ANMF" and pixels is data:
            if body + 24 > len(data) or body + length > len(data):
                raise damaged()
            if (_side(data, body + 6), _side(data, body + 9)) == (width, height):
                chunks = b"VP8X\x0a\0\0\0" + b"\x10\0\0\0" + data[24:30] + data[body + 16 : body + length]
                pixels = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks
            elif width * height > LARGE:  # a small frame on a large canvas
                raise damaged()
        position = body + length + length % 2
    return Container(width, height, pixels, exif)


def _webp_size(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if data[12:16] == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise damaged()


def _side(data: bytes, position: int) -> int:
    return 1 + int.from_bytes(data[position : position + 3], "little")


def read_bmp(data: bytes) -> Container:
    """The header. Microsoft, BITMAPFILEHEADER and BITMAPINFOHEADER.

    Raises:
        ImageError: `truncated or damaged` or `unsupported format BMP with JPEG or PNG inside`.
    """
    try:
        offset, size = struct.unpack_from("<II", data, 10)
        if size == 12:
            width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
            compression = 0
        else:
            width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    except struct.error as error:
        raise damaged() from error
    height = abs(height)  # negative: the top row comes first
    if compression in (4, 5):
        raise ImageError("unsupported format BMP with JPEG or PNG inside")
    if compression in (1, 2):
        needs = -(-width * height // RUNS)
    else:  # the last row may lack its padding
        needs = (height - 1) * (-(-width * bits // 32) * 4) + -(-width * bits // 8)
    return Container(width, height, data, b"", needs, len(data) - offset)

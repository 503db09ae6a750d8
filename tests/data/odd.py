"""Files that look wrong and are whole pictures; the same bytes each time they are made."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.data.hostile import (
    app1,
    bmp,
    chunk,
    encode,
    exif,
    exif_bomb,
    gif,
    gif_frame,
    noise,
    patched,
    plain_tiff,
    png,
    rows,
    with_segment,
    zeros,
)


def odd_files() -> dict[str, bytes]:
    """Name -> bytes of files that look wrong and are whole pictures."""
    photo = noise(40, 48)
    clear = Image.fromarray(noise(40, 48, 4))
    jpeg, still = encode(photo, "JPEG"), encode(photo, "PNG")
    loop = exif((0x8769, 4, 1, 8), (0x0112, 3, 1, 1 << 16), next_directory=8)
    frames: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (48, 40), "blue")] * 3}
    bombs = [chunk(b"zTXt", b"a%d\0\0" % number + zeros((1 << 20) - 1)) for number in range(70)]
    return {
        "trailing-garbage.jpg": jpeg + b"garbage" * 100,
        "two-in-one.jpg": jpeg + jpeg,
        "archive-behind.jpg": jpeg + b"PK\x03\x04" + bytes(100),
        "html-in-comment.jpg": with_segment(jpeg, b"\xff\xfe\0\x13<script></script>"),
        "png-named.jpg": still,
        "exif-loop.jpg": with_segment(jpeg, app1(loop)),
        "exif-bomb-cmyk.jpg": exif_bomb(),
        "exif-cut.jpg": with_segment(jpeg, app1(b"MM\0*\0\0\0\x08\xff\xff")),
        "fill-bytes.jpg": with_segment(jpeg, b"\xff\xff\xff\xff\xff\xfe\0\x04ab"),
        "progressive.jpg": encode(photo, "JPEG", progressive=True),
        "gray-progressive.jpg": encode(photo[..., 0], "JPEG", progressive=True),
        "cmyk-progressive.jpg": encode(Image.fromarray(photo).convert("CMYK"), "JPEG", progressive=True),
        "restart-markers.jpg": encode(photo, "JPEG", restart_marker_blocks=1),
        "one-pixel.jpg": encode(photo[:1, :1], "JPEG"),
        "flat-4000x4000.jpg": encode(np.zeros((4000, 4000), np.uint8), "JPEG", progressive=True, optimize=True),
        "trailing-garbage.png": still + b"garbage" * 100,
        "text-bombs.png": still[:33] + b"".join(bombs) + still[33:],
        "profile-bomb.png": still[:33] + chunk(b"iCCP", b"a\0\0" + zeros(1 << 26)) + still[33:],
        "bad-text-checksum.png": still[:33] + chunk(b"tEXt", b"a\0b", crc=1) + still[33:],
        "many-small-chunks.png": _in_small_chunks(still),
        "animated.png": encode(Image.fromarray(photo), "PNG", **frames),
        "interlaced.png": _interlaced(),
        "half-the-rows.png": png(48, 40, rows(48, 20)),
        "one-bit.png": encode(Image.fromarray(photo[..., 0]).convert("1"), "PNG"),
        "gray-alpha.png": encode(clear.convert("LA"), "PNG"),
        "palette-alpha.png": encode(clear.quantize(16), "PNG"),
        "flat-5000x5000.png": png(5000, 5000, zeros(5000 * 5001), color=0),
        "two-pages.tif": encode(Image.fromarray(photo), "TIFF", **frames),
        "directory-loop.tif": patched(plain_tiff(48, 40, strip=bytes(1920)), 8 + 2 + 12 * 9, struct.pack("<I", 8)),
        "lzw.tif": encode(photo, "TIFF", compression="tiff_lzw"),
        "fax.tif": encode(Image.new("1", (48, 4000), 1), "TIFF", compression="group4"),
        "palette.tif": encode(Image.fromarray(photo).quantize(16), "TIFF"),
        "cmyk.tif": encode(Image.fromarray(photo).convert("CMYK"), "TIFF"),
        "animated.gif": encode(Image.fromarray(photo), "GIF", **frames),
        "comments.gif": _with_comments(encode(photo, "GIF")),
        "frame-beyond-screen.gif": gif(8, 8, gif_frame(1, 1, left=20, top=20, codes=b"\x02\x44\x01\0"), b";"),
        "trailing-garbage.gif": encode(photo, "GIF") + b"garbage",
        "animated.webp": encode(Image.fromarray(photo), "WEBP", **frames),
        "trailing-garbage.webp": encode(photo, "WEBP") + b"garbage",
        "top-down.bmp": bmp(48, -40, pixels=photo.tobytes()),
        "one-bit.bmp": encode(Image.fromarray(photo[..., 0]).convert("1"), "BMP"),
    }


def _in_small_chunks(still: bytes) -> bytes:
    (length,) = struct.unpack_from(">I", still, 33)
    packed = still[41 : 41 + length]
    pieces = b"".join(chunk(b"IDAT", packed[at : at + 7]) for at in range(0, length, 7))
    return still[:33] + pieces + chunk(b"IEND", b"")


def _interlaced() -> bytes:
    """A gray picture of one Adam7 pass: only its first pixel."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 1)
    packed = zlib.compress(b"\0\x80")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _with_comments(data: bytes) -> bytes:
    """Five megabytes of comment before the picture."""
    at = 13 + 3 * (2 << (data[10] & 7))
    return data[:at] + b"!\xfe" + (b"\xff" + bytes(range(255))) * 20_000 + b"\0" + data[at:]


def write_odd(folder: Path) -> list[str]:
    """Write the odd but good files; returns their names."""
    files = odd_files()
    for name, data in files.items():
        Path(folder, name).write_bytes(data)
    return list(files)

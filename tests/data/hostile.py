"""A corpus of broken and hostile files; the same bytes each time they are made."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DAMAGED = "truncated or damaged"
NOT = "not a picture"
TOO_MANY = "too many pixels"

SIDE = 96


def noise(height: int = SIDE, width: int = SIDE, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(height * width + channels).integers(0, 256, shape, dtype=np.uint8)


def encode(image: np.ndarray | Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(buffer, format, **options)
    return buffer.getvalue()


# PNG


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) if crc is None else crc)
    )


def png(
    width: int, height: int, packed: bytes, *extra: bytes, depth: int = 8, color: int = 2, end: bool = True
) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), *extra, chunk(b"IDAT", packed)]
    return b"".join([*parts, chunk(b"IEND", b"")] if end else parts)


def zeros(size: int) -> bytes:
    """`size` zero bytes, deflated, without holding them."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, packer.compress(bytes(size & 0xFFFFF)), packer.flush()])


def rows(width: int, height: int) -> bytes:
    """Plain RGB rows, deflated."""
    return zlib.compress((b"\0" + b"\x40\x80\xc0" * width) * height)


# JPEG


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, begin, end) up to the start of scan."""
    position = 2
    while True:
        (length,) = struct.unpack_from(">H", data, position + 2)
        yield data[position + 1], position, position + 2 + length
        if data[position + 1] == 0xDA:
            return
        position += 2 + length


def where(data: bytes, *markers: int) -> tuple[int, int]:
    return next((begin, end) for marker, begin, end in segments(data) if marker in markers)


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def resized_jpeg(data: bytes, width: int, height: int) -> bytes:
    begin, _ = where(data, 0xC0, 0xC2)
    return patched(data, begin + 5, struct.pack(">HH", height, width))


def framed(data: bytes, marker: int) -> bytes:
    return patched(data, where(data, 0xC0)[0] + 1, bytes([marker]))


def exif(*entries: tuple[int, int, int, int], next_directory: int = 0, order: str = ">") -> bytes:
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "I", 8)
    body = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    return head + struct.pack(order + "H", len(entries)) + body + struct.pack(order + "I", next_directory)


def app1(block: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block


def with_segment(data: bytes, *parts: bytes) -> bytes:
    return data[:2] + b"".join(parts) + data[2:]


# TIFF


def tiff(*entries: tuple[int, int, int, int], tail: bytes = b"", next_directory: int = 0) -> bytes:
    return exif(*entries, next_directory=next_directory, order="<") + tail


def plain_tiff(
    width: int, height: int, compression: int = 1, strip: bytes = b"", at: int | None = None, count: int | None = None
) -> bytes:
    """One gray strip; `at` and `count` say other things about it than are true."""
    tags = 9
    begin = 8 + 2 + 12 * tags + 4
    return tiff(
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, compression),
        (262, 3, 1, 1),
        (273, 4, 1, begin if at is None else at),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, len(strip) if count is None else count),
        tail=strip,
    )


# GIF, BMP, WebP


def gif(width: int, height: int, *blocks: bytes) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + b"".join(blocks)


def gif_frame(width: int, height: int, left: int = 0, top: int = 0, codes: bytes = b"\x02\x4c\x01\0") -> bytes:
    return b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\x02" + codes


def bmp(width: int, height: int, bits: int = 24, compression: int = 0, pixels: bytes = b"", size: int = 40) -> bytes:
    info = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + info + pixels


def riff(*chunks: tuple[bytes, bytes], size: int | None = None) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for kind, part in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4 if size is None else size) + b"WEBP" + body


def vp8x(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + sides


def vp8l(width: int, height: int, rest: bytes) -> tuple[bytes, bytes]:
    return b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + rest


def hostile_files() -> dict[str, tuple[bytes, str]]:
    """Name -> (bytes, the cause of its rejection)."""
    files: dict[str, tuple[bytes, str]] = {}

    def add(name: str, data: bytes, cause: str = DAMAGED) -> None:
        files[name] = (data, cause)

    _no_pictures(add)
    _jpegs(add)
    _pngs(add)
    _tiffs(add)
    _others(add)
    return files


def _no_pictures(add: Any) -> None:
    add("empty.jpg", b"", "empty file")
    add("one-byte.jpg", b"\xff", NOT)
    add("two-bytes.jpg", b"\xff\xd8", NOT)
    add("zeros.png", bytes(4096), NOT)
    add("random.jpg", noise().tobytes(), NOT)
    add("text.jpg", b"This is a text, not a picture.\n" * 20, NOT)
    add("error-page.jpg", b"<!DOCTYPE html><html><title>404</title></html>", NOT)
    add("bm-text.bmp", b"BM is how this text begins, and on it goes.", NOT)
    add("git-lfs-pointer.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n", NOT)
    add("archive.jpg", b"PK\x03\x04" + bytes(60), NOT)
    add("gzip-bomb.png", b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + zeros(1 << 26)[2:-4], NOT)
    add("utf16.jpg", "a text in UTF-16".encode("utf-16"), NOT)
    add("riff-audio.webp", b"RIFF" + struct.pack("<I", 60) + b"WAVEfmt " + bytes(60), NOT)
    add("photoshop.jpg", b"8BPS\0\1" + bytes(60), "unsupported format PSD")
    add("icon.png", b"\0\0\1\0\1\0" + bytes(60), "unsupported format ICO")
    add("jpeg2000.jpg", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), "unsupported format JPEG 2000")
    add("codestream.jpg", b"\xff\x4f\xff\x51" + bytes(60), "unsupported format JPEG 2000")
    add("jpegxl.jpg", b"\xff\x0a" + bytes(60), "unsupported format JPEG XL")
    add("jpegxl-box.jpg", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60), "unsupported format JPEG XL")
    add("document.jpg", b"%PDF-1.7\n" + bytes(60), "unsupported format PDF")
    add("drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported format SVG")
    add("postscript.tiff", b"%!PS-Adobe-3.0 EPSF-3.0\n{ loop } loop", "unsupported format EPS")
    for brand, name in (("avif", "AVIF"), ("heic", "HEIC"), ("hevc", "HEIC"), ("mif1", "HEIF")):
        add(f"{brand}.jpg", b"\0\0\0\x1cftyp" + brand.encode() + bytes(60), f"unsupported format {name}")


def _jpegs(add: Any) -> None:
    whole = encode(noise(), "JPEG")
    progressive = encode(noise(), "JPEG", progressive=True)
    (scan, scan_end), (frame, _), (huffman, _) = where(whole, 0xDA), where(whole, 0xC0), where(whole, 0xC4)
    add("jpeg-three-bytes.jpg", whole[:3])
    add("jpeg-cut-in-app0.jpg", whole[:10])
    add("jpeg-cut-in-tables.jpg", whole[: where(whole, 0xDB)[0] + 9])
    add("jpeg-cut-in-frame-header.jpg", whole[: frame + 6])
    add("jpeg-cut-in-huffman-table.jpg", whole[: huffman + 12])
    add("jpeg-cut-in-scan-header.jpg", whole[: scan + 5])
    add("jpeg-cut-after-scan-header.jpg", whole[:scan_end])
    add("jpeg-cut-in-scan.jpg", whole[: (scan_end + len(whole)) // 2])
    add("jpeg-cut-before-end.jpg", whole[:-2])
    add("jpeg-progressive-cut-in-first-scan.jpg", progressive[: where(progressive, 0xDA)[1] + 40])
    add("jpeg-progressive-cut-late.jpg", progressive[: int(len(progressive) * 0.9)])
    add("jpeg-scan-of-zeros.jpg", whole[:scan_end] + bytes(200))
    add("jpeg-hole-in-scan.jpg", patched(whole, scan_end + 400, b"\xff\xd9" + bytes(100)))
    add("jpeg-end-right-after-start.jpg", b"\xff\xd8\xff\xd9" + bytes(60))
    add("jpeg-nested-starts.jpg", b"\xff\xd8" * 3_000_000 + b"\xff\xd9")
    add("jpeg-fill-bytes-only.jpg", b"\xff\xd8" + b"\xff" * 8_000_000)
    add("jpeg-no-scan.jpg", whole[:scan] + b"\xff\xd9")
    add("jpeg-no-quantization.jpg", whole[: where(whole, 0xDB)[0]] + whole[frame:])
    add("jpeg-no-frame.jpg", whole[:frame] + whole[huffman:])
    add("jpeg-bad-huffman-counts.jpg", patched(whole, huffman + 5, b"\xff" * 16))
    add("jpeg-zero-width.jpg", resized_jpeg(whole, 0, SIDE))
    add("jpeg-zero-height.jpg", resized_jpeg(whole, SIDE, 0))
    add("jpeg-65535x65535.jpg", resized_jpeg(whole, 65535, 65535), TOO_MANY)
    add("jpeg-13000x13000.jpg", resized_jpeg(whole, 13000, 13000))
    add("jpeg-progressive-13000x13000.jpg", resized_jpeg(progressive, 13000, 13000))
    add("jpeg-zero-components.jpg", patched(whole, frame + 9, b"\0"))
    add("jpeg-255-components.jpg", patched(whole, frame + 9, b"\xff"))
    add("jpeg-zero-sampling.jpg", patched(whole, frame + 11, b"\0"))
    add(
        "jpeg-12-bit.jpg",
        patched(framed(whole, 0xC1), frame + 4, b"\x0c"),
        "unsupported format JPEG with 12-bit pixels",
    )
    add("jpeg-lossless.jpg", framed(whole, 0xC3), "unsupported format lossless JPEG")
    add("jpeg-hierarchical.jpg", framed(whole, 0xC5), "unsupported format hierarchical JPEG")
    add("jpeg-arithmetic.jpg", framed(whole, 0xC9), "unsupported format JPEG with arithmetic coding")
    add("jpeg-scan-bomb.jpg", _scan_bomb(), "unsupported format JPEG with more than 100 scans")
    add("jpeg-segment-of-length-0.jpg", with_segment(whole, b"\xff\xe2\0\0")[:400])
    add("jpeg-exif-bombs-and-cut.jpg", with_segment(exif_bomb(), *[app1(bytes(60000))] * 20)[:-2])


def _scan_bomb() -> bytes:
    """A progressive picture of 6 megapixels whose last scan comes two thousand times."""
    data = encode(np.zeros((2448, 2448), np.uint8), "JPEG", progressive=True)
    last = data.rfind(b"\xff\xc4")
    return data[:-2] + data[last:-2] * 2000 + b"\xff\xd9"


def exif_bomb() -> bytes:
    """Five thousand tags, each of which says that its value is the whole block, before a CMYK picture."""
    block = exif(*[(0x9000 + number, 7, 60000, 8) for number in range(4900)])
    return with_segment(encode(Image.fromarray(noise()).convert("CMYK"), "JPEG"), app1(block))


def _pngs(add: Any) -> None:
    whole = encode(noise(), "PNG")
    add("png-signature-only.png", whole[:8])
    add("png-cut-in-header.png", whole[:20])
    add("png-cut-after-header.png", whole[:33])
    add("png-cut-in-pixels.png", whole[: len(whole) // 2])
    add("png-no-end.png", whole[:-12])
    add("png-cut-in-end.png", whole[:-4])
    add("png-bad-header-checksum.png", patched(whole, 29, b"\0\0\0\0"))
    add("png-bad-pixel-checksum.png", patched(whole, 500, b"\0\1\2\3"))
    add("png-no-pixels.png", whole[:33] + chunk(b"IEND", b""))
    add("png-header-not-first.png", whole[:8] + chunk(b"tEXt", b"a\0b" * 8) + whole[8:])
    add("png-zero-width.png", png(0, 10, rows(1, 10)))
    add("png-zero-height.png", png(10, 0, rows(10, 1)))
    add("png-30000x30000.png", png(30000, 30000, zeros(1 << 20)), TOO_MANY)
    add("png-4294967295.png", png(0xFFFFFFFF, 0xFFFFFFFF, b"x"), TOO_MANY)
    add("png-13000x13000-with-little.png", png(13000, 13000, rows(10, 10)))
    add("png-13000x13000-bomb-cut-short.png", png(13000, 13000, zeros(13000 * 39001 - 9_000_000)))
    add("png-bad-deflate.png", png(40, 40, b"\x78\x9c" + b"\xff" * 500))
    add("png-bad-filter.png", png(40, 40, zlib.compress((b"\x09" + bytes(120)) * 40)))
    add("png-bad-depth.png", png(40, 40, rows(40, 40), depth=3))
    add("png-bad-color-type.png", png(40, 40, rows(40, 40), color=5))
    add("png-palette-missing.png", png(40, 40, zlib.compress(bytes(41 * 40)), color=3))
    bombs = [chunk(b"zTXt", b"a%d\0\0" % number + zeros((1 << 20) - 1)) for number in range(70)]
    add("png-text-bombs-and-cut.png", png(40, 40, rows(40, 40), *bombs)[:-20])
    profile = chunk(b"iCCP", b"a\0\0" + zeros(1 << 26))
    add("png-profile-bomb-and-cut.png", png(40, 40, rows(40, 40), profile)[:-20])
    add("png-chunk-longer-than-file.png", whole[:33] + struct.pack(">I", 0x7FFFFFFF) + b"tEXt" + bytes(100))
    add("png-chunk-of-4-gigabytes.png", whole[:33] + struct.pack(">I", 0xFFFFFFFF) + b"IDAT" + bytes(100))
    add("png-empty-chunks.png", whole[:33] + chunk(b"IDAT", b"") * 300_000)


def _tiffs(add: Any) -> None:
    whole = encode(noise(), "TIFF")
    add("tiff-header-only.tif", whole[:8])
    add("tiff-cut-in-directory.tif", plain_tiff(40, 40, strip=bytes(1600))[:60])
    add("tiff-cut-in-pixels.tif", plain_tiff(40, 40, strip=bytes(1600))[:800])
    add("tiff-no-tags.tif", tiff())
    add("tiff-directory-outside.tif", b"II*\0" + struct.pack("<I", 0x7FFFFFFF) + bytes(60))
    add("tiff-directory-in-header.tif", b"II*\0" + struct.pack("<I", 0) + bytes(60))
    add("tiff-30000x30000.tif", plain_tiff(30000, 30000, strip=bytes(100)), TOO_MANY)
    add("tiff-13000x13000.tif", plain_tiff(13000, 13000, strip=bytes(100), count=169_000_000))
    add("tiff-13000x13000-deflate.tif", plain_tiff(13000, 13000, 8, zeros(1 << 20)))
    add("tiff-13000x13000-lzw.tif", plain_tiff(13000, 13000, 5, bytes(100)))
    add("tiff-13000x13000-packbits.tif", plain_tiff(13000, 13000, 32773, b"\x81\0" * 1000))
    add("tiff-zero-width.tif", plain_tiff(0, 40, strip=bytes(1600)))
    add("tiff-strip-outside.tif", plain_tiff(40, 40, strip=bytes(1600), at=1_000_000))
    add("tiff-strip-in-last-bytes.tif", plain_tiff(40, 40, strip=bytes(1600), at=1700))
    add("tiff-bad-deflate.tif", plain_tiff(40, 40, 8, b"\xff" * 100))
    add("tiff-unknown-compression.tif", plain_tiff(40, 40, 999, bytes(1600)))
    add("tiff-50000-tags.tif", tiff(*[(256 + number, 4, 1, 1) for number in range(50_000)]))
    shared = [(40000 + number, 7, 1 << 20, 8) for number in range(900)]
    tags = [(256, 4, 1, 40), (257, 4, 1, 40), (273, 4, 1, 8), *shared]
    add("tiff-tags-share-a-megabyte.tif", tiff(*tags, tail=bytes(1 << 20)))
    add("tiff-million-strips.tif", tiff((256, 4, 1, 40), (257, 4, 1, 40), (273, 4, 1 << 20, 8), tail=bytes(1 << 22)))
    add("tiff-big-with-endless-directory.tif", b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 60) + bytes(200_000))
    add("tiff-float.tif", encode(np.zeros((40, 40), np.float32), "TIFF"), "unsupported format TIFF with 32-bit pixels")


def _others(add: Any) -> None:
    whole = encode(noise(), "GIF")
    add("gif-signature-only.gif", whole[:6])
    add("gif-cut-in-palette.gif", whole[:100])
    add("gif-cut-in-pixels.gif", whole[: len(whole) // 2])
    add("gif-no-picture.gif", gif(40, 40, b";"))
    add("gif-65535x65535.gif", gif(65535, 65535, gif_frame(1, 1), b";"), TOO_MANY)
    add("gif-13000x13000-with-little.gif", gif(13000, 13000, gif_frame(13000, 13000), b";"))
    add("gif-canvas-13000x13000.gif", gif(13000, 13000, gif_frame(1, 1), b";"))
    add("gif-frame-outside.gif", gif(40, 40, gif_frame(40, 40, left=65000, top=65000), b";"), TOO_MANY)
    add("gif-zero-frame.gif", gif(40, 40, gif_frame(0, 0), b";"))
    add("gif-comments-and-cut.gif", gif(40, 40, b"!\xfe" + (b"\xff" + bytes(255)) * 20_000))
    add("gif-tiny-comments.gif", gif(40, 40, b"!\xfe" + b"\1\0" * 300_000))
    add("gif-tiny-blocks.gif", gif(40, 40, b"!\xfe" + b"\1\1" * 3_000_000))
    add("gif-padding.gif", gif(40, 40, bytes(6_000_000)))
    add("gif-bad-codes.gif", gif(40, 40, gif_frame(40, 40, codes=b"\x40" + b"\xff" * 64 + b"\0"), b";"))

    whole = encode(noise(), "BMP")
    add("bmp-cut-in-header.bmp", whole[:30])
    add("bmp-cut-in-pixels.bmp", whole[: len(whole) // 2])
    add("bmp-30000x30000.bmp", bmp(30000, 30000, pixels=bytes(100)), TOO_MANY)
    add("bmp-13000x13000.bmp", bmp(13000, 13000, pixels=bytes(100)))
    add("bmp-13000x13000-runs.bmp", bmp(13000, 13000, 8, 1, bytes(100)))
    add("bmp-negative-width.bmp", bmp(-40, 40, pixels=bytes(4800)))
    add("bmp-zero-height.bmp", bmp(40, 0))
    add("bmp-bad-bits.bmp", bmp(40, 40, bits=7, pixels=bytes(4800)))
    add("bmp-bad-compression.bmp", bmp(40, 40, compression=9, pixels=bytes(4800)))
    inside = "unsupported format BMP with JPEG or PNG inside"
    add("bmp-jpeg-inside.bmp", bmp(40, 40, compression=4, pixels=bytes(4800)), inside)

    whole = encode(noise(), "WEBP", lossless=True)
    lossy = encode(noise(), "WEBP")
    add("webp-cut-in-header.webp", whole[:16])
    add("webp-cut-in-pixels.webp", whole[: len(whole) // 2])
    add("webp-lossy-cut.webp", lossy[: len(lossy) // 2])
    add("webp-lossy-cut-and-size-mended.webp", patched(lossy[:600], 4, struct.pack("<I", 592)))
    add("webp-canvas-16777216.webp", riff(vp8x(1 << 24, 1 << 24), vp8l(16, 16, bytes(40))), TOO_MANY)
    add("webp-canvas-13000x13000.webp", riff(vp8x(13000, 13000), vp8l(16, 16, bytes(40))))
    add("webp-animation-13000x13000-empty.webp", riff(vp8x(13000, 13000, 2), (b"ANIM", bytes(6))))
    add("webp-lossless-13000x13000.webp", riff(vp8l(13000, 13000, b"\xff" * 60)))
    frame = bytes(12) + bytes(4) + riff(vp8l(16, 16, bytes(40)))[12:]
    add("webp-animation-of-a-small-frame.webp", riff(vp8x(13000, 13000, 2), (b"ANIM", bytes(6)), (b"ANMF", frame)))
    add("webp-bad-codes.webp", riff(vp8l(64, 64, b"\xff" * 60)))
    add("webp-unknown-chunk.webp", riff((b"JUNK", bytes(60))))


def write_hostile(folder: Path) -> dict[str, str]:
    """Write the broken and hostile files; returns name -> the cause that each is refused with."""
    files = hostile_files()
    for name, (data, _) in files.items():
        Path(folder, name).write_bytes(data)
    return {name: cause for name, (_, cause) in files.items()}

"""The first directory of a TIFF: size, and whether the file can hold what it says."""

import struct

from imgcls_ray.data.containers import DEFLATE, LZW, Container, damaged

MAX_ENTRIES = 1000
"""Tags in a directory; cameras write about sixty."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _STRIPS, _SAMPLES, _TILES = 256, 257, 258, 259, 273, 277, 324

# Compression -> how many bytes one byte of the file can stand for at most; others have no such limit.
_RATIOS = {1: 1, 5: LZW, 6: 512, 7: 512, 8: DEFLATE, 32773: 128, 32946: DEFLATE}


def read_tiff(data: bytes) -> Container:
    """The first directory. Adobe, TIFF 6.0, section 2; BigTIFF as libtiff documents it.

    Raises:
        ImageError: `truncated or damaged`, also for a directory that would cost far more than the file's size to read.
    """
    try:
        tags = _first_directory(data)
    except (struct.error, OverflowError) as error:
        raise damaged() from error
    width, height = tags.get(_WIDTH, (0, 0))[0], tags.get(_HEIGHT, (0, 0))[0]
    samples, bits = tags.get(_SAMPLES, (1, 0))[0], tags.get(_BITS, (1, 0))[0]
    strips = max(tags.get(_STRIPS, (0, 0))[1], tags.get(_TILES, (0, 0))[1])
    if not strips or strips > max(height, width) * max(samples, 1):
        raise damaged()
    raw = height * -(-width * samples * bits // 8)
    ratio = _RATIOS.get(tags.get(_COMPRESSION, (1, 0))[0])
    return Container(width, height, data, b"", -(-raw // ratio) if ratio else 0, len(data))


def _first_directory(data: bytes) -> dict[int, tuple[int, int]]:
    """Tag -> (first value, number of values), for tags with whole numbers."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    if entries > MAX_ENTRIES:
        raise damaged()
    position, entry, inline = start + (8 if big else 2), 20 if big else 12, 8 if big else 4
    tags: dict[int, tuple[int, int]] = {}
    total = 0
    for number in range(entries):
        at = position + number * entry
        tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, at)
        size = _SIZES.get(kind, 0) * count
        total += size
        at += entry - inline
        if size > inline:
            (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, at)
        if kind in _INTEGERS and count and at + size <= len(data):
            tags[tag] = (struct.unpack_from(order + _INTEGERS[kind], data, at)[0], count)
    if total > 2 * len(data) + 65536:  # many tags that share one large value
        raise damaged()
    return tags

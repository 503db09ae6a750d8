"""The markers of a JPEG up to its picture data: size, kind, orientation, and whether the file can hold what it says."""

import re
import struct
from dataclasses import dataclass, field

from imgcls_ray.errors import ImageError

MAX_SCANS = 100
"""Progressive files have about ten scans; each one more costs a walk over the whole picture."""

_MAX_SEGMENTS = 10_000
"""Before the picture data; cameras write about twenty. What has more is read no further, and so refused."""

_FILL = re.compile(rb"\xff+")

_KINDS = {
    0xC3: "lossless JPEG",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical JPEG"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB), "JPEG with arithmetic coding"),
}
_FRAMES = {0xC0, 0xC1, 0xC2, *_KINDS}
_BARE = {0x01, 0xD8, *range(0xD0, 0xD8)}


@dataclass
class JpegHead:
    """What the markers before the picture data say. ITU-T T.81, annex B."""

    width: int = 0
    height: int = 0
    precision: int = 8
    """Bits per sample."""
    frame: int = 0
    """The marker of the frame header, 0xC0 for baseline; 0 where there is none."""
    sampling: list[tuple[int, int]] = field(default_factory=list)
    """Horizontal and vertical sampling factor of each component."""
    exif: bytes = b""
    """The first EXIF block."""
    scan_at: int = 0
    """Where the first start of scan is; 0 where there is none."""
    scan_components: int = 0
    extras: list[tuple[int, int]] = field(default_factory=list)
    """From, to: segments that no pixel depends on (APP0 to APP13, APP15, comments)."""


def jpeg_head(data: bytes) -> JpegHead:
    """Walk the segments before the picture data. Never raises: what is missing stays 0."""
    head = JpegHead()
    position = 2
    for _ in range(_MAX_SEGMENTS):
        if position + 4 > len(data):
            break
        if data[position] != 0xFF:  # libjpeg looks for the next marker as well
            position = data.find(b"\xff", position)
            if position < 0:
                break
            continue
        marker = data[position + 1]
        if marker == 0xFF and (fill := _FILL.match(data, position)):
            position = fill.end() - 1
            continue
        if marker in _BARE or marker == 0:
            position += 2
            continue
        if marker == 0xD9:
            break
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xDA:
            head.scan_at, head.scan_components = position, data[position + 4] if position + 4 < len(data) else 0
            break
        if marker in _FRAMES and not head.frame and position + 10 <= len(data):
            _read_frame(head, marker, data[position + 4 : end])
        elif marker == 0xE1 and not head.exif and data[position + 4 : position + 10] == b"Exif\0\0":
            head.exif = data[position + 4 : end]
        if (0xE0 <= marker <= 0xEF and marker != 0xEE) or marker == 0xFE:
            head.extras.append((position, min(end, len(data))))
        position = max(end, position + 4)
    return head


def _read_frame(head: JpegHead, marker: int, body: bytes) -> None:
    if len(body) < 6:
        return
    head.precision, head.height, head.width, count = struct.unpack_from(">BHHB", body)
    head.frame = marker
    head.sampling = [(factors >> 4, factors & 15) for factors in body[7 : 6 + 3 * count : 3]]


def check_jpeg(data: bytes, head: JpegHead) -> None:
    """Refuse what can't be decoded, or would cost far more than an honest file of its size, before memory is taken.

    Each block of 8 x 8 samples takes one bit at the least (its DC code), so a file that says it has more blocks than
    bits is cut off or lies. Progressive files keep all blocks in memory.

    Raises:
        ImageError: `truncated or damaged` or `unsupported format X`.
    """
    if head.frame in _KINDS:
        raise ImageError(f"unsupported format {_KINDS[head.frame]}")
    if head.precision == 12:
        raise ImageError("unsupported format JPEG with 12-bit pixels")
    if head.precision != 8 or not head.scan_at:
        raise ImageError("truncated or damaged")
    widest = max((h for h, _ in head.sampling), default=1) or 1
    tallest = max((v for _, v in head.sampling), default=1) or 1
    blocks = sum((head.width * h // widest // 8) * (head.height * v // tallest // 8) for h, v in head.sampling)
    if blocks > 8 * (len(data) - head.scan_at):
        raise ImageError("truncated or damaged")
    # One scan with all components is read once, whatever follows it.
    if head.frame == 0xC2 or head.scan_components < len(head.sampling):
        scans = data.count(b"\xff\xda", head.scan_at)
        if scans > MAX_SCANS:
            raise ImageError(f"unsupported format JPEG with more than {MAX_SCANS} scans ({scans})")


def without_extras(data: bytes, head: JpegHead) -> bytes:
    """The same picture without profiles, previews, EXIF and comments, which Pillow would unpack."""
    pieces = []
    start = 0
    for begin, end in head.extras:
        pieces.append(data[start:begin])
        start = end
    return b"".join([*pieces, data[start:]])

"""What the manifest does not tell: which pictures have no colour. A bounded number of them is looked at."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from heapq import nsmallest

import numpy as np

from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.pixels import PixelOps, decode
from imgcls_ray.data.sources.base import Reader
from imgcls_ray.errors import ImageError
from imgcls_ray.reports.report import Gray, GrayClass

MAX_PICTURES = 4000
MAX_SECONDS = 10.0
MAX_FILE = 32_000_000
MAX_PIXELS = 50_000_000
SAME = 8
"""Largest difference of a small picture's red, green and blue, of 255, that JPEG makes where there is no colour."""
_THREADS = 4
_OPS = PixelOps(64, 64, "color", "stretch", MAX_PIXELS)


def look_for_gray(reader: Reader, used: Sequence[ManifestRow]) -> Gray:
    """Pictures without colour among `used`: all of them, or as many as the bounds allow, drawn by content hash.

    A file that can't be read any more, or is too large to be worth it, is passed over.
    """
    wanted = nsmallest(MAX_PICTURES, used, key=lambda row: row.sha256 or "")
    end = time.monotonic() + MAX_SECONDS

    def is_gray(row: ManifestRow) -> bool | None:
        if time.monotonic() > end or row.bytes > MAX_FILE:
            return None
        try:
            pixels = decode(reader.read(row.path), _OPS)
        except (OSError, ImageError):
            return None
        return int(np.ptp(pixels, axis=2).max()) <= SAME

    looked: Counter[str] = Counter()
    gray: Counter[str] = Counter()
    with ThreadPoolExecutor(_THREADS) as pool:
        for row, answer in zip(wanted, pool.map(is_gray, wanted), strict=True):
            if answer is not None:
                looked[row.label] += 1
                gray[row.label] += answer
    found = [GrayClass(label, looked[label], number) for label, number in gray.items() if number]
    return Gray(looked.total(), gray.total(), tuple(sorted(found, key=lambda entry: (-entry.gray, entry.label))))

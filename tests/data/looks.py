"""Made-up looks and rows: pictures that are near each other by design."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.similarity import Look
from imgcls_ray.data.sources import Split


def look(motif: int, copy: int = 0) -> Look:
    """Looks of one motif are near each other, those of two are not."""
    rng = np.random.default_rng(motif)
    signature = rng.integers(0, 240, 256)
    bits = int(rng.integers(0, 2**63))
    if copy:
        rng = np.random.default_rng([motif, copy])
        signature = signature + rng.integers(0, 4, 256)
        bits ^= 1 << int(rng.integers(64))
    return Look(f"{bits:016x}", signature.astype(np.uint8).tobytes())


def row(
    path: str,
    label: str = "a",
    split: Split | None = None,
    group: str | None = None,
    motif: int | None = None,
    copy: int = 0,
    content: str | None = None,
) -> ManifestRow:
    """A used row; `content` (by default the path) stands for the file's bytes."""
    seen = None if motif is None else look(motif, copy)
    return ManifestRow(
        path=path,
        label=label,
        split=split,
        sha256=hashlib.sha256((content or path).encode()).hexdigest(),
        width=64,
        height=48,
        bytes=1000,
        status="used",
        group=group,
        phash=seen.phash if seen else None,
        signature=seen.signature if seen else None,
    )


@dataclass(frozen=True)
class Kind:
    """What a made-up data set brings."""

    given: tuple[Split | None, ...] = (None,)
    groups: bool = False
    copies: bool = True


def dataset(seed: int, count: int, kind: Kind, part: str = "", motifs: int | None = None) -> list[ManifestRow]:
    """Rows of a random data set, with near copies, exact copies, and some that were refused.

    Args:
        seed: of all that is random.
        count: of rows.
        kind: what it has.
        part: begins each path; sets of one seed and other parts share motifs, but no files.
        motifs: how many there are; by default two for three rows.
    """
    rng = random.Random(f"{seed}{part}")
    rows: list[ManifestRow] = []
    for number in range(count):
        motif = rng.randrange(motifs or count * 2 // 3)
        path = f"{part}{rng.randrange(10**6):06d}-{number}.jpg"
        label = "abcd"[motif % 4 if rng.random() < 0.95 else rng.randrange(4)]
        group = f"g{motif % 17}" if kind.groups and motif % 3 == 0 else None
        given = rng.choice(kind.given)
        used = [one for one in rows if one.status == "used"]
        if kind.copies and used and rng.random() < 0.1:
            twin = rng.choice(used)
            rows.append(replace(twin, path=path, split=given, label=twin.label if rng.random() < 0.9 else label))
            continue
        rows.append(row(path, label, given, group, seed * 1000 + motif, number + 1))
        if rng.random() < 0.03:
            rows[-1] = replace(
                rows[-1], status="rejected", reason="truncated or damaged", sha256=None, phash=None, signature=None
            )
    return rows


def by_path(rows: Sequence[ManifestRow]) -> dict[str, ManifestRow]:
    """path -> row."""
    return {one.path: one for one in rows}

"""Repeated pictures are kept once, and pictures that belong together never stand on both sides of a split."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data.grouping import KEPT_FIRST, Grouping, Picture
from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.neighbours import near_pairs
from imgcls_ray.data.similarity import Look
from imgcls_ray.data.sources import Split
from imgcls_ray.data.splits import Shares
from imgcls_ray.errors import DataError


def settle(
    rows: Sequence[ManifestRow], settings: PreprocessSettings, earlier: Mapping[str, Split]
) -> list[ManifestRow]:
    """Decide which pictures are used, which belong together and which split each is for.

    The result follows from the rows' content, not from their order, and settling again with the used pictures of the
    result as `earlier` changes nothing.

    Args:
        rows: one per file. Those that are `used` count; others are given back as they are. `split` and `group` are
            what the source says, None where it says nothing.
        settings: fractions, seed, and whether near copies are looked for.
        earlier: sha256 -> split of pictures that were used before. They keep their split, whatever the source says
            now; so a new picture that would have to be in two splits, or in another one than the source says, is
            left out.

    Returns:
        A row for each, in their order: status, reason, split and group are final where it is used. A picture is left
        out for one of these reasons, a near copy or member of the same group being a neighbour:
        `same picture as PATH` (a duplicate), `same picture under two labels (PATH)`,
        `near copy in another split (PATH, SPLIT)` or `same group in another split (PATH, SPLIT)`: a neighbour is where
        the source does not allow this one, test going before validation before training;
        `ties two splits together (PATH in SPLIT, PATH in SPLIT)`: neighbours are in two splits.

    Raises:
        DataError: pictures that were used before, in different splits, are of one group now.
    """
    result = list(rows)
    kept = _kept_once(result, earlier)
    shares = Shares.of({row.split for row in rows if row.split}, settings.test_fraction, settings.val_fraction)
    pictures = sorted((Picture.of(n, rows[n], shares, earlier) for n in kept), key=lambda p: (p.turn, p.sha256))
    looks = [_look(rows[picture.number]) if settings.near_duplicates else None for picture in pictures]
    grouping = Grouping(pictures, near_pairs(looks))
    splits = grouping.split(shares, settings.seed)
    refusals = grouping.reasons(splits, [rows[picture.number].path for picture in pictures])
    groups = grouping.names(refusals)
    for place, picture in enumerate(pictures):
        row, refusal = rows[picture.number], refusals.get(place)
        result[picture.number] = replace(
            row,
            group=groups[place],
            split=row.split if refusal else splits[place],
            status="rejected" if refusal else row.status,
            reason=refusal.reason if refusal else row.reason,
        )
    _check_groups(result)
    return result


def _check_groups(rows: Sequence[ManifestRow]) -> None:
    """Refuse a set whose pictures were settled before the source named their groups: they would not be moved."""
    first: dict[str, ManifestRow] = {}
    for row in rows:
        if row.status != "used" or not row.given_group:
            continue
        other = first.setdefault(row.given_group, row)
        if other.split != row.split:
            raise DataError(
                f"A group stands in one split; of '{row.given_group}' {other.path} was used for {other.split} and "
                f"{row.path} for {row.split} before they were one: begin the set anew, with another --out or after its "
                "folder was taken away."
            )


def near_conflicts(rows: Sequence[ManifestRow]) -> list[tuple[ManifestRow, ManifestRow]]:
    """Used near copies that have different labels, sorted by path: a small difference, or a mistake.

    Args:
        rows: as `settle` gives them.
    """
    grouped = [row for row in rows if row.status == "used" and row.group]
    pairs = [(grouped[i], grouped[j]) for i, j in near_pairs([_look(row) for row in grouped])]
    conflicts = [(min(p, key=_path), max(p, key=_path)) for p in pairs if p[0].label != p[1].label]
    return sorted(conflicts, key=lambda pair: (pair[0].path, pair[1].path))


def _path(row: ManifestRow) -> str:
    return row.path


def _look(row: ManifestRow) -> Look | None:
    return Look(row.phash, row.signature) if row.phash and row.signature else None


def _kept_once(result: list[ManifestRow], earlier: Mapping[str, Split]) -> list[int]:
    """The numbers of the used rows that stay, each content once; the others are marked in `result`."""
    same: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(result):
        if row.status == "used" and row.sha256:
            same[row.sha256].append(number)
    kept = []
    for sha256, numbers in same.items():
        if len({result[n].label for n in numbers}) > 1:
            copies = sorted((result[n] for n in numbers), key=_path)
            for n in numbers:
                other = next(row.path for row in copies if row.label != result[n].label)
                reason = f"same picture under two labels ({other})"
                result[n] = replace(result[n], status="rejected", reason=reason)
            continue
        places = KEPT_FIRST | ({earlier[sha256]: -1} if sha256 in earlier else {})
        first, *others = sorted(numbers, key=lambda n: (places[result[n].split], result[n].path))
        for n in others:
            result[n] = replace(result[n], status="duplicate", reason=f"same picture as {result[first].path}")
        kept.append(first)
    return kept

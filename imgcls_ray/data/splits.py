"""Which picture is for training, which for validation, which for the test: decided by content, not by name or order."""

import hashlib
from collections.abc import Sequence
from typing import Literal

from imgcls_ray.data.sources import Split


def rank(seed: int, purpose: str, key: str) -> bytes:
    """A place in an order that is random, yet the same wherever and whenever `seed` and `key` are."""
    return hashlib.sha256(f"{seed}:{purpose}:{key}".encode()).digest()


def split_class(
    keys: Sequence[str], seed: int, test_fraction: float | None, val_fraction: float | None
) -> dict[str, Split]:
    """Split the pictures of one class.

    Args:
        keys: content hashes, in any order, each once.
        seed: another seed gives another split.
        test_fraction: share for the test, of all; None where the data brings a test folder.
        val_fraction: share for validation, of what is left; None where the data brings a validation folder.

    Returns:
        key -> split. A class of 3 or more gives at least one picture to each split; the training always has one.
    """
    ordered = sorted(keys, key=lambda key: rank(seed, "split", key))
    wanted: list[tuple[Literal["test", "val"], float]] = []
    if test_fraction is not None:
        wanted.append(("test", test_fraction))
    if val_fraction is not None:
        wanted.append(("val", val_fraction))
    floor = 1 if len(ordered) >= 3 else 0
    splits: dict[str, Split] = {}
    for number, (split, fraction) in enumerate(wanted):
        later = 1 + floor * (len(wanted) - number - 1)  # one for training, one for each split still to come
        take = min(max(int(len(ordered) * fraction + 0.5), floor), max(len(ordered) - later, 0))
        splits.update(dict.fromkeys(ordered[:take], split))
        ordered = ordered[take:]
    splits.update(dict.fromkeys(ordered, "train"))
    return splits

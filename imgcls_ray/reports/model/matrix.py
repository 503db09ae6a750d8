"""The confusion matrix as it is shown: numbers for some classes, a map for many."""

from dataclasses import dataclass

import numpy as np

NUMBERS = 20
"""Classes up to which it is a table of numbers."""
MAPPED = 200
"""Classes up to which all are on the map; of more, those with most mistakes."""
LEVELS = 6
"""Steps of strength on the map."""


@dataclass(frozen=True)
class Cell:
    """Pictures of one class with one answer."""

    pictures: int
    share: float
    """Of the pictures of that class."""


@dataclass(frozen=True)
class Table:
    """Rows are labels, columns answers."""

    names: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Map:
    """A drawing of one unit a cell: rows are labels, columns answers, alike classes beside each other."""

    names: tuple[str, ...]
    right: tuple[tuple[float, str], ...]
    """(strength 0 to 1, path) of the cells on the diagonal."""
    wrong: tuple[tuple[float, str], ...]
    left_out: int
    """Classes that are not on it."""


def confusion_table(confusion: np.ndarray, names: tuple[str, ...]) -> Table | None:
    """Counts (K, K) as a table; None for too many classes."""
    if len(names) > NUMBERS:
        return None
    of = np.maximum(confusion.sum(axis=1), 1)
    rows = (tuple(Cell(int(n), float(n / of[place])) for n in row) for place, row in enumerate(confusion))
    return Table(names, tuple(rows))


def confusion_map(confusion: np.ndarray, names: tuple[str, ...]) -> Map | None:
    """Counts (K, K) as a map; None for few classes."""
    if len(names) <= NUMBERS:
        return None
    off = confusion * (1 - np.eye(len(names), dtype=confusion.dtype))
    mistakes = off.sum(axis=0) + off.sum(axis=1)
    chosen = np.sort(np.argsort(-mistakes, kind="stable")[:MAPPED])
    order = chosen[_alike(off[np.ix_(chosen, chosen)])]
    shares = (confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1))[np.ix_(order, order)]
    diagonal = np.eye(len(order), dtype=bool)
    return Map(
        tuple(names[place] for place in order),
        _paths(np.where(diagonal, shares, 0)),
        _paths(np.where(diagonal, 0, shares)),
        len(names) - len(order),
    )


def _alike(off: np.ndarray) -> np.ndarray:
    """An order in which classes that are taken for each other are near each other."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    both = (off + off.T).astype(np.float64)
    nearness = both / max(both.max(), 1.0)
    distances = 1 - nearness
    np.fill_diagonal(distances, 0)
    return np.asarray(leaves_list(linkage(squareform(distances, checks=False), "average")))


def _paths(shares: np.ndarray) -> tuple[tuple[float, str], ...]:
    """One path for the cells of each strength; a share of a tenth is seen already."""
    strength = np.ceil(np.sqrt(shares) * LEVELS).astype(int)
    found = []
    for level in range(1, LEVELS + 1):
        rows, columns = np.nonzero(strength == level)
        if len(rows):
            path = "".join(f"M{x} {y}h1v1h-1z" for y, x in zip(rows.tolist(), columns.tolist(), strict=True))
            found.append((level / LEVELS, path))
    return tuple(found)

"""How much each class counts in training, as a search space writes it."""

import math
import re

_PAIR = re.compile(r"\s*(.+?)\s*=\s*([^=,\s]+)\s*(?:,|$)")


def parse_weighting(text: str) -> dict[str, float]:
    """Class name -> weight from `NAME=WEIGHT,NAME=WEIGHT`; a name may hold commas. Empty for `none` and `balanced`.

    Raises:
        ValueError: nothing of the kind, a name twice, or a weight that is not a number above 0.
    """
    if text in ("none", "balanced"):
        return {}
    rule = f"it is none, balanced or NAME=WEIGHT,NAME=WEIGHT with weights above 0; received {text!r}"
    weights: dict[str, float] = {}
    position = 0
    while position < len(text):
        pair = _PAIR.match(text, position)
        if pair is None:
            raise ValueError(rule)
        name, weight = pair[1], _number(pair[2])
        if weight is None or name in weights:
            raise ValueError(rule)
        weights[name], position = weight, pair.end()
    if not weights:
        raise ValueError(rule)
    return weights


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number > 0 and math.isfinite(number) else None

"""The rung table of ASHA: when trials are stopped and how many go on, told before the start."""

from dataclasses import dataclass

REDUCTION = 2
"""At each rung the better half goes on. By thirds the best trial was stopped more often: `benchmarks/stopping.py`."""


@dataclass(frozen=True)
class Rung:
    """An epoch at which trials are stopped."""

    epochs: int
    share: float
    """Of all trials that start, how many reach it when each rung before it lets the better half go on."""


def grace_period(epochs: int) -> int:
    """Epochs before a trial may be stopped: a tenth, at least 2."""
    return min(epochs, max(2, round(epochs / 10)))


def rungs(epochs: int) -> list[Rung]:
    """For trials of at most so many epochs; empty where they end with the first rung."""
    found, at, share = [], grace_period(epochs), 1.0
    while at < epochs:
        found.append(Rung(at, share))
        at, share = at * REDUCTION, share / REDUCTION
    return found


def expected_epochs(epochs: int) -> float:
    """Of a trial on average, when each rung lets half go on."""
    ends = [*[rung.epochs for rung in rungs(epochs)], epochs]
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    return sum(length / REDUCTION**number for number, length in enumerate(lengths))


def describe(epochs: int, trials: int) -> str:
    """The table in a line, with the epochs of the whole study: about, and at worst."""
    table = rungs(epochs)
    worst = f"at most {trials * epochs} epochs"
    if not table:
        return f"ASHA stops no trial, as none has more than {epochs} epochs: {worst}"
    reach = ", ".join(f"{max(round(trials * rung.share / REDUCTION), 1)} after epoch {rung.epochs}" for rung in table)
    about = max(round(trials * expected_epochs(epochs)), 1)
    return f"ASHA lets the better half go on: of {trials} trials about {reach}; about {about} epochs, {worst}"

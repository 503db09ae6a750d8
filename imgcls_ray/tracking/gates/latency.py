"""The gate of latency: it answers about as fast as the champion."""

from imgcls_ray.inference.latency import side_by_side
from imgcls_ray.tracking.gates.base import Contest, Gate, Judgement


class LatencyGate(Gate):
    """At most `max_slowdown` times the champion's milliseconds for one picture; both take turns on this machine."""

    name = "latency"

    def judge(self, contest: Contest) -> Judgement:
        """See Gate."""
        mine, champion = contest.candidate.bundle, contest.champion
        if champion is None or champion.bundle is None or mine is None:
            return Judgement(self.name, "no rival", "There is no champion to be compared with.", unit="ms")
        factor = contest.settings.max_slowdown
        took, theirs = side_by_side([(mine, mine.pixels.shape), (champion.bundle, champion.bundle.pixels.shape)])
        good = took <= factor * theirs
        return Judgement(
            self.name,
            "passed" if good else "failed",
            f"One picture takes {took:.2f} ms, {took / theirs:.2f} times the champion's {theirs:.2f} ms: "
            + (
                f"within the {factor:g} times of max_slowdown."
                if good
                else f"more than the {factor:g} of max_slowdown."
            ),
            took,
            factor * theirs,
            "ms",
            {"champion": theirs},
        )

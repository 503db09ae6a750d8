"""The gate of the metric: on the same test pictures it is not worse than the champion."""

import numpy as np

from imgcls_ray.evaluation.bootstrap import drawn, interval
from imgcls_ray.evaluation.mcnemar import discordance
from imgcls_ray.tracking.gates.base import Contest, Gate, Judgement

WORDS = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "f1_macro": "macro F1", "loss": "loss"}


class MetricGate(Gate):
    """Not below the champion's by more than chance explains (paired bootstrap, 95 %), nor by more than `max_drop`.

    The second limit holds where the test pictures are few: chance alone would let any model pass there.
    """

    name = "metric"

    def judge(self, contest: Contest) -> Judgement:
        """See Gate."""
        figure, champion = contest.settings.metric, contest.champion
        if champion is None or champion.answers is None or contest.candidate.answers is None:
            return Judgement(self.name, "no rival", "There is no champion to be compared with.")
        answers = [contest.candidate.answers, champion.answers]
        values = drawn(answers, contest.labels, figure)
        sign = -1.0 if figure == "loss" else 1.0
        gap = interval(sign * (values[:, 0] - values[:, 1]))
        allowed = min(max(gap.high - gap.value, 0.0), contest.settings.max_drop)
        mine, theirs = (float(value) for value in values[0])
        counts = discordance(answers[0], answers[1], contest.labels)
        apart = (
            f"{mine:.4f}, {sign * gap.value:+.4f} against the champion's {theirs:.4f} on {contest.split} (95 % from "
            f"{min(sign * gap.low, sign * gap.high):+.4f} to {max(sign * gap.low, sign * gap.high):+.4f}; right only "
            f"here {counts.first}, only there {counts.second}, McNemar p {counts.p:.2g})"
        )
        good = gap.value >= -allowed - np.finfo(float).eps
        verdict = (
            "it is not worse" if gap.value >= 0 else "chance explains it" if good else self._why(gap.high, contest)
        )
        return Judgement(
            self.name,
            "passed" if good else "failed",
            f"The {WORDS[figure]} is {apart}: {verdict}.",
            mine,
            theirs - sign * allowed,
            more={"champion": theirs, "gap": sign * gap.value, "mcnemar_p": counts.p, "pictures": len(contest.labels)},
        )

    @staticmethod
    def _why(high: float, contest: Contest) -> str:
        if high < 0:
            return "worse by more than chance explains"
        return f"worse by more than the {contest.settings.max_drop:g} that is allowed where it may be chance (max_drop)"

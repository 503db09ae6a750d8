"""The gate of calibration: its probabilities can be believed as much as the champion's."""

from imgcls_ray.evaluation.bootstrap import drawn, interval
from imgcls_ray.tracking.gates.base import Contest, Gate, Judgement


class CalibrationGate(Gate):
    """An expected calibration error of at most `max_ece`, or not above the champion's by more than chance explains."""

    name = "calibration"

    def judge(self, contest: Contest) -> Judgement:
        """See Gate."""
        champion, limit = contest.champion, contest.settings.max_ece
        if champion is None or champion.answers is None or contest.candidate.answers is None:
            return Judgement(self.name, "no rival", "There is no champion to be compared with.", limit=limit)
        values = drawn([contest.candidate.answers, champion.answers], contest.labels, "calibration_error")
        mine, theirs = (float(value) for value in values[0])
        gap = interval(values[:, 0] - values[:, 1])
        # What chance alone would put between two equals on these pictures.
        noise = max(gap.value - gap.low, 0.0)
        allowed = max(limit, theirs + noise)
        good = mine <= allowed
        against = f"the champion's is {theirs:.4f}, chance explains {noise:.4f} more on {contest.split}"
        verdict = f"at most {limit:g} is good" if mine <= limit else "it is not worse" if good else "that is worse"
        return Judgement(
            self.name,
            "passed" if good else "failed",
            f"The expected calibration error is {mine:.4f}; {against}: {verdict}.",
            mine,
            allowed,
            more={"champion": theirs},
        )

"""Which version answers a request: the champion, or for a share of the requests the canary."""

import hashlib

from serve.model.served import Arm, Served


def place_of(request_id: str) -> float:
    """Where a request's id stands from 0 to below 1: anywhere alike, and at the same place in every process."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:7], "big") / 2**56


class Traffic:
    """Divides requests by their id alone, so that one id is always answered by the same arm, in every replica and
    after a restart; and an id that goes to the canary at some weight does so at any higher one.
    """

    def __init__(self, champion: Arm, canary: Arm | None = None, weight: float = 0.0) -> None:
        self.champion, self.canary, self.weight = champion, canary, weight

    def arm_for(self, request_id: str) -> tuple[Arm, Served]:
        """The arm and what is in it now.

        While there is no canary, or it is the champion or knows other classes than that, all go to the champion.
        """
        champion = _there(self.champion)
        if self.canary is None or place_of(request_id) >= self.weight:
            return self.champion, champion
        served = self.canary.served
        if served is None or served.path == champion.path or served.labels != champion.labels:
            return self.champion, champion
        return self.canary, served


def _there(champion: Arm) -> Served:
    if champion.served is None:
        raise RuntimeError("a service has a champion from its start")
    return champion.served

"""Which version answers a request: the champion, or for a share of the requests the canary."""

import hashlib

from serve.model.served import Arm, Served

Chosen = tuple[Arm, Served]
"""An arm, and the version in it that a request holds on to."""


def place_of(request_id: str) -> float:
    """Where a request's id stands from 0 to below 1: anywhere alike, and at the same place in every process."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:7], "big") / 2**56


class Traffic:
    """Divides requests by their id alone, so that one id is always answered by the same arm, in every replica and
    after a restart; and an id that goes to the canary at some weight does so at any higher one.
    """

    def __init__(self, champion: Arm, canary: Arm | None = None, weight: float = 0.0) -> None:
        self.champion, self.canary, self.weight = champion, canary, weight

    def arm_for(self, request_id: str) -> Chosen:
        """The arm of a request, and what is in it now.

        While there is no canary, or it is the champion or knows other classes than that, all go to the champion.
        """
        champion, canary = self._champion(), self._canary()
        return canary if canary and place_of(request_id) < self.weight else champion

    def arm_with(self, version: str | None) -> Chosen | None:
        """The arm that this version is in, whatever the request's id."""
        arms = (self._champion(), self._canary())
        return next((chosen for chosen in arms if chosen and chosen[1].version == version), None)

    def _champion(self) -> Chosen:
        if self.champion.served is None:
            raise RuntimeError("a service has a champion from its start")
        return self.champion, self.champion.served

    def _canary(self) -> Chosen | None:
        """It, where it may answer."""
        served, champion = self.canary.served if self.canary else None, self._champion()[1]
        if self.canary is None or served is None or served.path == champion.path or served.labels != champion.labels:
            return None
        return self.canary, served

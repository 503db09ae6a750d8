"""Follows an alias of the registry for an arm: loads the version it is moved to beside the one that answers, then
changes over."""

import logging
import threading
from collections.abc import Callable

from imgcls_ray.errors import ImgclsError, ModelError
from imgcls_ray.tracking.registry import Located
from serve.model.served import Arm, Served
from serve.record.meters import Meters

logger = logging.getLogger("serve")

_LONGEST = 32
"""Looks that pass, at the most, before a version that was refused is loaded again: loading takes CPU from answers."""


class Follower:
    """Looks every few seconds, in a thread of its own.

    A version is loaded, checked by its golden pictures and warmed up before it answers, and one that fails its checks
    never does: the one before goes on. That stays in memory, so that going back to it takes no time.
    """

    def __init__(
        self,
        arm: Arm,
        meters: Meters,
        find: Callable[[], Located],
        load: Callable[[Located], Served],
    ) -> None:
        """`find` raises ModelError where there is no such version, and other errors where nobody can tell."""
        self._arm, self._meters, self._find, self._load = arm, meters, find, load
        self._before: Served | None = None
        self._told: str | None = None
        """What went wrong last, so that it is told once."""
        self._tried: Located | None = None
        self._pause, self._passing = 1, 0
        """Looks that pass after the next refusal, and that have yet to pass after the last."""
        if arm.served:
            meters.serves(arm.name, arm.served.name, arm.served.version)

    def start(self, seconds: float) -> None:
        """Look every so many seconds, for as long as the process lives."""
        timer = threading.Event()

        def run() -> None:
            while not timer.wait(seconds):
                self.look()

        threading.Thread(target=run, name=f"follower of the {self._arm.name}", daemon=True).start()

    def look(self) -> None:
        """Look once, and change over if the alias has moved."""
        now = self._arm.served
        version = None
        try:
            found = self._found()
            if found is None:
                return
            version = found.version
            if now and (found.version, found.path) == (now.version, now.path):
                self._told = None
                return
            if found == self._tried and self._passing:
                self._passing -= 1
                return
            self._pause = min(2 * self._pause, _LONGEST) if found == self._tried else 1
            self._tried, self._passing = found, self._pause
            again = self._before if self._before and self._before.path == found.path else None
            self._change(now, again or self._load(found))
        except ImgclsError as error:
            self._trouble(version, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, what answers goes on answering
            self._trouble(version, f"{type(error).__name__}: {error}")

    def _found(self) -> Located | None:
        try:
            return self._find()
        except ModelError as error:
            if self._arm.name == "champion":
                raise
            # Who takes the alias away wants no canary; there is always a champion.
            self._before = self._arm.served or self._before
            self._arm.served = None
            self._meters.empties(self._arm.name)
            self._trouble(None, str(error))
            return None

    def _change(self, now: Served | None, then: Served) -> None:
        self._arm.served, self._before, self._told, self._tried = then, now, None, None
        self._meters.serves(self._arm.name, then.name, then.version)
        kept = f"; version {now.version} is kept" if now else ""
        logger.warning("Version %s is the %s now%s", then.version, self._arm.name, kept)

    def _trouble(self, version: str | None, reason: str) -> None:
        arm, served = self._arm.name, self._arm.served
        what = f"Version {version} is refused as the {arm}" if version else f"The alias of the {arm} can't be followed"
        told = f"{what}, {f'version {served.version} goes on' if served else f'there is no {arm}'}: {reason}"
        if told != self._told:
            self._told = told
            self._meters.refuses(arm, version)
            logger.error("%s", told)

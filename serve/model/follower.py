"""Follows an alias of the registry: loads the version it is moved to beside the one that answers, then changes over."""

import logging
import threading
from collections.abc import Callable

from imgcls_ray.errors import ImgclsError
from imgcls_ray.tracking.registry import Located
from serve.model.predictor import Predictor
from serve.model.served import Served
from serve.record.meters import Meters

logger = logging.getLogger("serve")


class Follower:
    """Looks every few seconds, in a thread of its own.

    A version is loaded, checked by its golden pictures and warmed up before it answers, and one that fails its checks
    never does: the one before goes on. That stays in memory, so that going back to it takes no time.
    """

    def __init__(
        self,
        predictor: Predictor,
        meters: Meters,
        find: Callable[[], Located],
        load: Callable[[Located], Served],
    ) -> None:
        self._predictor, self._meters, self._find, self._load = predictor, meters, find, load
        self._before: Served | None = None
        self._told: str | None = None
        """What went wrong last, so that it is told once."""
        meters.serves(predictor.served.name, predictor.served.version)

    def start(self, seconds: float) -> None:
        """Look every so many seconds, for as long as the process lives."""
        timer = threading.Event()

        def run() -> None:
            while not timer.wait(seconds):
                self.look()

        threading.Thread(target=run, name="follower", daemon=True).start()

    def look(self) -> None:
        """Look once, and change over if the alias has moved."""
        now = self._predictor.served
        version = None
        try:
            found = self._find()
            version = found.version
            if (found.version, found.path) == (now.version, now.path):
                self._told = None
                return
            again = self._before if self._before and self._before.path == found.path else None
            self._change(now, again or self._load(found))
        except ImgclsError as error:
            self._trouble(version, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, what answers goes on answering
            self._trouble(version, f"{type(error).__name__}: {error}")

    def _change(self, now: Served, then: Served) -> None:
        self._predictor.served, self._before, self._told = then, now, None
        self._meters.serves(then.name, then.version)
        logger.warning("Version %s answers now; version %s is kept", then.version, now.version)

    def _trouble(self, version: str | None, reason: str) -> None:
        known = self._predictor.served.version
        what = f"Version {version} is refused" if version else "The alias can't be followed"
        told = f"{what}, version {known} goes on: {reason}"
        if told != self._told:
            self._told = told
            self._meters.refuses(version)
            logger.error("%s", told)

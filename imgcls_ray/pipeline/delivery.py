"""What a study leaves for MLflow at its end, and what could not be left there then."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imgcls_ray.config import RunSettings, load_settings
from imgcls_ray.data.files import write_atomic
from imgcls_ray.errors import ClusterError, ImgclsError, StorageError
from imgcls_ray.pipeline.plan import SETTINGS
from imgcls_ray.pipeline.promotion import promote_first
from imgcls_ray.search.journal import sole_driver
from imgcls_ray.search.record import RESULT, known_study
from imgcls_ray.storage import Storage
from imgcls_ray.tracking.client import first_line
from imgcls_ray.tracking.location import hide, resolve_uri
from imgcls_ray.tracking.moves import CHAMPION
from imgcls_ray.tracking.outbox import OUTBOX
from imgcls_ray.tracking.registry import Registered, check_bundle, register
from imgcls_ray.tracking.tracker import Tracker
from imgcls_ray.tracking.versions import Versions


@dataclass(frozen=True)
class Delivery:
    """What came of a study's way into MLflow."""

    study: str
    uri: str
    """Where it is recorded, without user and password."""
    sent: int
    """Records that had not been sent before."""
    records: int
    """Of the study in all."""
    run: str
    """The id of the study's run."""
    model: Registered | None = None
    """The version that was made of the study's model; None where it has one, or where the study has no result yet."""
    refused: str | None = None
    """What MLflow would not take."""

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls track --json` prints."""
        made = self.model
        return {
            "study": self.study,
            "uri": self.uri,
            "sent": self.sent,
            "records": self.records,
            "run": self.run,
            "model": {"name": made.name, "version": made.version, "alias": made.alias} if made else None,
            "refused": self.refused,
        }


def deliver(
    tracker: Tracker,
    bundle: Path,
    name: str,
    tell: Callable[[str], None] | None = None,
    accuracy: float | None = None,
) -> tuple[Registered | None, str | None]:
    """Wait until a study is recorded, and register its bundle as the next version of the model `name`, its candidate.

    The first one becomes the champion at once, if it passes the gates that need no rival. Where MLflow does not answer,
    or not to the end, or its store of files will not have the bundle, there is no version, but a sentence on what to
    do. `tell` hears that it waits, and of the first champion. `accuracy` is that on the test split.
    """
    try:
        tracker.flush(tell)
    except (ClusterError, StorageError) as error:
        return None, str(error)
    try:
        made = register(tracker, bundle, name, tracker.run_id, accuracy)
        first = promote_first(Versions(tracker.storage, tracker.uri), made)
    except Exception as error:  # a store of files raises what its library does, and the study is complete without it
        logging.getLogger(__name__).debug("not registered", exc_info=True)
        why = str(error) if isinstance(error, ImgclsError) else first_line(error)
        sentences = (f"The model is not registered ({why.rstrip('.')}); {tracker.later}.", tracker.refusals())
        return None, " ".join(sentence for sentence in sentences if sentence)
    if first and tell:
        tell(first.sentence)
    return (replace(made, alias=CHAMPION) if first and first.promoted else made), tracker.refusals()


def track(
    study: str,
    storage: str = "./imgcls-runs",
    tracking_uri: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> Delivery:
    """Send MLflow what it has not got of a study, because it was away, and register the study's model if that is left.

    Done twice, it changes nothing.

    Args:
        study: its name.
        storage: the root that it lies under.
        tracking_uri: where to; by default where the study was to be recorded. Another one is sent all of it.
        tell: hears when MLflow does not answer at once.

    Raises:
        StorageError: there is no such study, it is running, or it began before there were such records.
        ClusterError: MLflow does not answer, or will not have the model.
        ModelError: the study's bundle, which is to be registered, is gone.
    """
    root = Storage.open(storage)
    folder = root.study(study)
    known_study(root.studies, study)
    if not (folder / OUTBOX).is_file():
        raise StorageError(f"The study '{study}' has nothing for MLflow: its search has not begun, or is an old one.")
    own = load_settings(RunSettings, folder / SETTINGS).tracking
    given = own.model_copy(update={"uri": tracking_uri} if tracking_uri else {})
    # The study's settings were written without a user.
    elsewhere = hide(resolve_uri(root.root, given.uri)) != hide(resolve_uri(root.root, own.uri))
    with sole_driver(folder), Tracker(root.root, given) as tracker:
        outbox = tracker.begin(study)
        tracker.flush(tell)
        refused = tracker.refusals()
        model = _register_left(tracker, folder, elsewhere)
        return Delivery(study, hide(tracker.uri), outbox.delivered, len(outbox.records), tracker.run_id, model, refused)


def _register_left(tracker: Tracker, folder: Path, elsewhere: bool) -> Registered | None:
    """Register the model of a study whose result says that it could not be, or that is `elsewhere`."""
    if not (folder / RESULT).is_file():
        return None
    result = json.loads((folder / RESULT).read_bytes())
    known = result["model"]
    if known["version"] is not None and not elsewhere:
        return None
    check_bundle(Path(known["bundle"]))
    accuracy = result.get("test", {}).get("accuracy")
    made, unsent = deliver(tracker, Path(known["bundle"]), known["name"], accuracy=accuracy)
    if made is None:
        raise ClusterError(unsent)
    if elsewhere:
        return made
    now = {"name": made.name, "version": made.version, "alias": made.alias, "champion": made.champion}
    write_atomic(folder / RESULT, json.dumps({**result, "model": {**known, **now}, "unsent": None}, indent=1).encode())
    return made

"""The job for every day: preprocess what is new, search on from what is known, judge what comes of it.

It calls the steps that are there, and one that was cut off is taken up by the next call; see `begun`.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imgcls_ray.config import RunSettings, UpdateSettings, load_settings
from imgcls_ray.data.earlier import read_earlier
from imgcls_ray.data.preprocess import key_of, set_folder
from imgcls_ray.errors import DataError, ModelError
from imgcls_ray.jobs.connection import cluster
from imgcls_ray.pipeline.begun import Begun, Pictures, begin, newest_finished, result_of, sole_update, unfinished
from imgcls_ray.pipeline.delivery import track
from imgcls_ray.pipeline.job import prepare, run
from imgcls_ray.pipeline.listener import RunListener
from imgcls_ray.pipeline.plan import SETTINGS, Plan, is_prepared, make_plan, place_of
from imgcls_ray.pipeline.promotion import Promotion, PromotionSettings, promote
from imgcls_ray.search.journal import JOURNAL
from imgcls_ray.search.record import FINGERPRINT, known_study, read_record
from imgcls_ray.storage import Storage, writing
from imgcls_ray.tracking import ledger
from imgcls_ray.tracking.moves import CHAMPION
from imgcls_ray.tracking.versions import Versions


@dataclass(frozen=True)
class UpdateResult:
    """What an update came to."""

    continued_from: str
    pictures: Pictures
    study: str | None = None
    """None where nothing was new."""
    run: dict[str, Any] | None = None
    """What `imgcls run --json` prints of it."""
    promotion: Promotion | None = None
    """None also where it was the champion already: the first one, or by an update that was cut off after that."""
    interrupted: bool = False
    unjudged: str | None = None
    """Why its model was not judged, in a sentence; None where it was, or is the champion already."""

    @property
    def sentence(self) -> str:
        """What happened, in a line."""
        if self.study is None or self.run is None:
            return f"Nothing is new since {self.continued_from}: {self.pictures.used} pictures, nothing was done."
        if self.interrupted:
            return f"{self.pictures}: interrupted; the same command goes on from here."
        if self.unjudged:
            return f"{self.pictures}: {self.unjudged}"
        if self.promotion is None:
            model = self.run["model"]
            return f"{self.pictures}: models:/{model['name']}/{model['version']} is the champion."
        metric = next(one for one in self.promotion.judgements if one.gate == "metric")
        return f"{self.pictures}: {self.promotion.sentence} {metric.sentence}"

    def to_json(self) -> dict[str, Any]:
        """The document that `imgcls update --json` prints."""
        return {
            "continued_from": self.continued_from,
            "pictures": asdict(self.pictures),
            "study": self.study,
            "interrupted": self.interrupted,
            "run": self.run,
            "promotion": self.promotion.to_json() if self.promotion else None,
            "unjudged": self.unjudged,
            "sentence": self.sentence,
        }


def update(settings: UpdateSettings, listener: RunListener | None = None) -> UpdateResult:
    """Bring the model of a folder of pictures up to date, if some are new, changed or gone.

    Raises:
        StorageError: there is no finished study of this data to go on from, or another update of it runs.
        Interrupted: Ctrl-C or SIGTERM before any trial had a score; the same call goes on.
        ImgclsError: as `run` and `promote`.
    """
    listener = listener or RunListener()
    if is_prepared(settings.data):
        raise DataError(f"An update looks for new pictures; {settings.data} is a preprocessed set: name the pictures.")
    storage, data = Storage.open(settings.storage), place_of(settings.data)
    last = settings.continue_from or newest_finished(storage, data)
    before = result_of(storage, last)
    with writing(storage.root), sole_update(storage, data):
        begun = unfinished(storage, data)
        cut_off = begun if begun and begun.searched else None
        judged, hindrance = None, None
        try:
            judged = _judge(storage, settings, cut_off, listener, taken_up=True) if cut_off else None
        except (DataError, ModelError) as error:  # which need not keep tonight's pictures from being learned from
            hindrance = error
            listener.step_ended(f"not judged: {error}")
        found = _searched(storage, settings, last, None if cut_off else begun, listener)
        if hindrance and found is None:
            raise hindrance
        if hindrance and cut_off and found and not found.interrupted:
            cut_off.write(done=True)  # a newer one has taken its place
    return found or judged or UpdateResult(last, Pictures(0, 0, before["images"]["used"]))


def _searched(
    storage: Storage, settings: UpdateSettings, last: str, begun: Begun | None, listener: RunListener
) -> UpdateResult | None:
    """Search on the pictures as they are now, judge what comes of it; None where they are those of the study before."""
    asked = _settings(storage, settings, last)
    plan = make_plan(asked)
    known = set(known_study(storage.studies, last).parts.get(FINGERPRINT, "").split())
    if begun is None:
        if _fingerprints(plan) == known:
            return None
        begun = begin(storage, plan.name, plan.place, last)
    with cluster(asked.address):
        sets = prepare(plan, listener)
        now = {found.index.fingerprint[:16] for found in sets.values()}
        if now == known:  # files were touched, and hold what they held
            begun.forget()
            return None
        record = read_record(begun.folder)
        if record and set(record.parts.get(FINGERPRINT, "").split()) not in (set(), now):
            begun.write(done=True)  # it was begun with other pictures than there are by now
            begun = begin(storage, plan.name, plan.place, last, instead=begun)
        result = run(_taken_up(begun, asked, settings.tracking_uri), listener)
    if result.study.interrupted:
        pictures = begun.pictures(Path(result.data))
        return UpdateResult(last, pictures, begun.folder.name, result.to_json(), interrupted=True)
    return _judge(storage, settings, begun, listener)


def _settings(storage: Storage, settings: UpdateSettings, last: str) -> RunSettings:
    """Those of the study before, with a budget of this update's own."""
    before = load_settings(RunSettings, storage.study(last) / SETTINGS)
    search: dict[str, Any] = {"trials": settings.trials, "time_budget": settings.time_budget}
    search |= {"concurrency": settings.concurrency} if settings.concurrency else {}
    tracking = {"uri": settings.tracking_uri} if settings.tracking_uri else {}
    changed = {
        "data": place_of(settings.data),
        "storage": str(storage.root),
        "study": None,
        "resume": False,
        "continue_from": last,
        "address": settings.address or before.address,
        "search": before.search.model_copy(update=search),
        "tracking": before.tracking.model_copy(update=tracking),
    }
    return before.model_copy(update=changed)


def _fingerprints(plan: Plan) -> set[str]:
    """Of the preprocessed sets, where a look at the listing tells that no file is new, changed or gone; else empty."""
    if plan.source is None:
        raise RuntimeError("an update has pictures")
    found = set()
    for size in plan.sizes.values():
        settings = plan.settings.preprocess.model_copy(update={"image_size": size})
        earlier = read_earlier(set_folder(plan.storage.data, plan.source, settings), key_of(settings))
        if earlier.index is None or not earlier.covers(plan.source):
            return set()
        found.add(earlier.index.fingerprint[:16])
    return found


def _taken_up(begun: Begun, asked: RunSettings, uri: str | None) -> RunSettings:
    """The settings of the search: those that it began with where it was cut off.

    `uri` is the tracking address that was given to this update: what was kept of an earlier one has no user in it.
    """
    if not (begun.folder / JOURNAL).exists():
        return asked.model_copy(update={"study": begun.folder.name})
    first = load_settings(RunSettings, begun.folder / SETTINGS)
    tracking = first.tracking.model_copy(update={"uri": uri} if uri else {})
    places = {"storage": asked.storage, "address": asked.address}
    return first.model_copy(update={"resume": True, "tracking": tracking, **places})


def _judge(
    storage: Storage, settings: UpdateSettings, begun: Begun, listener: RunListener, taken_up: bool = False
) -> UpdateResult:
    """Promote what the finished search registered, if the gates let it; one `taken_up`, if nothing is decided yet."""
    document = result_of(storage, begun.folder.name)
    uri = settings.tracking_uri or load_settings(RunSettings, begun.folder / SETTINGS).tracking.uri
    if document["model"]["version"] is None:  # MLflow did not answer when the search ended
        track(begun.folder.name, str(storage.root), uri, listener.study_told)
        document = result_of(storage, begun.folder.name)
    model = document["model"]
    promotion = unjudged = None
    champion = Versions(storage.root, uri).aliases(model["name"]).get(CHAMPION)
    if champion != model["version"]:
        unjudged = _decided_since(storage, model, champion) if taken_up else None
        if unjudged:
            listener.step_ended(unjudged)
        else:
            ref = f"{model['name']}/{model['version']}"
            listener.step_started("promote", f"models:/{ref} through the gates")
            promotion = promote(storage, ref, PromotionSettings(settings.gates), uri, move=settings.promote)
            listener.step_ended(promotion.sentence)
    begun.write(done=True)
    pictures = begun.pictures(Path(document["data"]))
    return UpdateResult(begun.continued_from, pictures, begun.folder.name, document, promotion, unjudged=unjudged)


def _decided_since(storage: Storage, model: dict[str, Any], champion: int | None) -> str | None:
    """What has been decided since a model was registered, and its promotion might undo; None where nothing has.

    `model` is that of the study's result, `champion` the version of now.
    """
    own, ref = model["version"], f"{model['name']}/{model['version']}"
    actions = [entry.action for entry in ledger.read(storage.root, model["name"]) if entry.version == own]
    if actions:
        what = "refused" if actions[-1] == "refuse" else "promoted"
        return (
            f"models:/{ref} is not judged again: it was {what} before; `imgcls promote {ref}` judges it all the same."
        )
    # Results of before do not say which version was the champion when they were registered.
    if champion != model.get("champion", champion) or (champion or 0) > own:
        since = f"version {champion} became the champion" if champion else "the champion was taken away"
        return f"models:/{ref} is not judged: since it was registered {since}; `imgcls promote {ref}` judges it."
    return None

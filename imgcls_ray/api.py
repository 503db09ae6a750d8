"""For Python users: the steps as functions.

from imgcls_ray import api

result = api.run(api.RunSettings(data="pictures", storage="runs"))
model = api.load_model("models:/pictures@champion", storage="runs")
print(api.classify(model, ["rose.jpg"])[0].predictions[0])
print(api.evaluate(model, "more-pictures").metrics.accuracy)
"""

from imgcls_ray.bundle.bundle import Bundle, load_bundle
from imgcls_ray.client import Client
from imgcls_ray.config import (
    GateSettings,
    PreprocessSettings,
    RunSettings,
    SearchSettings,
    SourceSettings,
    TrackingSettings,
    UpdateSettings,
    load_settings,
)
from imgcls_ray.data.adopting import Adopted, adopt
from imgcls_ray.data.arrange.settings import ArrangeSettings
from imgcls_ray.data.augmentation.settings import AugmentSettings
from imgcls_ray.pipeline.delivery import Delivery, track
from imgcls_ray.pipeline.fitting import FitResult, fit
from imgcls_ray.pipeline.ingestion import Ingested
from imgcls_ray.pipeline.ingestion import ingest as preprocess
from imgcls_ray.pipeline.job import run, search
from imgcls_ray.pipeline.layouts import split, split_and_augment
from imgcls_ray.pipeline.listener import RunListener
from imgcls_ray.pipeline.promotion import Promotion, PromotionSettings
from imgcls_ray.pipeline.promotion import promote as promote_in
from imgcls_ray.pipeline.result import RunResult
from imgcls_ray.pipeline.update import UpdateResult, update
from imgcls_ray.storage import Storage
from imgcls_ray.tracking.ledger import Entry
from imgcls_ray.tracking.registry import resolve
from imgcls_ray.tracking.versions import Versions
from imgcls_ray.use.answer import Answer
from imgcls_ray.use.answers import Evaluation, classify, evaluate, write_report

__all__ = [
    "Adopted",
    "Answer",
    "ArrangeSettings",
    "AugmentSettings",
    "Bundle",
    "Client",
    "Delivery",
    "Evaluation",
    "FitResult",
    "GateSettings",
    "Ingested",
    "PreprocessSettings",
    "Promotion",
    "PromotionSettings",
    "RunListener",
    "RunResult",
    "RunSettings",
    "SearchSettings",
    "SourceSettings",
    "TrackingSettings",
    "UpdateResult",
    "UpdateSettings",
    "adopt",
    "classify",
    "evaluate",
    "fit",
    "load_model",
    "load_settings",
    "preprocess",
    "promote",
    "rollback",
    "run",
    "search",
    "split",
    "split_and_augment",
    "track",
    "update",
    "write_report",
]


def load_model(model: str, storage: str = "./imgcls-runs", tracking_uri: str | None = None) -> Bundle:
    """Load a bundle by its folder, or a registered model by `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        ModelError: there is no such model, or its checks fail.
    """
    return load_bundle(resolve(model, Storage.at(storage).root, tracking_uri))


def promote(
    version: str | None = None,
    storage: str = "./imgcls-runs",
    settings: PromotionSettings = PromotionSettings(),  # noqa: B008 - it can't be changed
    tracking_uri: str | None = None,
) -> Promotion:
    """Make a version the champion if it passes the gates: `NAME`, `NAME/VERSION`, or None for the one candidate.

    Raises:
        InputError: there is no such version, or it can't be compared with the champion.
    """
    return promote_in(Storage.at(storage), version, settings, tracking_uri)


def rollback(model: str, reason: str = "", storage: str = "./imgcls-runs", tracking_uri: str | None = None) -> Entry:
    """Let champion and previous of a model change places; returns the line of the log.

    Raises:
        ModelError: there is no such model, or nothing to go back to.
    """
    return Versions(Storage.at(storage).root, tracking_uri).rollback(model, reason)

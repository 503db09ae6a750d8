"""For Python users: the steps as functions.

from imgcls_ray import api

result = api.run(api.RunSettings(data="pictures", storage="runs"))
model = api.load_model("models:/pictures@champion", storage="runs")
print(api.classify(model, ["rose.jpg"])[0].predictions[0])
print(api.evaluate(model, "more-pictures").metrics.accuracy)
"""

from pathlib import Path

from imgcls_ray.answers import Answer, Evaluation, classify, evaluate, write_report
from imgcls_ray.bundle.bundle import Bundle, load_bundle
from imgcls_ray.config import (
    PreprocessSettings,
    RunSettings,
    SearchSettings,
    SourceSettings,
    TrackingSettings,
    load_settings,
)
from imgcls_ray.delivery import Delivery, track
from imgcls_ray.fitting import FitResult, fit
from imgcls_ray.ingestion import Ingested
from imgcls_ray.ingestion import ingest as preprocess
from imgcls_ray.layouts import split, split_and_augment
from imgcls_ray.listener import RunListener
from imgcls_ray.pipeline import run, search
from imgcls_ray.result import RunResult
from imgcls_ray.tracking.registry import resolve

__all__ = [
    "Answer",
    "Bundle",
    "Delivery",
    "Evaluation",
    "FitResult",
    "Ingested",
    "PreprocessSettings",
    "RunListener",
    "RunResult",
    "RunSettings",
    "SearchSettings",
    "SourceSettings",
    "TrackingSettings",
    "classify",
    "evaluate",
    "fit",
    "load_model",
    "load_settings",
    "preprocess",
    "run",
    "search",
    "split",
    "split_and_augment",
    "track",
    "write_report",
]


def load_model(model: str, storage: str = "./imgcls-runs", tracking_uri: str | None = None) -> Bundle:
    """Load a bundle by its folder, or a registered model by `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        ModelError: there is no such model, or its checks fail.
    """
    return load_bundle(resolve(model, Path(storage), tracking_uri))

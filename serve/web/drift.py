"""The route that tells whether pictures have changed: GET /drift."""

from fastapi import APIRouter

from serve.model.predictor import Predictor
from serve.record.drift import LEAST, Drift, compared
from serve.web.schemas import DriftDistance, DriftReport, LabelShare, Which


def drift_router(predictor: Predictor, drift: Drift) -> APIRouter:
    """The route, for the version that answers."""
    router = APIRouter()

    @router.get(
        "/drift",
        operation_id="drift",
        summary="Are the pictures of now like those that the model was tested on?",
        response_description="The newest pictures that this replica answered, against the bundle's statistics.",
    )
    async def report() -> DriftReport:
        return _report(predictor, drift)

    return router


def _report(predictor: Predictor, drift: Drift) -> DriftReport:
    served = predictor.served
    reference, window = served.bundle.reference, drift.window(served)
    pictures = window.pictures if window else 0
    found = compared(window) if window else {}
    told = DriftReport(
        model=Which(name=served.name, version=served.version),
        state="no_reference" if reference is None else "too_few",
        pictures=pictures,
        window=drift.size,
        least=LEAST,
        since=window.since if window else None,
        reference_pictures=reference.pictures if reference else None,
        distances={
            kind: DriftDistance(distance=one.distance, limit=one.limit, drifted=one.drifted)
            for kind, one in found.items()
        },
        labels={},
    )
    if reference:
        now = window.labels / max(pictures, 1) if window else [None] * len(served.labels)
        told.labels = {
            name: LabelShare(now=share, reference=count / reference.pictures)
            for name, share, count in zip(served.labels, now, reference.labels, strict=True)
        }
    if found:
        told.state = "drift" if any(one.drifted for one in found.values()) else "steady"
    return told

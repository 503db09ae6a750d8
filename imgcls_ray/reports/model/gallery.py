"""The pictures on a model's page, and what the network looks at in them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcls_ray.errors import ModelError
from imgcls_ray.reports.model.album import Album, Opened
from imgcls_ray.reports.model.report import Judged, ModelReport
from imgcls_ray.reports.thumbnails import Thumbnail, as_png, encoded, shrunk

if TYPE_CHECKING:
    import keras

    from imgcls_ray.explain.gradcam import GradCam

MISTAKES = 12
DOUBTS = 6
"""Pictures with a doubtful label that are shown beside those that are among the mistakes already."""
FILTERS, COLUMNS = 64, 16
MAP_SIDE = 72
"""Of the longer side of a shown feature map, in pixels."""
MAX_SECONDS = 8.0
"""After which no further heat maps are begun: a large network on a slow machine has fewer of them."""
_BATCH = 8


@dataclass(frozen=True)
class Look:
    """One picture, and where the network finds its answer and the label in it."""

    judged: Judged
    picture: Thumbnail
    for_answer: Thumbnail | None
    for_label: Thumbnail | None
    """None where the answer is the label, or time was over."""


@dataclass(frozen=True)
class Layer:
    """Some maps of one layer."""

    name: str
    side: tuple[int, int]
    of: int
    """Maps that the layer has."""
    maps: tuple[Thumbnail, ...]


@dataclass(frozen=True)
class Gallery:
    """Everything on the page that is a picture."""

    mistakes: tuple[Look, ...] = ()
    doubts: tuple[Look, ...] = ()
    rights: tuple[Look, ...] = ()
    filters: Thumbnail | None = None
    number_of_filters: int = 0
    stages: tuple[tuple[Look, tuple[Layer, ...]], ...] = ()
    unexplained: str = ""
    """Why nothing is explained, where that is so."""


def gallery(report: ModelReport, album: Album, model: "keras.Model | None") -> Gallery:
    """Open the pictures that the page shows, and explain them.

    Args:
        report: which they are.
        album: opens them.
        model: the network; without it nothing is explained.
    """
    mistakes = report.mistakes[:MISTAKES]
    shown = {one.key for one in mistakes}
    doubts = [one for one in report.doubts if one.key not in shown][:DOUBTS]
    opened = album.open([one.key for one in (*mistakes, *doubts, *report.rights)])
    explained, reason = _explainer(model)
    heats = _heats(report, opened, (*mistakes, *report.rights, *doubts), explained) if explained else {}

    def looks(found: Iterable[Judged]) -> tuple[Look, ...]:
        return tuple(_look(one, opened[one.key], heats) for one in found if one.key in opened)

    made = Gallery(looks(mistakes), looks(doubts), looks(report.rights), unexplained=reason)
    if model is None or not explained:
        return made
    from imgcls_ray.explain.filters import as_picture, first_filters

    filters = first_filters(model)
    chosen = [looks[0] for looks in (made.rights, made.mistakes) if looks]
    return replace(
        made,
        filters=as_png(_sheet(as_picture(filters[:FILTERS]))),
        number_of_filters=len(filters),
        stages=_stages(chosen, opened, model) if chosen else (),
    )


def _explainer(model: "keras.Model | None") -> "tuple[GradCam | None, str]":
    """What makes heat maps of the network, or why there are none."""
    from imgcls_ray.explain.gradcam import GradCam

    if model is None:
        return None, "The network itself is not at hand."
    try:
        return GradCam(model, traced=False), ""
    except ModelError as error:
        return None, str(error)


Heats = dict[tuple[str, str], np.ndarray]
"""(key, class) -> (H, W)."""


def _heats(report: ModelReport, opened: dict[str, Opened], wanted: Sequence[Judged], explained: "GradCam") -> Heats:
    place = {one.name: number for number, one in enumerate(report.classes)}
    # What was answered first of all, for each picture; then what it should have been.
    pairs = [(one.key, one.answer) for one in wanted] + [(one.key, one.label) for one in wanted]
    pairs = [pair for pair in dict.fromkeys(pairs) if pair[0] in opened]
    heats: Heats = {}
    end = time.monotonic() + MAX_SECONDS
    for start in range(0, len(pairs), _BATCH):
        if start and time.monotonic() > end:
            break
        part = pairs[start : start + _BATCH]
        images = np.stack([opened[key].network for key, _ in part])
        classes = np.array([place[name] for _, name in part])
        heats |= dict(zip(part, explained.heat_map(images, classes), strict=True))
    return heats


def _look(judged: Judged, opened: Opened, heats: Heats) -> Look:
    from imgcls_ray.explain.overlay import overlay

    def laid(name: str) -> Thumbnail | None:
        heat = heats.get((judged.key, name))
        if heat is None:
            return None
        return encoded(overlay(opened.shown[None], opened.framed(heat)[None])[0])

    other = laid(judged.label) if judged.label != judged.answer else None
    return Look(judged, encoded(opened.shown), laid(judged.answer), other)


def _stages(
    chosen: Sequence[Look], opened: dict[str, Opened], model: "keras.Model"
) -> tuple[tuple[Look, tuple[Layer, ...]], ...]:
    from imgcls_ray.explain.features import feature_maps
    from imgcls_ray.explain.overlay import coloured

    stages = feature_maps(model, np.stack([opened[look.judged.key].network for look in chosen]))

    def layer(stage: Any, number: int) -> Layer:
        found = [coloured(one) for one in stage.maps[number]]
        small = [shrunk(one, MAP_SIDE) if max(one.shape[:2]) > MAP_SIDE else one for one in found]
        return Layer(stage.layer, stage.maps.shape[2:], stage.of, tuple(map(as_png, small)))

    return tuple((look, tuple(layer(stage, number) for stage in stages)) for number, look in enumerate(chosen))


def _sheet(pictures: np.ndarray) -> np.ndarray:
    """Small pictures (k, h, w, C) in rows, with nothing (transparent) between them: (rows, columns, 4)."""
    number, height, width = pictures.shape[:3]
    columns = min(COLUMNS, number)
    rows = -(-number // columns)
    sheet = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, 4), np.uint8)
    for place, picture in enumerate(pictures):
        top, left = (place // columns) * (height + 1), (place % columns) * (width + 1)
        sheet[top : top + height, left : left + width, :3] = picture
        sheet[top : top + height, left : left + width, 3] = 255
    return sheet

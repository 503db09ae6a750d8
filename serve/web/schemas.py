"""The JSON that the service answers with."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from serve.model.predictor import Predictor
from serve.model.served import Arm, Served


class Prediction(BaseModel):
    """One class and how likely it is."""

    label: str = Field(description="Name of the class.")
    probability: float = Field(ge=0, le=1, description="All classes of one picture add up to 1.")


class Which(BaseModel):
    """The model that answered."""

    name: str = Field(description="The name in the bundle's card.")
    version: str | None = Field(description="In the registry; null for a bundle that was given by its folder.")


class _Answered(BaseModel):
    model: Which
    request_id: str = Field(description="As in the header X-Request-ID, which a client may send.")


class Classified(_Answered):
    """The answer for one picture: the classes of the model, highest probability first."""

    predictions: list[Prediction]
    decision: Literal["sure", "unsure"] = Field(
        description="unsure: the highest probability is below the one from which on the model's answers are trusted."
    )
    success: Literal[True] = True

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "predictions": [
                        {"label": "daisy", "probability": 0.9312},
                        {"label": "rose", "probability": 0.0688},
                    ],
                    "decision": "sure",
                    "success": True,
                    "model": {"name": "flowers", "version": "3"},
                    "request_id": "5f0c5a0e6d3b4d3c9d9c1a54c1b6c1a9",
                }
            ]
        }
    )


class Result(BaseModel):
    """Of one picture among several: its classes, or why it has none."""

    predictions: list[Prediction] | None = None
    decision: Literal["sure", "unsure"] | None = None
    success: bool
    error: str | None = None


class ManyClassified(_Answered):
    """The answer to several pictures, in their order."""

    results: list[Result]
    success: bool = Field(description="Whether each picture has an answer.")


class Instance(BaseModel):
    """Of one instance, as cloud services answer."""

    key: str | None = Field(description="That of the instance.")
    prediction: int | None = Field(description="Number of the class in the order of /labels.")
    scores: list[float] | None = Field(description="The probability of each class, in the order of /labels.")
    error: str | None = None


class Instances(_Answered):
    """The answer to `{"instances": [...]}`, in their order."""

    predictions: list[Instance]


class HeatMap(BaseModel):
    """Which places of a picture speak for a class."""

    label: str = Field(description="The class that was asked about, or the answer.")
    probability: float = Field(description="That of this class.")
    decision: Literal["sure", "unsure"] = Field(description="Of the answer.")
    heat_map: list[list[float]] = Field(
        description="0 to 1, row by row over the picture as the model sees it; at most 28 to a side."
    )
    success: Literal[True] = True
    request_id: str


class Labels(BaseModel):
    """The classes of the model, in the order of scores."""

    labels: list[str]


class Refused(BaseModel):
    """The answer to every request that can't be served."""

    success: Literal[False] = False
    error: str = Field(description="One sentence: what is wrong and how to mend it.")
    request_id: str

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "success": False,
                    "error": "The form has no file in the field 'img'; send a picture there.",
                    "request_id": "5f0c5a0e6d3b4d3c9d9c1a54c1b6c1a9",
                }
            ]
        }
    )


class Live(BaseModel):
    """The process answers."""

    live: Literal[True] = True


class ModelInfo(Which):
    """The model that answers."""

    labels: int = Field(description="Number of classes.")
    height: int = Field(description="Pixels; every picture is resized to this height.")
    width: int = Field(description="Pixels; every picture is resized to this width.")
    colorspace: str = Field(description="color or grayscale.")

    @classmethod
    def of(cls, served: Served) -> "ModelInfo":
        """What is told of a model."""
        pixels = served.bundle.pixels
        return cls(
            name=served.name,
            version=served.version,
            labels=len(served.labels),
            height=pixels.height,
            width=pixels.width,
            colorspace=pixels.colorspace,
        )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "flowers",
                    "version": "3",
                    "labels": 5,
                    "height": 224,
                    "width": 224,
                    "colorspace": "color",
                }
            ]
        }
    )


class ModelsInfo(ModelInfo):
    """The champion, and what is in the other arms."""

    canary: Which | None = Field(default=None, description="Answers a share of the requests, once it is loaded.")
    canary_weight: float = Field(default=0.0, description="That share.")
    shadow: Which | None = Field(default=None, description="Is asked too, unheard.")

    @classmethod
    def within(cls, predictor: Predictor) -> "ModelsInfo":
        """What is told of the models of a replica."""
        traffic, shadow = predictor.traffic, predictor.shadow
        return cls(
            **ModelInfo.of(predictor.served).model_dump(),
            canary=_which(traffic.canary),
            canary_weight=traffic.weight,
            shadow=_which(shadow.arm if shadow else None),
        )


def _which(arm: Arm | None) -> Which | None:
    served = arm.served if arm else None
    return Which(name=served.name, version=served.version) if served else None


class Ready(BaseModel):
    """A model is loaded and warmed up."""

    ready: Literal[True] = True
    model: ModelInfo


class DriftDistance(BaseModel):
    """How far the pictures of now lie from the held-out ones."""

    distance: float = Field(
        ge=0,
        description="labels, confidence: total variation, 0 to 1. embedding: Fréchet distance, in spreads of the "
        "held-out pictures.",
    )
    limit: float = Field(ge=0, description="What 1 of 1000 windows of as many held-out pictures exceeds by chance.")
    drifted: bool = Field(description="Whether the distance is above the limit.")


class LabelShare(BaseModel):
    """How often a class is the answer."""

    now: float | None = Field(description="Share of the window; null while it is empty.")
    reference: float = Field(description="Share of the held-out pictures.")


class DriftReport(BaseModel):
    """The newest pictures that this replica answered, against what the model made of held-out ones."""

    model: Which
    state: Literal["steady", "drift", "too_few", "no_reference"] = Field(
        description="too_few: the window holds fewer than `least`. no_reference: the bundle has no statistics."
    )
    pictures: int = Field(description="In the window, answered by this replica and this version of the model.")
    window: int = Field(description="Pictures that it holds at the most; the oldest leave.")
    least: int = Field(description="Pictures below which nothing is said.")
    since: datetime | None = Field(description="When the oldest of them was answered.")
    reference_pictures: int | None = Field(description="Held-out pictures behind the statistics.")
    distances: dict[str, DriftDistance] = Field(description="Of labels, confidence and embedding.")
    labels: dict[str, LabelShare]

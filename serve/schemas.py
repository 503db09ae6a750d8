"""The JSON that the service answers with."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Prediction(BaseModel):
    """One class and how likely it is."""

    label: str = Field(description="Name of the class.")
    probability: float = Field(ge=0, le=1, description="All classes of one picture add up to 1.")


class Classified(BaseModel):
    """The answer for one picture: every class of the model, highest probability first."""

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
                }
            ]
        }
    )


class Refused(BaseModel):
    """The answer to every request that can't be served."""

    success: Literal[False] = False
    error: str = Field(description="One sentence: what is wrong and how to mend it.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"success": False, "error": "The form has no file in the field 'img'; send one picture there."}
            ]
        }
    )


class Live(BaseModel):
    """The process answers."""

    live: Literal[True] = True


class ModelInfo(BaseModel):
    """The model that answers."""

    name: str = Field(description="The name in the bundle's card.")
    labels: int = Field(description="Number of classes.")
    height: int = Field(description="Pixels; every picture is resized to this height.")
    width: int = Field(description="Pixels; every picture is resized to this width.")
    colorspace: str = Field(description="color or grayscale.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "flowers", "labels": 5, "height": 224, "width": 224, "colorspace": "color"}]
        }
    )


class Ready(BaseModel):
    """A model is loaded and warmed up."""

    ready: Literal[True] = True
    model: ModelInfo

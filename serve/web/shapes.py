"""A request's answers as JSON: one picture, several, or instances as cloud services have them."""

from collections.abc import Sequence
from typing import Any

from imgcls_ray.errors import ImgclsError
from serve.model.answer import Answer
from serve.web.asked import Asked


def shaped(asked: Asked, answers: Sequence[Answer | ImgclsError], top: int | None) -> dict[str, Any]:
    """The answer in the shape that was asked for, with the `top` likeliest classes, or all.

    Raises:
        ImgclsError: that of the only picture, where a single one was asked for.
    """
    if asked.shape == "instances":
        pairs = zip(asked.keys, answers, strict=True)
        return {"predictions": [_instance(key, answer) for key, answer in pairs]}
    if asked.shape == "many":
        results = [_result(answer, top) for answer in answers]
        return {"results": results, "success": all(result["success"] for result in results)}
    [answer] = answers
    if isinstance(answer, ImgclsError):
        raise answer
    return _result(answer, top)


def _result(answer: Answer | ImgclsError, top: int | None) -> dict[str, Any]:
    if isinstance(answer, ImgclsError):
        return {"success": False, "error": str(answer)}
    return {"predictions": answer.ranked(top), "decision": answer.decision, "success": True}


def _instance(key: str | None, answer: Answer | ImgclsError) -> dict[str, Any]:
    if isinstance(answer, ImgclsError):
        return {"key": key, "prediction": None, "scores": None, "error": str(answer)}
    return {"key": key, "prediction": answer.best, "scores": answer.scores()}

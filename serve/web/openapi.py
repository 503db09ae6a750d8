"""What the OpenAPI page tells beyond the answers' models: bodies, examples, refusals."""

from typing import Any

from serve.web.schemas import Classified, Instances, ManyClassified, Refused
from serve.web.upload import FIELD

_PICTURE = {"type": "string", "format": "binary", "description": "A picture: JPEG, PNG, TIFF, BMP, GIF or WebP."}
_TINY = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGOoiLIBAAJcAQ9kOM3dAAAAAElFTkSuQmCC"
"""A picture of one pixel, so that the examples work as they are."""
_BASE64 = {"type": "string", "description": "A picture's file in base64."}

BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {FIELD: {"type": "array", "minItems": 1, "items": _PICTURE}},
            },
            "encoding": {FIELD: {"contentType": "image/jpeg, image/png, image/tiff, application/octet-stream"}},
        },
        "image/*": {"schema": _PICTURE},
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "image": _BASE64,
                    "images": {"type": "array", "minItems": 1, "items": _BASE64},
                    "url": {
                        "type": "string",
                        "description": "The https address of a picture, where the service was started to take one.",
                    },
                    "instances": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["image_bytes"],
                            "properties": {
                                "key": {"type": "string"},
                                "image_bytes": {
                                    "type": "object",
                                    "required": ["b64"],
                                    "properties": {"b64": _BASE64},
                                },
                            },
                        },
                    },
                },
            },
            "examples": {
                "one": {"summary": "One picture", "value": {"image": _TINY}},
                "several": {"summary": "Several pictures", "value": {"images": [_TINY, _TINY]}},
                "instances": {
                    "summary": "As cloud services have it",
                    "value": {"instances": [{"key": "a", "image_bytes": {"b64": _TINY}}]},
                },
            },
        },
    },
}

TOP_K: dict[str, Any] = {
    "name": "top_k",
    "in": "query",
    "required": False,
    "description": "Classes to name; all by default.",
    "schema": {"type": "integer", "minimum": 1},
}

TENSORS: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": "string"},
                    "inputs": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["name", "datatype", "shape", "data"],
                            "properties": {
                                "name": {"const": "image"},
                                "datatype": {"const": "BYTES"},
                                "shape": {"type": "array", "items": {"type": "integer"}},
                                "data": {"type": "array", "minItems": 1, "items": _BASE64},
                            },
                        },
                    },
                },
            },
            "examples": {
                "one": {
                    "summary": "One picture",
                    "value": {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [_TINY]}]},
                },
            },
        },
    },
}

BY_URL = {
    "_502": "The server of the picture's 'url' gave no picture.",
    "_504": "It did not give it in time.",
}
"""Further reasons of `refusals`, where a picture may be named by its address."""

ANSWERS = Classified | ManyClassified | Instances


def refusals(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """Of a route, by `_STATUS`."""
    return {int(name[1:]): {"model": Refused, "description": reason} for name, reason in reasons.items()}

"""Reading pictures out of a JSON body: `image`, `images`, or `instances` as cloud services have them."""

import base64
import binascii
import json
from typing import Any

from serve.errors import RequestRefused

SHAPES = '{"image": BASE64}, {"images": [BASE64, ...]} or {"instances": [{"key": ..., "image_bytes": {"b64": BASE64}}]}'

MOST = 1_000
"""Pictures above which no service looks at a list: what `ServeSettings.max_pictures` may be at the most."""


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object in a request's body.

    Raises:
        RequestRefused: 400, it is none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RequestRefused(400, f"The body is no JSON: {reason[:200].rstrip('.')}.") from error
    if not isinstance(document, dict):
        raise RequestRefused(400, f"The body is a JSON object; received {kind_of(document)}.")
    return document


def decoded(text: Any, place: str) -> bytes:
    """The bytes of a picture in base64; a data URL's head is left out.

    Raises:
        RequestRefused: 422, naming `place`.
    """
    if not isinstance(text, str):
        raise RequestRefused(422, f"'{place}' is a picture in base64, a string; received {kind_of(text)}.")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestRefused(422, f"'{place}' is no base64: {str(error).rstrip('.')}.") from error


def listed(value: Any, place: str) -> list[Any]:
    """A list with something in it.

    Raises:
        RequestRefused: 422.
    """
    if not isinstance(value, list) or not value:
        received = "an empty list" if value == [] else kind_of(value)
        raise RequestRefused(422, f"'{place}' is a list with at least one picture; received {received}.")
    if len(value) > MOST:  # told before they are decoded, while other requests wait
        raise RequestRefused(422, f"'{place}' is a list with at most {MOST} pictures; received {len(value)}.")
    return value


def instance(value: Any, number: int) -> tuple[str | None, bytes]:
    """Key and picture of an instance: `{"key", "image_bytes": {"b64"}}`, or `{"b64"}` alone.

    Raises:
        RequestRefused: 422.
    """
    place = f"instances[{number}]"
    if not isinstance(value, dict):
        raise RequestRefused(422, f"'{place}' is an object with 'image_bytes'; received {kind_of(value)}.")
    key, picture = value.get("key"), value.get("image_bytes", value)
    if not isinstance(picture, dict) or "b64" not in picture:
        raise RequestRefused(422, f'\'{place}\' has no picture; write {{"image_bytes": {{"b64": BASE64}}}}.')
    return None if key is None else _key(key, place), decoded(picture["b64"], f"{place}.image_bytes.b64")


def _key(value: Any, place: str) -> str:
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:  # half a character can be written in JSON (\ud800) and not be sent back
        raise RequestRefused(422, f"'{place}.key' is text that UTF-8 can hold; received {text!r:.60}.") from error
    return text


def kind_of(value: Any) -> str:
    """What JSON calls a value, for a sentence."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")

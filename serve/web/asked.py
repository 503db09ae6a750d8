"""What a request to classify asks for, whichever form its body has."""

from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Request

from serve.errors import RequestRefused
from serve.web import document
from serve.web.fetching import Fetching
from serve.web.upload import FIELD, read_form

_FORMS = (
    f"a form (multipart/form-data) with the field '{FIELD}', a picture itself (image/jpeg, image/png, ..., "
    "application/octet-stream) or JSON (application/json)"
)


@dataclass(frozen=True)
class Asked:
    """The pictures of a request, and the shape in which it wants the answer."""

    pictures: list[bytes]
    shape: Literal["one", "many", "instances"] = "one"
    keys: tuple[str | None, ...] = ()
    """Of instances, one for each picture."""


def read_top(request: Request) -> int | None:
    """How many classes the answer is to name: the parameter `top_k`; None is all.

    Raises:
        RequestRefused: 422 it is no whole number, or below 1.
    """
    given = request.query_params.get("top_k")
    if given is None:
        return None
    # int() takes ' 1_0' and digits of any script too, and raises for thousands of them.
    if not given.isascii() or not given.isdecimal() or not given.strip("0"):
        raise RequestRefused(422, f"The parameter 'top_k' is a whole number from 1 on; received {given[:20]!r}.")
    return int(given.lstrip("0")[:9])  # above any number of classes


async def read_asked(request: Request, fetching: Fetching | None) -> Asked:
    """The pictures of a request, at least one; `fetching` gets the one that is named by its address, if that may be.

    Raises:
        RequestRefused: 400 not parseable, 413 too many bytes, 415 another kind of body, 422 no picture; those of
            `Fetching.picture`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise RequestRefused(415, f"A body is sent as it is, not compressed; received content-encoding {encoding!r}.")
    if kind == "multipart/form-data":
        pictures = await read_form(request)
        asked = Asked(pictures, "one" if len(pictures) == 1 else "many")
    elif kind == "application/json":
        body = document.parsed(await request.body())
        asked = await _fetched(body["url"], fetching) if "url" in body else _of_document(body)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        asked = Asked([await request.body()])
    else:
        received = f"'{kind[:80]}'" if kind else "no content type"
        raise RequestRefused(415, f"A request is {_FORMS}; received {received}.")
    return asked


async def _fetched(url: Any, fetching: Fetching | None) -> Asked:
    if fetching is None:
        raise RequestRefused(
            422, "This service takes no 'url'; send the picture itself, or start the service with --allow-urls."
        )
    if not isinstance(url, str):
        raise RequestRefused(422, f"'url' is the address of a picture, a string; received {document.kind_of(url)}.")
    return Asked([await fetching.picture(url)])


def _of_document(body: dict[str, Any]) -> Asked:
    if "instances" in body:
        read = [document.instance(one, n) for n, one in enumerate(document.listed(body["instances"], "instances"))]
        return Asked([picture for _, picture in read], "instances", tuple(key for key, _ in read))
    if "images" in body:
        images = document.listed(body["images"], "images")
        return Asked([document.decoded(text, f"images[{n}]") for n, text in enumerate(images)], "many")
    if "image" in body:
        return Asked([document.decoded(body["image"], "image")])
    raise RequestRefused(422, f"The JSON has no picture; write {document.SHAPES}.")

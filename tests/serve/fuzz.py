"""Requests that nobody should send, the same for each seed: bodies, headers, queries and paths."""

import base64
import json
import random
import struct
from dataclasses import dataclass, field
from typing import Any

from tests.data.hostile import encode, noise

PATHS = ("/classify", "/explain", "/v2/models/brightness/infer", "/v2/models/brightness/versions/3/infer")
QUERIES = (
    "",
    "",
    "",
    "?top_k=1",
    "?top_k=0",
    "?top_k=9" + "9" * 50,
    "?top_k=-1",
    "?top_k=%ff",
    "?top_k=1&top_k=x",
    "?=",
)
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e308, 10**40, "", "a", "\ud800", "\0", "ä" * 50, "data:", "data:,", [], {}, [[]], [{}],
    {"b64": 1}, {"b64": ""}, {"image_bytes": None}, float("nan"), float("inf"), "x" * 5000,
)  # fmt: skip


@dataclass(frozen=True)
class Odd:
    """A request."""

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def odd_request(seed: int) -> Odd:
    """The request of this seed."""
    draw = random.Random(seed)
    make = draw.choice((_form, _form, _raw, _document, _document, _tensors, _tensors, _garbage))
    body, headers = make(draw)
    if draw.random() < 0.05:
        headers |= {"Content-Encoding": draw.choice(("gzip", "identity", "br", "\x7f"))}
    if draw.random() < 0.1:
        headers |= {"X-Request-ID": draw.choice(("a", "a" * 500, "\x01", "é", "../.."))}
    return Odd(draw.choice(PATHS) + draw.choice(QUERIES), body, headers)


def _maybe(draw: random.Random, good: Any) -> Any:
    """Mostly what it ought to be: a request with one flaw gets further than one with many."""
    return draw.choice(ODD) if draw.random() < 0.12 else good


def _picture(draw: random.Random) -> bytes:
    """A small picture of any kind, as it is, cut, or with some bytes changed."""
    kind = draw.choice(("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"))
    data = bytearray(encode(noise(12, 16), kind))
    what = draw.randrange(6)
    if what == 1:
        del data[draw.randrange(len(data)) :]
    if 2 <= what <= 3:
        for _ in range(draw.choice((1, 3, 30))):
            data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def _mutated(draw: random.Random, data: bytes) -> bytes:
    if draw.random() < 0.8 or not data:
        return data
    at, many = draw.randrange(len(data)), draw.randrange(8)
    return data[:at] + draw.randbytes(many) + data[at + draw.randrange(8) :]


def _form(draw: random.Random) -> tuple[bytes, dict[str, str]]:
    boundary = draw.choice(("b", "b" * 70, "--", "b c", '"b"'))
    parts = b""
    for _ in range(draw.randrange(6)):
        name = draw.choice(('name="img"', 'name="img"', 'name="image"', "", "name=", 'name="\xff"', "name*=utf-8''img"))
        file = draw.choice(('; filename="a.jpg"', "", '; filename=""', "; filename*=utf-8''%ff", '; filename="../a"'))
        kind = draw.choice(("image/jpeg", "text/plain; charset=nothing", "", "\x00"))
        head = f"Content-Disposition: form-data; {name}{file}\r\nContent-Type: {kind}\r\n\r\n"
        parts += f"--{boundary}\r\n{head}".encode("latin-1") + _picture(draw) + b"\r\n"
    body = _mutated(draw, parts + f"--{boundary}--\r\n".encode())
    kind = draw.choice(
        ("multipart/form-data; boundary=", "multipart/form-data", "multipart/form-data; charset=x; boundary=")
    )
    return body, {"Content-Type": kind + (boundary if kind.endswith("=") else "")}


def _raw(draw: random.Random) -> tuple[bytes, dict[str, str]]:
    kind = draw.choice(("image/jpeg", "image/", "application/octet-stream", "text/html", "", "image/png; a=b", "\t"))
    return _picture(draw), {"Content-Type": kind}


def _garbage(draw: random.Random) -> tuple[bytes, dict[str, str]]:
    kind = draw.choice(("multipart/form-data; boundary=b", "application/json", "image/jpeg"))
    return draw.randbytes(draw.choice((0, 1, 10, 1000))), {"Content-Type": kind}


def _b64(draw: random.Random) -> Any:
    text = base64.b64encode(_picture(draw)).decode()
    return _maybe(draw, draw.choice((text, text, text, "data:image/png;base64," + text, text[:-1], text + "=")))


def _written(draw: random.Random, document: Any) -> bytes:
    """As JSON, mostly; with names twice, too deep, or in another encoding."""
    text = json.dumps(document)
    match draw.randrange(30):
        case 0:
            return b"[" * 100_000
        case 1:
            return text.encode("utf-16")
        case 2:
            return text.replace("{", '{"image": 1, "image": 2, ', 1).encode()
        case 3:
            return (text[:-1] + "0" * 5000).encode()
        case 4:
            return b"\xef\xbb\xbf" + text.encode()
        case _:
            return _mutated(draw, text.encode())


def _document(draw: random.Random) -> tuple[bytes, dict[str, str]]:
    instances = [
        _maybe(draw, draw.choice(({"b64": _b64(draw)}, {"key": draw.choice(ODD), "image_bytes": {"b64": _b64(draw)}})))
        for _ in range(draw.choice((1, 1, 2, 5)))
    ]
    document = draw.choice(
        (
            {"image": _b64(draw)},
            {"images": _maybe(draw, [_b64(draw) for _ in range(draw.randrange(6))])},
            {"instances": _maybe(draw, instances)},
            {"instances": _maybe(draw, instances)},
            {"url": _maybe(draw, "https://127.0.0.1/a")},
        )
    )
    kind = draw.choice(("application/json", "application/json; charset=x"))
    return _written(draw, _maybe(draw, document)), {"Content-Type": kind}


def _tensors(draw: random.Random) -> tuple[bytes, dict[str, str]]:
    """A request of the Open Inference Protocol, in JSON or binary, with sizes and names that need not fit."""
    pictures, as_bytes = [_picture(draw) for _ in range(draw.choice((0, 1, 1, 2)))], draw.random() < 0.5
    sizes = [draw.choice((len(one), len(one), len(one), 2**32 - 1, 0)) for one in pictures]
    binary = b"".join(struct.pack("<I", size) + one for size, one in zip(sizes, pictures, strict=True))
    tensor: dict[str, Any] = {
        "name": _maybe(draw, "image"),
        "datatype": _maybe(draw, "BYTES"),
        "shape": _maybe(draw, draw.choice(([len(pictures)], [len(pictures), 1]))),
    }
    if as_bytes:
        tensor["parameters"] = _maybe(draw, {"binary_data_size": _maybe(draw, len(binary))})
    else:
        tensor["data"] = _maybe(draw, [_b64(draw) for _ in pictures])
    document: dict[str, Any] = {"inputs": _maybe(draw, [tensor])}
    if draw.random() < 0.3:
        document["id"] = draw.choice(ODD)
    if draw.random() < 0.5:
        parameters = _maybe(draw, {"binary_data": draw.choice(ODD)})
        document["outputs"] = _maybe(draw, [_maybe(draw, {"name": _maybe(draw, "label"), "parameters": parameters})])
    if draw.random() < 0.3:
        document["parameters"] = _maybe(draw, {"binary_data_output": True})
    head = json.dumps(document).encode()
    length = str(len(head)) if draw.random() < 0.9 else draw.choice(("0", "-1", "9" * 5000, "a", "²"))
    headers = {"Inference-Header-Content-Length": length} if as_bytes else {}
    return _mutated(draw, head + (binary if as_bytes else b"")), headers

"""The Open Inference Protocol's tensors, in JSON and in the binary form that Triton's clients send by default."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serve.errors import RequestRefused
from serve.model.answer import Answer
from serve.web import document

LENGTH = "Inference-Header-Content-Length"
"""Header: bytes of JSON at the start of a binary body."""
INPUT = "image"
OUTPUTS = ("scores", "label", "decision")


@dataclass(frozen=True)
class Inference:
    """A request to infer."""

    pictures: list[bytes]
    id: str | None
    wanted: dict[str, bool]
    """Outputs by name, and whether each is sent in binary form."""


def read_inference(body: bytes, header: str | None) -> Inference:
    """Parse a body; `header` is the value of Inference-Header-Content-Length where it was sent.

    The one input is `image`, BYTES of shape [n]: files, each as an element of the binary form or in base64.

    Raises:
        RequestRefused: 400 no JSON, 422 other tensors.
    """
    size = len(body)
    if header is not None:
        if not header.isdecimal() or int(header[:20]) > len(body):
            raise RequestRefused(400, f"{LENGTH} is the bytes of JSON in the body; received {header[:40]!r}.")
        size = int(header)
    asked = document.parsed(body[:size])
    inputs = asked.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise RequestRefused(422, f"There is one input, '{INPUT}'; the request must have just that in 'inputs'.")
    [tensor] = inputs
    if tensor.get("name") != INPUT or tensor.get("datatype") != "BYTES":
        named = f"{tensor.get('name')!r} of {tensor.get('datatype')!r}"[:80]
        raise RequestRefused(422, f"The input is '{INPUT}' with datatype BYTES, a file each; received {named}.")
    pictures = _binary(tensor, body[size:]) if _parameter(tensor, "binary_data_size") else _base64(tensor)
    shape = tensor.get("shape")
    if shape not in ([len(pictures)], [len(pictures), 1]):
        raise RequestRefused(422, f"The input's shape is [{len(pictures)}] for what it holds; received {shape!r:.60}.")
    name = asked.get("id")
    return Inference(pictures, None if name is None else str(name), _wanted(asked))


def _binary(tensor: Mapping[str, Any], data: bytes) -> list[bytes]:
    if _parameter(tensor, "binary_data_size") != len(data):
        raise RequestRefused(422, f"The input's binary_data_size is {len(data)}, what follows the JSON.")
    found, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if end > len(data):
            raise RequestRefused(422, "An element of the binary input is cut off.")
        found.append(data[at + 4 : end])
        at = end
        if len(found) > document.MOST:
            raise RequestRefused(422, f"The input has at most {document.MOST} elements; received more.")
    return found


def _base64(tensor: Mapping[str, Any]) -> list[bytes]:
    data = document.listed(tensor.get("data"), "data")
    return [document.decoded(text, f"data[{number}]") for number, text in enumerate(data)]


def _wanted(asked: Mapping[str, Any]) -> dict[str, bool]:
    every = bool(_parameter(asked, "binary_data_output"))
    outputs = asked.get("outputs") or [{"name": name} for name in OUTPUTS]
    if not isinstance(outputs, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in outputs
    ):
        raise RequestRefused(422, "'outputs' is a list of objects with a name.")
    wanted = {one.get("name"): bool(_parameter(one, "binary_data", every)) for one in outputs}
    unknown = [name for name in wanted if name not in OUTPUTS]
    if unknown:
        raise RequestRefused(422, f"The outputs are {', '.join(OUTPUTS)}; received {unknown[0]!r:.60}.")
    return wanted


def _parameter(document: Mapping[str, Any], name: str, default: Any = None) -> Any:
    parameters = document.get("parameters")
    return parameters.get(name, default) if isinstance(parameters, dict) else default


def written(
    answers: Sequence[Answer], asked: Inference, name: str, version: str | None
) -> tuple[bytes, dict[str, str]]:
    """The body of the answer and its headers."""
    outputs, binary = [], []
    for wanted, as_bytes in asked.wanted.items():
        values, kind, shape = _values(answers, wanted)
        tensor: dict[str, Any] = {"name": wanted, "datatype": kind, "shape": shape}
        if as_bytes:
            data = _packed(values, kind)
            tensor["parameters"] = {"binary_data_size": len(data)}
            binary.append(data)
        else:
            tensor["data"] = values
        outputs.append(tensor)
    head: dict[str, Any] = {"model_name": name, "outputs": outputs}
    head |= {"model_version": version} if version else {}
    head |= {"id": asked.id} if asked.id is not None else {}
    text = json.dumps(head).encode()
    if not binary:
        return text, {"Content-Type": "application/json"}
    return b"".join([text, *binary]), {"Content-Type": "application/octet-stream", LENGTH: str(len(text))}


def _values(answers: Sequence[Answer], wanted: str) -> tuple[list[Any], str, list[int]]:
    if wanted == "scores":
        rows = [answer.scores() for answer in answers]
        return [value for row in rows for value in row], "FP32", [len(rows), len(rows[0])]
    return [getattr(answer, wanted) for answer in answers], "BYTES", [len(answers)]


def _packed(values: Sequence[Any], kind: str) -> bytes:
    if kind == "FP32":
        return np.array(values, "<f4").tobytes()
    texts = [str(value).encode() for value in values]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def metadata(name: str, version: str | None, classes: int) -> dict[str, Any]:
    """What the protocol tells of a model."""
    return {
        "name": name,
        "versions": [version] if version else [],
        "platform": "imgcls",
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "scores", "datatype": "FP32", "shape": [-1, classes]},
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "decision", "datatype": "BYTES", "shape": [-1]},
        ],
    }

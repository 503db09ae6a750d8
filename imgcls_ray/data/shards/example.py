"""`tf.train.Example` as bytes: the few lines of Protocol Buffers that a shard needs, without TensorFlow.

Example { Features features = 1; }   Features { map<string, Feature> feature = 1; }
Feature { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; }
Each list { repeated value = 1; }
(tensorflow/core/example/example.proto, feature.proto; the encoding is that of protobuf.dev/programming-guides/encoding)
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]

Value = bytes | list[int] | Floats
"""Of a feature: its bytes, its 64-bit ints, or its floats (n,)."""

_BYTES, _FLOATS, _INTS = 1, 2, 3
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5

_Field = tuple[int, int, int, int]
"""Number, wire type, start and end of the content; of a varint its value as start."""


def encode(features: Mapping[str, Value | memoryview]) -> bytes:
    """An Example with bytes features (one value each), lists of ints and of floats, in the order of their names.

    A `memoryview` of bytes is copied once, into the result.
    """
    parts: list[bytes | memoryview] = []
    for name in sorted(features):
        value = features[name]
        if isinstance(value, bytes | memoryview):
            kind, content = _BYTES, value
        elif isinstance(value, list):
            kind, content = _INTS, b"".join(map(_varint, value))
        else:
            kind, content = _FLOATS, value.astype("<f4", copy=False).tobytes()
        key = name.encode()
        in_list = _tag(1, len(content))
        in_feature = _tag(kind, len(in_list) + len(content)) + in_list
        in_entry = _tag(1, len(key)) + key + _tag(2, len(in_feature) + len(content)) + in_feature
        parts += [_tag(1, len(in_entry) + len(content)) + in_entry, content]
    return b"".join([_tag(1, sum(map(len, parts))), *parts])


def parse(data: bytes) -> dict[str, Value]:
    """The features of an Example: bytes features as their first value; those without a value are left out.

    Raises:
        ValueError: the bytes are no Example.
    """
    features: dict[str, Value] = {}
    for _, _, start, end in _messages(data, 0, len(data), 1):
        for _, _, entry, entry_end in _messages(data, start, end, 1):
            name, value = "", None
            for number, kind, first, last in _fields(data, entry, entry_end):
                if kind == _LENGTH and number == 1:
                    name = data[first:last].decode()
                elif kind == _LENGTH and number == 2:
                    value = _feature(data, first, last)
            if value is not None:
                features[name] = value
    return features


def _feature(data: bytes, start: int, end: int) -> Value | None:
    found: Value | None = None
    for kind, _, first, last in _messages(data, start, end, _BYTES, _FLOATS, _INTS):
        fields = _fields(data, first, last)
        if kind == _BYTES:
            found = next((data[a:b] for number, wire, a, b in fields if (number, wire) == (1, _LENGTH)), None)
        elif kind == _FLOATS:
            # Packed or one by one: four bytes each in either case.
            texts = [data[a:b] for number, wire, a, b in fields if number == 1 and wire in (_LENGTH, _FIXED32)]
            found = np.frombuffer(b"".join(texts), "<f4").astype(np.float32, copy=False)
        else:
            found = [value for field in fields for value in _ints(data, field)]
    return found


def _ints(data: bytes, field: _Field) -> list[int]:
    number, wire, position, end = field
    if number != 1 or wire not in (_VARINT, _LENGTH):
        raise ValueError("a list of ints holds something else")
    if wire == _VARINT:  # not packed: other writers may do so
        return [_signed(position)]
    values = []
    while position < end:
        value, position = _read_varint(data, position, end)
        values.append(_signed(value))
    return values


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _varint(number: int) -> bytes:
    if 0 <= number < 0x80:
        return bytes((number,))
    number &= (1 << 64) - 1  # a negative one takes ten bytes
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _tag(number: int, length: int) -> bytes:
    return bytes((number << 3 | _LENGTH,)) + _varint(length)


def _read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 64:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
    raise ValueError("a number is cut off")


def _messages(data: bytes, start: int, end: int, *numbers: int) -> list[_Field]:
    fields = _fields(data, start, end)
    if any(number not in numbers or wire != _LENGTH for number, wire, _, _ in fields):
        raise ValueError("a field is not one of tf.train.Example")
    return fields


def _fields(data: bytes, position: int, end: int) -> list[_Field]:
    fields: list[_Field] = []
    while position < end:
        tag, length = data[position], 0
        if tag < 0x80:  # nearly always: the call below costs as much as all the rest
            position += 1
        else:
            tag, position = _read_varint(data, position, end)
        wire = tag & 7
        if wire == _LENGTH and position < end and data[position] < 0x80:
            length = data[position]
            position += 1
        elif wire == _LENGTH:
            length, position = _read_varint(data, position, end)
        elif wire == _VARINT:
            value, position = _read_varint(data, position, end)
            fields.append((tag >> 3, wire, value, position))
            continue
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError("a field is of a kind that tf.train.Example does not have")
        if position + length > end:
            raise ValueError("a field is cut off")
        fields.append((tag >> 3, wire, position, position + length))
        position += length
    return fields

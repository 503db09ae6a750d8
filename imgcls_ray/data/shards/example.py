"""`tf.train.Example` as bytes: the few lines of Protocol Buffers that a shard needs, without TensorFlow.

Example { Features features = 1; }   Features { map<string, Feature> feature = 1; }
Feature { BytesList bytes_list = 1; Int64List int64_list = 3; }   both lists { repeated value = 1; }
(tensorflow/core/example/example.proto, feature.proto; the encoding is that of protobuf.dev/programming-guides/encoding)
"""

from collections.abc import Iterator

Value = bytes | list[int]


def encode(features: dict[str, Value]) -> bytes:
    """An Example with bytes features (one value each) and lists of non-negative ints, in the order of their names."""
    entries = []
    for name in sorted(features):
        value = features[name]
        if isinstance(value, bytes):
            feature = _field(1, _field(1, value))
        else:
            feature = _field(3, _field(1, b"".join(map(_varint, value))))
        entries.append(_field(1, _field(1, name.encode()) + _field(2, feature)))
    return _field(1, b"".join(entries))


def parse(data: bytes) -> dict[str, Value]:
    """The features of an Example: bytes features as their first value.

    Raises:
        ValueError: the bytes are no such Example.
    """
    features: dict[str, Value] = {}
    for _, body in _fields(memoryview(data)):
        for _, entry in _fields(_view(body)):
            parts = dict(_fields(_view(entry)))
            name, feature = bytes(_view(parts.get(1, 0))).decode(), _view(parts.get(2, 0))
            for kind, values in _fields(feature):
                if kind == 1:
                    features[name] = bytes(_view(next((value for _, value in _fields(_view(values))), 0)))
                elif kind == 3:
                    features[name] = [number for _, value in _fields(_view(values)) for number in _numbers(value)]
    return features


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, body: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(body)) + body


def _view(value: memoryview | int) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a message was expected where a number stands, or is missing")
    return value


def _numbers(value: memoryview | int) -> Iterator[int]:
    if isinstance(value, int):  # not packed: other writers may do so
        yield value
        return
    position = 0
    while position < len(value):
        number, position = _read_varint(value, position)
        yield number


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return number, position
        shift += 7
    raise ValueError("a number is cut off")


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """(field number, content) of a message whose fields are numbers and length-delimited ones."""
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        value, position = _read_varint(data, position)
        if tag & 7 == 2:
            end = position + value
            if end > len(data):
                raise ValueError("a field is cut off")
            yield tag >> 3, data[position:end]
            position = end
        elif tag & 7 == 0:
            yield tag >> 3, value
        else:
            raise ValueError("a field of a kind that shards don't hold")

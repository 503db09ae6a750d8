"""`tf.train.Example` without TensorFlow, against TensorFlow's own."""

import struct

import numpy as np
import pytest

from imgcls_ray.data.shards.example import Value, encode, parse

FEATURES: dict[str, Value] = {
    "": b"",
    "bytes": bytes(range(256)) * 300,
    "ä": "ü".encode(),
    "ints": [0, 1, 127, 128, 300, 2**32, 2**63 - 1, -1, -(2**63)],
    "no ints": [],
    "floats": np.array([0, -1.5, np.inf, 1e-40, 3.4e38], np.float32),
    "embedding": np.linspace(-1, 1, 2048, dtype=np.float32),
}


def same(found: dict[str, Value], expected: dict[str, Value]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, np.ndarray):
            assert np.asarray(found[name]).dtype == np.float32
            assert np.array_equal(found[name], value)
        else:
            assert found[name] == value


def test_what_is_encoded_is_parsed() -> None:
    same(parse(encode(FEATURES)), FEATURES)
    assert parse(encode({})) == parse(b"") == {}


def test_a_view_is_encoded_like_bytes() -> None:
    assert encode({"x": memoryview(b"abc")}) == encode({"x": b"abc"})


def test_tensorflow_parses_what_we_encode() -> None:
    import tensorflow as tf

    found = tf.train.Example.FromString(encode(FEATURES)).features.feature
    assert set(found) == set(FEATURES)
    for name, value in FEATURES.items():
        if isinstance(value, bytes):
            assert list(found[name].bytes_list.value) == [value]
        elif isinstance(value, list):
            assert list(found[name].int64_list.value) == value
        else:
            assert np.array_equal(np.array(found[name].float_list.value, np.float32), value)


def test_we_parse_what_tensorflow_encodes() -> None:
    import tensorflow as tf

    example = tf.train.Example()
    for name, value in FEATURES.items():
        if isinstance(value, bytes):
            example.features.feature[name].bytes_list.value.append(value)
        elif isinstance(value, list):
            example.features.feature[name].int64_list.value.extend(value)
        else:
            example.features.feature[name].float_list.value.extend(value)
    same(parse(example.SerializeToString()), FEATURES)

    empty = tf.train.Example()
    empty.features.feature["bytes"].bytes_list.SetInParent()
    empty.features.feature["ints"].int64_list.SetInParent()
    empty.features.feature["nothing"].SetInParent()
    empty.features.feature["several"].bytes_list.value.extend([b"first", b"second"])
    assert parse(empty.SerializeToString()) == {"ints": [], "several": b"first"}


def wrapped(feature: bytes) -> bytes:
    """An Example with the one feature `x`; all lengths below 128."""
    entry = b"\x0a\x01x\x12" + bytes([len(feature)]) + feature
    features = b"\x0a" + bytes([len(entry)]) + entry
    return b"\x0a" + bytes([len(features)]) + features


def test_numbers_that_are_not_packed_are_parsed() -> None:
    assert parse(wrapped(b"\x1a\x05\x08\x07\x08\xac\x02")) == {"x": [7, 300]}
    floats = b"".join(b"\x0d" + struct.pack("<f", value) for value in (1.5, -2))
    assert np.asarray(parse(wrapped(b"\x12" + bytes([len(floats)]) + floats))["x"]).tolist() == [1.5, -2]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"\x0a",
        b"\x0a\x05",
        b"\x08\x01",
        b"\x12\x00",
        b"\x0b\x00",
        b"\xff" * 20,
        wrapped(b"\x08\x01"),
        wrapped(b"\x22\x00"),
        wrapped(b"\x12\x03\x0a\x01a"),
        wrapped(b"\x1a\x02\x12\x00"),
        wrapped(b"\x1a\x02\x08\xff"),
    ],
)
def test_what_is_no_example_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|not|holds|multiple"):
        parse(data)


def test_noise_is_parsed_or_refused() -> None:
    rng = np.random.default_rng(0)
    whole = encode({"a": b"bytes", "b": [1, 2, 300], "c": np.ones(3, np.float32)})
    refused = 0
    for _ in range(3000):
        data = bytearray(whole)
        for position in rng.integers(0, len(data), rng.integers(1, 4)):
            data[position] = rng.integers(0, 256)
        try:
            parse(bytes(data[: rng.integers(1, len(data) + 1)]))
        except ValueError:
            refused += 1
    assert 1000 < refused < 3000

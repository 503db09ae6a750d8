"""CRC-32C (Castagnoli) of many byte strings at once, in NumPy: what TFRecord puts around each record.

Importing TensorFlow for this alone would cost every Ray worker three seconds. The polynomial is that of RFC 3720,
appendix B.4. A CRC is linear over GF(2): each string is cut into segments whose states run side by side, and a
state is moved on past a segment by one more linear map.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

U32 = np.ndarray[Any, np.dtype[np.uint32]]

_POLYNOMIAL = np.uint32(0x82F63B78)  # bits reversed
_SEGMENT = 512  # bytes
_GROUP = 8 << 20  # bytes worked on at once


def crc32c(strings: Sequence[bytes]) -> U32:
    """The CRC-32C of each string, uint32 (n,).

    Raises:
        ValueError: a string shorter than 4 bytes, which TFRecord never holds.
    """
    if any(len(string) < 4 for string in strings):
        raise ValueError("this CRC-32C is for strings of 4 bytes or more")
    longest = max(map(len, strings), default=0)
    length = -(-longest // _SEGMENT) * _SEGMENT
    step = max(1, _GROUP // max(1, length))
    parts = [_group(strings[start : start + step], length) for start in range(0, len(strings), step)]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint32)


def _group(strings: Sequence[bytes], length: int) -> U32:
    rows = np.zeros((len(strings), length), np.uint8)
    for row, string in zip(rows, strings, strict=True):
        start = length - len(string)  # zeros in front leave a state that starts at 0 as it is
        row[start:] = np.frombuffer(string, np.uint8)
        row[start : start + 4] ^= 0xFF  # the same as starting at 0xFFFFFFFF
    segments = length // _SEGMENT
    words = rows.view("<u2").reshape(len(strings) * segments, _SEGMENT // 2)
    states = _run(np.zeros(len(words), np.uint32), np.ascontiguousarray(words.T)).reshape(len(strings), segments)
    low, high = _shift()
    total = np.zeros(len(strings), np.uint32)
    for state in states.T:
        total = low[total & 0xFFFF] ^ high[total >> 16] ^ state
    return total ^ np.uint32(0xFFFFFFFF)


def _run(states: U32, columns: np.ndarray[Any, np.dtype[np.uint16]]) -> U32:
    table = _table()
    for column in columns:
        states = table[(states & 0xFFFF) ^ column] ^ (states >> 16)
    return states


@lru_cache(1)
def _table() -> U32:
    """The state after two bytes, for each value of two bytes."""
    table = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(16):
        table = np.where(table & 1, (table >> 1) ^ _POLYNOMIAL, table >> 1)
    return table


@lru_cache(1)
def _shift() -> tuple[U32, U32]:
    """A state after one more segment of zeros, as two tables: for its low and for its high 16 bits."""
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    images = _run(bits, np.zeros((_SEGMENT // 2, 1), np.uint16))
    tables = np.zeros((2, 1 << 16), np.uint32)
    for bit in range(16):
        tables[:, 1 << bit : 2 << bit] = tables[:, : 1 << bit] ^ images[[bit, bit + 16], None]
    return tables[0], tables[1]

"""TFRecord files of any maker: read in order, read one by one, damage told."""

import gzip
import struct
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from imgcls_ray.data.shards.records import framed, read_record, read_records
from imgcls_ray.errors import DataError

RECORDS = [b"", b"a", bytes(range(256)) * 40, b"\x00" * 70_000, b"last"]


@pytest.fixture(params=["plain", "gzip"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    data = b"".join(framed(RECORDS))
    (tmp_path / "x").write_bytes(data if request.param == "plain" else gzip.compress(data))
    return tmp_path / "x"


def test_the_checksum_is_computed_in_c() -> None:
    assert google_crc32c.implementation == "c"
    assert google_crc32c.value(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def test_records_are_read_in_order_and_by_their_place(path: Path) -> None:
    found = list(read_records(path))
    assert [record.data for record in found] == RECORDS
    assert found[0].offset == 0 and found[1].offset == 16 and found[2].offset == 33
    for record in reversed(found):
        assert read_record(path, record.offset) == record.data


def test_a_place_where_no_record_begins_is_refused(path: Path) -> None:
    end = sum(map(len, framed(RECORDS)))
    for offset in (1, 17, end - 1, end, end + 100):
        with pytest.raises(DataError, match=f"from byte {offset} on"):
            read_record(path, offset)


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_tensorflow_reads_ours_and_we_its(tmp_path: Path, compression: str) -> None:
    import tensorflow as tf

    ours, its = tmp_path / "ours", tmp_path / "its.tfrecord.gz"
    data = b"".join(framed(RECORDS))
    ours.write_bytes(gzip.compress(data) if compression else data)
    assert [r.numpy() for r in tf.data.TFRecordDataset(str(ours), compression_type=compression)] == RECORDS
    with tf.io.TFRecordWriter(str(its), compression) as writer:
        for record in RECORDS:
            writer.write(record)
    assert [record.data for record in read_records(its)] == RECORDS
    if not compression:
        assert its.read_bytes() == data


def test_a_record_that_begins_like_gzip_is_not_taken_for_it(tmp_path: Path) -> None:
    record = bytes(0x088B1F)
    (tmp_path / "x").write_bytes(b"".join(framed([record])))
    assert (tmp_path / "x").read_bytes()[:3] == b"\x1f\x8b\x08"
    assert [found.data for found in read_records(tmp_path / "x")] == [record]


def test_cuts_are_told_with_their_place_unless_between_records(tmp_path: Path) -> None:
    pieces = list(framed(RECORDS[:3]))
    borders = {sum(map(len, pieces[: 3 * n])): n for n in range(4)}
    whole = b"".join(pieces)
    path = tmp_path / "x"
    for part in [*range(40), *range(40, len(whole), 97), len(whole)]:
        path.write_bytes(whole[:part])
        if part in borders:
            assert len(list(read_records(path))) == borders[part]
            continue
        start = max(border for border in borders if border < part)
        with pytest.raises(DataError, match=f"from byte {start} on .*cut off"):
            list(read_records(path))


def test_a_cut_in_gzip_is_told_everywhere(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(framed(RECORDS)))
    for part in range(1, len(whole)):
        (tmp_path / "x").write_bytes(whole[:part])
        with pytest.raises(DataError, match="can't be read from byte"):
            list(read_records(tmp_path / "x"))


def test_every_flipped_bit_is_told(tmp_path: Path) -> None:
    whole = b"".join(framed(RECORDS[1:3]))
    rng = np.random.default_rng(0)
    for position in [*range(40), *rng.integers(0, len(whole), 300)]:
        data = bytearray(whole)
        data[position] ^= 1 << int(rng.integers(0, 8))
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(DataError, match="can't be read from byte"):
            list(read_records(tmp_path / "x"))


def test_a_record_that_claims_any_length_is_refused(tmp_path: Path) -> None:
    length = struct.pack("<Q", 1 << 40)
    crc = google_crc32c.value(length)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    (tmp_path / "x").write_bytes(gzip.compress(length + struct.pack("<I", masked) + bytes(100)))
    with pytest.raises(DataError, match="is longer than"):
        list(read_records(tmp_path / "x"))


@pytest.mark.parametrize("data", [b"nonsense", b"some text that is long enough", gzip.compress(b"text " * 9, mtime=0)])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(DataError, match="A TFRecord file must be whole"):
        list(read_records(tmp_path / "x"))
    with pytest.raises(DataError, match="No such file"):
        list(read_records(tmp_path / "y"))

import ftplib
import logging
import os
import pickle
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from pyarrow.fs import FileType
from yarl import URL

from imgcls_ray.data.header import sniff
from imgcls_ray.data.sources import Source, list_source, remote
from imgcls_ray.data.sources.addresses import Address
from imgcls_ray.data.sources.archives import _fetch
from imgcls_ray.errors import DataError, ImageError
from tests.data.sources.test_archives import FILES, zipped

SECRET = "a-very-secret-key"  # noqa: S105
PETS = {f"my pets/{key}": value for key, value in FILES.items()}


@dataclass
class Bucket:
    """A server of S3 on this machine, with the bucket `pets`."""

    client: Any
    host: str

    def put(self, files: dict[str, bytes], bucket: str = "pets") -> None:
        for key, value in files.items():
            self.client.put_object(Bucket=bucket, Key=key, Body=value)

    def uri(self, path: str) -> str:
        return f"s3://{path}?endpoint_override={self.host}&scheme=http&region=us-east-1"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Any, str]]:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=True)
    server.start()
    host = "{}:{}".format(*server.get_host_and_port())
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key=SECRET,
    )
    yield client, host
    server.stop()


@pytest.fixture
def bucket(server: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client, host = server
    client.create_bucket(Bucket="pets")
    yield Bucket(client, host)
    for listed in client.list_objects_v2(Bucket="pets").get("Contents", []):
        client.delete_object(Bucket="pets", Key=listed["Key"])
    client.delete_bucket(Bucket="pets")


@pytest.fixture
def memory() -> Iterator[Any]:
    import fsspec

    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]


def contents(source: Source) -> dict[str, bytes]:
    """Each picture, read by a reader that went through a pickle as on its way to a task."""
    reader = pickle.loads(pickle.dumps(source.reader))  # noqa: S301
    return {item.path: reader.read(item.path) for item in source.items}


def test_a_bucket_is_listed_by_one_question_and_read(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    bucket.put(PETS | {"my pets/.hidden/a/1.jpg": b"", "my pets/loose.jpg": b"", "other/c/1.jpg": b""})
    with caplog.at_level(logging.INFO, "werkzeug"):
        source = list_source(bucket.uri("pets/my pets/"))
    asked = [line for record in caplog.records if "PUT" not in (line := record.getMessage())]
    assert len([line for line in asked if "list-type=2" in line and "max-keys=1&" not in line]) == 1
    assert len(asked) < 5
    assert (source.name, source.root, source.labels.names) == ("my-pets", "s3://pets/my pets", ("a", "b"))
    assert contents(source) == FILES
    assert all(item.bytes == len(FILES[item.path]) and item.mtime_ns > 0 for item in source.items)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_the_server_may_be_named_by_the_environment(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from imgcls_ray.data.sources import addresses

    addresses._filesystem.cache_clear()
    bucket.put({f"deep/{split}/{key}": value for split in ("train", "test") for key, value in FILES.items()})
    monkeypatch.setenv(name, f"http://{bucket.host}")
    source = list_source("s3://pets/deep")
    assert {item.split for item in source.items} == {"train", "test"}
    assert contents(source)["test/b/2.jpg"] == FILES["b/2.jpg"]
    addresses._filesystem.cache_clear()


def test_a_table_in_a_bucket_names_pictures_near_and_far(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    rows = "".join(f"{key},{key[0]}\n" for key in FILES)
    rows += "../far/1 %.jpg,a\ns3://pets/far/2#.jpg,b\n../../../secret,a\n/etc/passwd,b\n"
    bucket.put(PETS | {"my pets/t.csv": rows.encode(), "far/1 %.jpg": b"one", "far/2#.jpg": b"two"})
    with caplog.at_level(logging.INFO, "werkzeug"):
        source = list_source(bucket.uri("pets/my pets/t.csv"))
    assert len([r for r in caplog.records if "max-keys=1000" in r.getMessage()]) == 2
    assert [item.path for item in source.items if item.refused] == ["../../../secret", "/etc/passwd"]
    found = {item.path: (item.label, item.bytes) for item in source.items if not item.refused}
    assert found["s3://pets/far/1 %.jpg"] == ("a", 3)
    assert found["s3://pets/far/2#.jpg"] == ("b", 3)
    assert source.reader.read("s3://pets/far/1 %.jpg") == b"one"
    assert source.reader.read("s3://pets/far/2#.jpg") == b"two"
    assert source.reader.read("a/2.jpg") == b"22"


def test_a_local_table_may_name_pictures_in_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(PETS)
    rows = [f"{bucket.uri('pets/' + key)},{key[8]}" for key in PETS]
    rows.append(f"s3://key:{SECRET}@pets/x.jpg,a")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    source = list_source(str(tmp_path / "t.csv"))
    refused, *items = sorted(source.items, key=lambda item: not item.refused)
    assert (refused.path, refused.refused) == ("s3://pets/x.jpg", "an address with credentials")
    assert [item.bytes for item in items] == [1, 2, 3, 4]
    assert [source.reader.read(item.path) for item in items] == list(PETS.values())


def test_an_archive_in_a_bucket_is_fetched_once(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put({"set.zip": zipped(tmp_path / "set.zip", FILES).read_bytes()})
    source = list_source(bucket.uri("pets/set.zip"), unpack=tmp_path / "unpacked")
    assert (source.root, source.name) == ("s3://pets/set.zip", "set")
    assert contents(source) == FILES
    (folder,) = (tmp_path / "unpacked").iterdir()
    (folder / "a" / "1.jpg").write_bytes(b"changed")
    again = list_source(bucket.uri("pets/set.zip"), unpack=tmp_path / "unpacked")
    assert contents(again)["a/1.jpg"] == b"changed"


def test_what_is_not_there_is_told_without_secrets(bucket: Bucket) -> None:
    bucket.put(PETS)
    with pytest.raises(DataError, match="There is nothing at s3://pets/none; check") as error:
        list_source(bucket.uri("pets/none"))
    with pytest.raises(DataError, match="There is nothing at s3://nobucket/x; check"):
        list_source(bucket.uri(f"key:{SECRET}@nobucket/x"))
    source = list_source(bucket.uri(f"key:{SECRET}@pets/my pets"))
    assert SECRET not in repr(source) + str(error.value)
    with pytest.raises(FileNotFoundError) as missing:
        source.reader.read("a/9.jpg")
    assert missing.value.strerror == "there is no such file"


def test_a_server_that_does_not_answer_is_told_in_a_sentence() -> None:
    uri = f"s3://key:{SECRET}@pets/x?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    with pytest.raises(DataError, match=r"s3://pets/x can't be read \(the server can't be reached\)") as error:
        list_source(uri)
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("uri", ["nonsense://x/y", "gcs2://x", "://x"])
def test_an_unknown_kind_of_address_is_refused(uri: str) -> None:
    with pytest.raises(DataError, match="address such as s3://bucket/folder; received"):
        list_source(uri)


@pytest.mark.parametrize(
    ("table", "row", "credentials", "query"),
    [
        ("https://ann:pw@intranet/t.csv", "https://intranet/x.jpg", "ann:pw", ""),
        ("https://ann:pw@intranet/t.csv", "https://evil.example/x.jpg", "", ""),
        ("https://ann:pw@intranet/t.csv", "https://intranet:8443/x.jpg", "", ""),
        ("https://ann:pw@intranet/t.csv", "http://intranet/x.jpg", "", ""),
        ("s3://key:pw@pets/t.csv?region=x", "s3://others/x.jpg", "key:pw", "region=x"),
        ("s3://key:pw@pets/t.csv?region=x", "s3://others/x.jpg?region=y", "", "region=y"),
        ("abfs://one@ann.example/t.csv?a=b", "abfs://two@ann.example/x.jpg", "", "a=b"),
        ("abfs://one@ann.example/t.csv?a=b", "abfs://one@evil.example/x.jpg", "", ""),
    ],
)
def test_credentials_go_to_the_server_of_the_table_only(table: str, row: str, credentials: str, query: str) -> None:
    address = Address.parse(table).beside(row)
    assert (address.credentials, address.query) == (credentials, query)
    assert address.public == Address.parse(row).public


def test_other_storage_is_read_through_fsspec(memory: Any, tmp_path: Path) -> None:
    for key, value in FILES.items():
        memory.pipe(f"/set/{key}", value)
    source = list_source("memory://set")
    assert contents(source) == FILES
    memory.pipe("/set/t.csv", b"a/1.jpg,x\na/2.jpg,x\nb/1.jpg,y\nmemory://set/b/2.jpg,y\n")
    assert list(contents(list_source("memory://set/t.csv")).values()) == list(FILES.values())
    memory.pipe("/t.csv", b"a/1.jpg,x\na/2.jpg,x\nb/1.jpg,y\nb/2.jpg,y\n")
    path = tmp_path / "set.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for key in FILES:
            archive.add(zipped(tmp_path / "x.zip", {}), key)
    memory.pipe("/set.tgz", path.read_bytes())
    assert len(list_source("memory://set.tgz", unpack=tmp_path / "unpacked").items) == 4


class _Flaky:
    """Stands for a file system whose first answers fail."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.left, self.error = failures, error
        self.asked = 0

    def open_input_file(self, path: str) -> Any:
        import pyarrow

        self.asked += 1
        if self.left:
            self.left -= 1
            raise self.error
        return pyarrow.BufferReader(f"content of {path}".encode())

    open_input_stream = get_file_info = open_input_file


_REQUEST = aiohttp.RequestInfo(
    URL(f"https://ann:{SECRET}@pets/1.jpg?sig={SECRET}"), "GET", CIMultiDictProxy(CIMultiDict())
)
STRANGE = [
    (aiohttp.ClientResponseError(_REQUEST, (), status=503, message="Busy"), "HTTP 503"),
    (aiohttp.ServerDisconnectedError(), "Server disconnected"),
    (aiohttp.ClientPayloadError("Response payload is not completed"), "Response payload is not completed"),
    (ftplib.error_temp("421 Too many connections"), "421 Too many connections"),  # noqa: S321 - none is made
    (
        ValueError(f"No range in https://ann:{SECRET}@pets/1.jpg?sig={SECRET} here"),
        "No range in https://pets/1.jpg here",
    ),
]
"""What fsspec's libraries raise, and the reason that is told."""


@pytest.mark.parametrize(
    ("failures", "error", "asked"),
    [
        (2, OSError("AWS Error NETWORK_CONNECTION"), 3),
        (9, OSError("AWS Error NETWORK_CONNECTION"), 3),
        (9, OSError("AWS Error ACCESS_DENIED"), 1),
        (9, FileNotFoundError(2, "x"), 1),
        *((2, error, 3) for error, _ in STRANGE),
        *((9, error, 3) for error, _ in STRANGE),
    ],
)
def test_a_failing_storage_is_asked_again_where_that_may_help(
    monkeypatch: pytest.MonkeyPatch, failures: int, error: Exception, asked: int
) -> None:
    flaky = _Flaky(failures, error)
    monkeypatch.setattr(remote, "_PAUSE", 0)
    monkeypatch.setattr(Address, "open", lambda self: (flaky, self.bucket))
    reader = remote.RemoteReader(Address("s3", "pets", ""))
    if failures < 3:
        assert reader.read("1.jpg") == b"content of pets/1.jpg"
    else:
        with pytest.raises(OSError) as told:
            reader.read("1.jpg")
        assert told.value.strerror == next((words for one, words in STRANGE if one is error), told.value.strerror)
    assert flaky.asked == asked


@pytest.mark.parametrize(("error", "words"), STRANGE)
def test_whatever_a_storage_raises_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, words: str
) -> None:
    monkeypatch.setattr(Address, "open", lambda self: (_Flaky(9, error), self.bucket))
    with pytest.raises(DataError, match=re.escape(f"https://pets/x can't be read ({words}): check")) as told:
        list_source(f"https://ann:{SECRET}@pets/x")
    assert SECRET not in str(told.value)
    place = remote.RemotePlace(Address.parse("https://pets/x.zip"), SimpleNamespace(type=FileType.File))
    with pytest.raises(DataError, match=r"https://pets/x\.zip can't be read"):
        _fetch(place, tmp_path / "x.zip")


def test_a_picture_that_is_refused_by_its_head_is_asked_for_once(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSE", 9)
    memory.pipe("/set/a/1.jpg", b"no picture" * 9)
    with pytest.raises(ImageError, match="not a picture"):
        remote.RemoteReader(Address.parse("memory://set")).read("a/1.jpg", sniff)


@pytest.mark.parametrize("at_once", [4, 100])
def test_the_head_is_checked_before_a_large_file_is_read(
    memory: Any, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(remote, "_AT_ONCE", at_once)
    content = bytes(range(90))
    memory.pipe("/set/a/1.jpg", content)
    seen: list[bytes] = []
    reader = remote.RemoteReader(Address.parse("memory://set"))
    assert reader.read("a/1.jpg", seen.append) == content
    assert seen == [content[:32]]


def test_real_pictures_are_the_same_in_a_bucket(bucket: Bucket, test_data: Path) -> None:
    folder = test_data / "hymenoptera"
    plain = list_source(str(folder))
    chosen = plain.items[::40]
    bucket.put({f"real/{item.path}": (folder / item.path).read_bytes() for item in chosen})
    bucket.put({"real_splits.csv": (test_data / "hymenoptera_splits.csv").read_bytes()})
    source = list_source(bucket.uri("pets/real"))
    assert contents(source) == {item.path: plain.reader.read(item.path) for item in chosen}
    table = list_source(bucket.uri("pets/real_splits.csv"))
    assert {f"real/{item.path}" for item in chosen} == {item.path for item in table.items if item.bytes}

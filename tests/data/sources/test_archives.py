import io
import os
import pickle
import stat
import tarfile
import time
import warnings
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import pytest

from imgcls_ray.data import unpacking
from imgcls_ray.data.collect.attribution import ATTRIBUTION
from imgcls_ray.data.collect.record import RECORD, SEARCHES
from imgcls_ray.data.held import alone, discard
from imgcls_ray.data.sources import Source, archives, list_source
from imgcls_ray.errors import DataError, StorageError

FILES = {"a/1.jpg": b"1", "a/2.jpg": b"22", "b/1.jpg": b"333", "b/2.jpg": b"4444"}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_000_000
            archive.addfile(info, io.BytesIO(content))
    return path


def packed(path: Path, files: dict[str, bytes]) -> Path:
    return zipped(path, files) if path.suffix == ".zip" else tarred(path, files)


def unpacked(path: Path) -> Source:
    return list_source(str(path), unpack=path.parent / "unpacked")


@pytest.mark.parametrize("name", ["pets.zip", "pets.tar", "pets.tar.gz", "PETS.TGZ"])
@pytest.mark.parametrize("top", ["", "pets/", "./", "deep/er/"])
def test_an_archive_is_listed_like_its_folder(tmp_path: Path, name: str, top: str) -> None:
    path = packed(tmp_path / name, {top + key: value for key, value in FILES.items()} | {"__MACOSX/a/._1.jpg": b"x"})
    source = unpacked(path)
    assert [(item.path, item.label, item.bytes) for item in source.items] == [
        (key, key[0], len(value)) for key, value in FILES.items()
    ]
    assert (source.name, source.root) == (name.split(".")[0], str(path))
    assert [source.reader.read(item.path) for item in source.items] == list(FILES.values())
    assert [entry.name[:5].lower() for entry in (tmp_path / "unpacked").iterdir()] == ["pets-"]


def test_split_folders_and_tables_may_be_inside(tmp_path: Path) -> None:
    files = {f"set/{split}/{key}": value for split in ("train", "Test") for key, value in FILES.items()}
    assert {item.split for item in unpacked(zipped(tmp_path / "a.zip", files)).items} == {"train", "test"}
    rows = "".join(f"{key},{key[0]}x\n" for key in FILES).encode()
    for top in ("", "set/"):
        path = zipped(tmp_path / f"b{len(top)}.zip", {top + "rows.csv": rows} | {top + k: v for k, v in FILES.items()})
        assert unpacked(path).labels.names == ("ax", "bx")
    source = unpacked(zipped(tmp_path / "c.zip", {"rows.csv": rows} | {f"set/{key}": v for key, v in FILES.items()}))
    assert [item.path for item in source.items] == [f"set/{key}" for key in FILES]


@pytest.mark.parametrize(
    ("raw", "name"), [("Café".encode(), "Café"), ("薔薇".encode(), "薔薇"), (b"Caf\x82", "Café"), (b"a\x9bb", "a¢b")]
)
def test_names_in_a_zip_are_utf8_if_they_can_be(tmp_path: Path, raw: bytes, name: str) -> None:
    plain = b"x" * len(raw)
    path = zipped(tmp_path / "a.zip", {f"{plain.decode()}/{n}.jpg": b"1" for n in range(2)} | FILES)
    path.write_bytes(path.read_bytes().replace(plain, raw))  # as macOS and old programs write them, without a flag
    assert set(unpacked(path).labels.names) == {"a", "b", name}


def test_a_name_leads_out_in_no_encoding(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"xx/../../yy.jpg": b"1"} | FILES)
    path.write_bytes(path.read_bytes().replace(b"xx/", "é/".encode()).replace(b"yy.jpg", "é.jpg".encode()))
    with pytest.raises(DataError, match=r"'é/\.\./\.\./é\.jpg', a name that leads out"):
        unpacked(path)


def _model(folder: Path) -> bytes:
    with h5py.File(folder / "model.h5", "w") as file:
        file.create_group("model_weights")
    return (folder / "model.h5").read_bytes()


@pytest.mark.parametrize("top", ["", "set/"])
def test_what_lies_beside_class_folders_does_not_hide_them(tmp_path: Path, top: str) -> None:
    beside = {
        "notes.csv": b"2026-01-01,rained\n2026-01-02,shone\n",
        "colours.csv": b"class,colour\na,red\n",
        "bare.csv": b"a,red\nb,blue\n",
        "results.jsonl": b'{"loss": 0.5}\n',
        "broken.jsonl": b"[",
        "bytes.tsv": b"\0",
        "empty.csv": b"",
        "model.h5": _model(tmp_path),
        "broken.h5": b"x",
        ATTRIBUTION: b"file,title\na/1.jpg,A\n",
        RECORD: b'{"url": "http://x/1.jpg", "file": "a/1.jpg", "class": "a"}\n',
        SEARCHES: b'{"provider": "x"}\n',
    }
    for name, content in beside.items():
        path = zipped(tmp_path / f"{name}.zip", {top + name: content} | {top + k: v for k, v in FILES.items()})
        assert [item.path for item in unpacked(path).items] == list(FILES), name


def test_what_collect_wrote_does_not_hide_a_table(tmp_path: Path) -> None:
    rows = "".join(f"{key},{key[0]}x\n" for key in FILES).encode()
    beside = {"rows.csv": rows, ATTRIBUTION: b"file,title\n", RECORD: b"{}", SEARCHES: b"{}"}
    assert unpacked(zipped(tmp_path / "a.zip", beside | FILES)).labels.names == ("ax", "bx")


def test_a_table_that_is_meant_but_wrong_is_told(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"rows.csv": b"path,label\nx/1.jpg,a\n"} | FILES)
    with pytest.raises(DataError, match=r"'x/1\.jpg' of .* is not there"):
        unpacked(path)
    with pytest.raises(DataError, match="needs a column with the labels"):
        unpacked(zipped(tmp_path / "b.zip", {"rows.csv": b"path,colour\n1.jpg,a\n", "1.jpg": b"1"}))


def test_what_is_unpacked_is_used_again_until_the_archive_changes(tmp_path: Path) -> None:
    path = tarred(tmp_path / "pets.tar", FILES)
    first = unpacked(path)
    (mark,) = (tmp_path / "unpacked").glob("*/a/1.jpg")
    assert mark.stat().st_mtime == 1_000_000
    mark.write_bytes(b"changed")
    assert unpacked(path).items != first.items
    tarred(path, FILES | {"a/3.jpg": b"5"})
    again = unpacked(path)
    assert [item for item in again.items if item.path != "a/3.jpg"] == list(first.items)


def test_what_a_killed_run_left_is_removed_before_the_next_one_unpacks(tmp_path: Path) -> None:
    path, folder = zipped(tmp_path / "pets.zip", FILES), tmp_path / "unpacked"
    (folder / ".pets-0123456789ab.0123abcd.tmp/a").mkdir(parents=True)
    for name in (".old-0123456789ab.0123abcd.zip", ".pets-0123456789ab.0123abcd.tmp/a/1.jpg", ".mine.tmp", "mine.zip"):
        (folder / name).write_bytes(b"half")
    unpacked(path)
    names = sorted(entry.name for entry in folder.iterdir())
    assert (names[:2], names[2][:5], len(names)) == ([".mine.tmp", "mine.zip"], "pets-", 3)


def test_all_is_on_the_disk_before_the_folder_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, folder = zipped(tmp_path / "pets.zip", FILES), tmp_path / "unpacked"
    seen: list[list[str]] = []
    monkeypatch.setattr(os, "sync", lambda: seen.append([entry.name[:6] for entry in folder.iterdir()]))
    unpacked(path)
    unpacked(path)
    assert seen == [[".pets-"]]


def test_one_run_unpacks_at_a_time_and_both_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, unpack, calls = zipped(tmp_path / "pets.zip", FILES), archives.unpack, []

    def slow(*args: Any) -> None:
        calls.append(args)
        time.sleep(0.5)
        unpack(*args)

    monkeypatch.setattr(archives, "unpack", slow)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(unpacked, [path, path])
    assert one == two
    assert len(calls) == 1


def test_what_was_unpacked_is_not_taken_from_who_reads_it(tmp_path: Path) -> None:
    path, folder = zipped(tmp_path / "pets.zip", FILES), tmp_path / "unpacked"
    one, two, other = unpacked(path), unpacked(path), unpacked(zipped(tmp_path / "x.zip", FILES))
    for source in (one, other):
        assert source.held
        source.held.release()
    with alone(folder):
        discard(folder)  # somebody unpacks there
    assert len(list(folder.iterdir())) == 2
    (folder / ".x-0123456789ab.0123abcd.zip").write_bytes(b"half")
    discard(folder)
    assert [entry.name[:5] for entry in folder.iterdir()] == ["pets-"]
    assert two.reader.read("a/1.jpg") == b"1"
    assert pickle.loads(pickle.dumps(two)).held is None  # noqa: S301
    del two
    discard(folder)
    discard(folder)
    assert not folder.exists()


def test_a_table_in_an_archive_never_leads_out(tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    rows = "".join(f"{key},{key[0]}\n" for key in FILES)
    rows += f"{secret},a\n../../secret.jpg,a\nx/../../../secret.jpg,a\nfile://{secret},a\ns3://bucket/x.jpg,a\n"
    source = unpacked(zipped(tmp_path / "a.zip", {"rows.csv": rows.encode(), **FILES}))
    refused = [item for item in source.items if item.refused]
    assert len(refused) == 3  # two of the five rows repeat others in other words
    assert all(str(item.refused).startswith("outside the archive (") and not item.label for item in refused)


def _zip_entry(name: str, mode: int, content: bytes = b"x") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = zipped(folder / "bad.zip", FILES)
        with zipfile.ZipFile(path, "a") as archive:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            with warnings.catch_warnings(action="ignore"):  # zipfile has a word on names that stand twice
                archive.writestr(info, content)
        return path

    return make


def _tar_entry(name: str, kind: bytes, link: str = "", size: int = 0) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = tarred(folder / "bad.tar", FILES)
        with tarfile.open(path, "a") as archive:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, size
            archive.addfile(info, io.BytesIO(b"x" * size))
        return path

    return make


def _changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = packed(folder / name, {key: os.urandom(5000) for key in FILES})
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def _encrypted(folder: Path) -> Path:
    path = zipped(folder / "bad.zip", FILES)
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1
    path.write_bytes(data)
    return path


def _zip_bomb(folder: Path) -> Path:
    return zipped(folder / "bad.zip", {**FILES, "a/0.bmp": bytes(3_000_000)})


def _tar_bomb(folder: Path) -> Path:
    return tarred(folder / "bad.tgz", {**FILES, "a/0.bmp": bytes(3_000_000)})


def _header_bomb(folder: Path) -> Path:
    path = folder / "bad.tgz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a/1.jpg")
        info.pax_headers = {"comment": "x" * (unpacking.MAX_PIECE + 1)}
        archive.addfile(info)
    return path


def _negative(folder: Path) -> Path:
    """A size below zero leads tarfile back to the same header for ever (CVE-2025-8194)."""
    info = tarfile.TarInfo("a/9.jpg")
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = (-1024 & (1 << 96) - 1).to_bytes(12, "big")
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    path = folder / "bad.tar"
    path.write_bytes(tarred(folder / "good.tar", {"a/1.jpg": b"1"}).read_bytes()[:1024] + block + bytes(1024))
    return path


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_zip_entry("../evil.jpg", 0o100644), r"'\.\./evil\.jpg', a name that leads out"),
        (_zip_entry("a/../../evil.jpg", 0o100644), "a name that leads out"),
        (_zip_entry("..\\evil.jpg", 0o100644), "a name that leads out"),
        (_zip_entry("/evil.jpg", 0o100644), "a name that leads out"),
        (_zip_entry("C:/evil.jpg", 0o100644), "a name that leads out"),
        (_zip_entry("a/evil.jpg", stat.S_IFLNK | 0o777, b"/etc/passwd"), "'a/evil.jpg', a link"),
        (_zip_entry("a/evil.jpg", stat.S_IFIFO | 0o644), "'a/evil.jpg', a device"),
        (_zip_entry("a/1.jpg", 0o100644), "'a/1.jpg' twice"),
        (_zip_entry("a/1.jpg/deeper.jpg", 0o100644), "'a/1.jpg/deeper.jpg' twice"),
        (_zip_entry("n" * 300, 0o100644), "no name for a file"),
        (_tar_entry("../evil.jpg", tarfile.REGTYPE, size=1), "a name that leads out"),
        (_tar_entry("/evil.jpg", tarfile.REGTYPE, size=1), "a name that leads out"),
        (_tar_entry("a/evil.jpg", tarfile.SYMTYPE, "/etc/passwd"), "'a/evil.jpg', a link"),
        (_tar_entry("a/evil.jpg", tarfile.LNKTYPE, "a/1.jpg"), "'a/evil.jpg', a link"),
        (_tar_entry("a/evil", tarfile.CHRTYPE), "'a/evil', a device"),
        (_tar_entry("a/evil", tarfile.FIFOTYPE), "'a/evil', a device"),
        (_encrypted, "'a/1.jpg', an encrypted file"),
        (_zip_bomb, "may grow to .* holds more than 1,000,000 bytes"),
        (_tar_bomb, "may grow to .* holds more than 1,000,000 bytes"),
        (_header_bomb, "is broken"),
        (_negative, "is broken"),
        (_changed("bad.zip", lambda data: data[:-30]), "is broken"),
        (_changed("bad.zip", lambda data: data[:2000] + bytes(10) + data[2010:]), "is broken"),
        (_changed("bad.zip", lambda data: b""), "is broken"),
        (_changed("bad.tar", lambda data: data[:9000]), "is broken"),
        (_changed("bad.tar", lambda data: data[: (512 + 5120) * 2]), "is broken"),
        (_changed("bad.tar", lambda data: data[:5632] + b"\xff" * 300 + data[5932:]), "is broken"),
        (_changed("bad.tgz", lambda data: data[:-2000]), "is broken"),
        (_changed("bad.tgz", lambda data: data[:-8] + bytes(8)), "is broken"),
        (_changed("bad.tgz", lambda data: data[:3000] + bytes(10) + data[3010:]), "is broken"),
        (_changed("bad.tgz", lambda data: b"no archive at all"), "is broken"),
    ],
)
def test_a_bad_archive_is_refused_in_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path], sentence: str
) -> None:
    monkeypatch.setattr(unpacking, "ALWAYS_ALLOWED", 1_000_000)
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=sentence) as error:
        unpacked(path)
    assert "\n" not in str(error.value)
    assert [entry for entry in sorted(tmp_path.rglob("*")) if entry not in before] == [tmp_path / "unpacked"]


def test_a_full_disk_is_told_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "pets.zip", FILES)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "utime", full)
    with pytest.raises(StorageError, match="is full"):
        unpacked(path)
    assert list((tmp_path / "unpacked").iterdir()) == []


def test_an_archive_of_nothing_that_counts_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.zip holds no folders"):
        unpacked(zipped(tmp_path / "x.zip", {"1.jpg": b"1"}))
    with pytest.raises(DataError, match="place to be unpacked"):
        list_source(str(tmp_path / "x.zip"))


def test_real_pictures_come_out_of_an_archive_as_they_are(test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "hymenoptera"
    with tarfile.open(tmp_path / "h.tar", "w") as archive:
        archive.add(folder, "hymenoptera")
    source, plain = unpacked(tmp_path / "h.tar"), list_source(str(folder))
    assert [(i.path, i.label, i.bytes) for i in source.items] == [(i.path, i.label, i.bytes) for i in plain.items]
    assert all(source.reader.read(i.path) == plain.reader.read(i.path) for i in plain.items[::40])

import hashlib
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from imgcls_ray.data.arrange import ArrangeSettings, Way, arrange, list_pictures
from imgcls_ray.data.arrange.places import check_class
from imgcls_ray.data.arrange.placing import Mover
from imgcls_ray.data.manifest import ManifestRow, read_manifest
from imgcls_ray.data.sources import LocalReader
from imgcls_ray.errors import DataError, StorageError
from tests.data.test_arrange import arranged, data, patterned, snapshot, tree, where

__all__ = ["data"]  # a fixture


@pytest.mark.usefixtures("ray_local")
class TestWays:
    def test_links_are_hard_and_else_symbolic(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arranged(data, tmp_path / "hard", "link")
        for place in tree(tmp_path / "hard"):
            assert (tmp_path / "hard" / place).stat().st_nlink == 2
        before = tree(tmp_path / "hard")

        def refuse(*_: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
        arranged(data, tmp_path / "soft", "link")
        assert tree(tmp_path / "soft") == before
        assert all((tmp_path / "soft" / place).readlink().is_absolute() for place in before)
        assert arranged(data, tmp_path / "soft", "link").placed == 0

    @pytest.mark.parametrize("symbolic", [False, True])
    def test_a_link_to_a_file_that_was_written_over_shows_no_picture_twice(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, symbolic: bool
    ) -> None:
        if symbolic:
            monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(18, "cross-device")))
        file = data / "ant/05.png"
        arranged(data, tmp_path / "out", "link")
        changed = bytearray(file.read_bytes())
        patterned(321).save(tmp_path / "new.png")
        new = (tmp_path / "new.png").read_bytes()
        size = max(len(new), len(changed))
        file.write_bytes(new + b"\0" * (size - len(new)))  # in place: the inode stays
        arranged(data, tmp_path / "out", "link")
        assert where(tmp_path / "out").keys() >= {file.read_bytes()}
        assert len(tree(tmp_path / "out")) == 61

    def test_a_move_leaves_what_is_not_used(self, data: Path, tmp_path: Path) -> None:
        before = {p.relative_to(data).as_posix(): p.read_bytes() for p in data.rglob("*.*")}
        out = tmp_path / "out"
        arranged(data, out, "move")
        left = {p.relative_to(data).as_posix() for p in data.rglob("*.*")}
        assert left == {"ant/both.png", "bee/both.png", "bee/notes.png", "ant/copy.png"}
        rows = read_manifest(out)
        assert {row.path: (out / row.shard).read_bytes() for row in rows if row.shard} == {
            path: content for path, content in before.items() if path not in left
        }
        # A single new picture is enough then, and copies of moved ones stay where they are.
        patterned(55).save(data / "bee/new.png")
        done = arranged(data, out, "move")
        assert (done.placed, done.counts.duplicates) == (1, 1)
        assert {p.relative_to(data).as_posix() for p in data.rglob("*.*")} == left
        assert len(tree(out)) == 62

    def test_later_pictures_join_the_group_of_moved_ones(self, tmp_path: Path) -> None:
        data, out = tmp_path / "data", tmp_path / "out"
        for label, name in enumerate(("ant", "bee")):
            (data / name).mkdir(parents=True)
            for n in range(8):  # a near copy in group b ties it to group a
                patterned(100 * label + n).save(data / name / f"{label}{n}a_1.png")
                patterned(100 * label + n).save(data / name / f"{label}{n}b_1.jpg", quality=85)
        arranged(data, out, "move", source={"group_by": "([^/]+)_"})
        for label, name in enumerate(("ant", "bee")):
            for n in range(8):
                patterned(200 + 100 * label + n).save(data / name / f"{label}{n}b_2.png")
        arranged(data, out, "move", source={"group_by": "([^/]+)_"})
        splits = {Path(place).name: place.split("/")[0] for place in tree(out)}
        assert len(splits) == 48
        for name in [name for name in splits if "b_2" in name]:
            assert splits[name] == splits[name.replace("b_2.png", "b_1.jpg")], name

    @pytest.mark.parametrize("before", ["copy", "link"])
    def test_a_move_of_what_was_copied_or_linked_loses_nothing(
        self, data: Path, tmp_path: Path, before: Way, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(18, "cross-device")))
            arranged(data, tmp_path / "out", before)
        held = tree(tmp_path / "out")
        arranged(data, tmp_path / "out", "move")
        assert len(list(data.rglob("*.*"))) == 4
        assert tree(tmp_path / "out") == held
        assert not any((tmp_path / "out" / place).is_symlink() for place in held)


@pytest.mark.parametrize("copied_before", [False, True])
def test_a_move_to_another_disk_removes_nothing_that_a_power_cut_could_lose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied_before: bool
) -> None:
    source, out = tmp_path / "data/a.png", tmp_path / "out"
    for folder in (source.parent, out / "work"):
        folder.mkdir(parents=True)
    patterned(1).save(source)
    content, status = source.read_bytes(), source.stat()
    row = ManifestRow("a.png", "ant", "train", hashlib.sha256(content).hexdigest(), None, None, len(content), "used")
    row = replace(row, mtime_ns=status.st_mtime_ns, shard="train/ant/a.png")
    if copied_before:
        (out / "train/ant").mkdir(parents=True)
        shutil.copyfile(source, out / "train/ant/a.png")
    forced: list[Path] = []
    fsync, rename, unlink = os.fsync, Path.rename, Path.unlink

    def remember(handle: int) -> None:
        fsync(handle)
        forced.append(Path(f"/proc/self/fd/{handle}").readlink())

    def refuse(self: Path, target: Path) -> Path:
        if self == source:
            raise OSError(18, "Invalid cross-device link")
        return rename(self, target)

    def check(self: Path, missing_ok: bool = False) -> None:
        if self == source:
            assert {out / "train/ant/a.png", out / "train/ant", out / "train", out} <= {*forced}
        unlink(self, missing_ok)

    monkeypatch.setattr(os, "fsync", remember)
    monkeypatch.setattr(Path, "rename", refuse)
    monkeypatch.setattr(Path, "unlink", check)
    mover = Mover(LocalReader(str(source.parent)), out, out / "work", "move")
    assert [reason for _, reason in mover.place_all([row])] == [None]
    assert not source.exists()
    assert (out / "train/ant/a.png").read_bytes() == content


@pytest.mark.usefixtures("ray_local")
class TestRefusals:
    def test_nothing_is_moved_or_made_when_the_data_is_refused(self, data: Path, tmp_path: Path) -> None:
        before = snapshot(data)
        for file in (data / "bee").glob("*.png"):
            if file.name != "00.png":
                file.write_text("no picture")
        hidden = snapshot(data)
        with pytest.raises(DataError):
            arranged(data, tmp_path / "out", "move", max_bad_fraction=0.1)
        assert snapshot(data) == hidden != before
        assert not (tmp_path / "out").exists()

    def test_the_place(self, data: Path, tmp_path: Path) -> None:
        for inside in (data, data / "ant", data / "out"):
            with pytest.raises(StorageError, match=r"inside|other files"):
                arranged(data, inside)
        assert not (data / "out").exists()
        other = tmp_path / "other"
        other.mkdir()
        (other / "thesis.txt").write_text("years of work")
        with pytest.raises(StorageError, match=r"'thesis\.txt'"):
            arranged(data, other)
        with pytest.raises(StorageError, match="is a file"):
            arranged(data, other / "thesis.txt")
        assert [p.name for p in other.iterdir()] == ["thesis.txt"]

    def test_other_settings_than_before(self, data: Path, tmp_path: Path) -> None:
        arranged(data, tmp_path / "out")
        before = snapshot(tmp_path / "out")
        with pytest.raises(StorageError, match="seed 0, not 1"):
            arranged(data, tmp_path / "out", seed=1)
        assert snapshot(tmp_path / "out") == before

    def test_other_settings_than_those_of_a_run_that_was_waited_for(self, data: Path, tmp_path: Path) -> None:
        out, settings = tmp_path / "out", [ArrangeSettings(), ArrangeSettings(seed=1), ArrangeSettings()]
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            for file in data.rglob("*.*"):
                archive.write(file, file.relative_to(data.parent))
        first, other, same = [list_pictures(str(tmp_path / "all.zip"), out, chosen, "copy") for chosen in settings]
        arrange(first, out, settings[0])
        before = {name: content for name, content in snapshot(out).items() if "/." not in name}
        with pytest.raises(StorageError, match="seed 0, not 1"):
            arrange(other, out, settings[1])
        assert len([same.reader.read(item.path) for item in same.items]) == 65  # still there for who waits
        assert arrange(same, out, settings[2]).placed == 0
        tree(out)  # nothing that was unpacked is left
        after = {name: content[0] for name, content in snapshot(out).items()}
        assert after == {name: content[0] for name, content in before.items()}

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 9}', '{"version": 1}'])
    def test_a_damaged_record(self, data: Path, tmp_path: Path, text: str) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out/split.json").write_text(text)
        with pytest.raises(DataError, match=r"split\.json"):
            arranged(data, tmp_path / "out")

    def test_a_class_that_is_no_name_of_a_folder(self, data: Path, tmp_path: Path) -> None:
        for name in ("a/b", "../x", ".hidden", "..", "x" * 256, "a\0b"):
            with pytest.raises(DataError, match="becomes a folder"):
                check_class(name)
        check_class("ça va (1)")
        rows = "".join(f"data/{p.parent.name}/{p.name},../{p.parent.name}\n" for p in sorted(data.rglob("[0-9]*.png")))
        (tmp_path / "evil.csv").write_text(rows)
        with pytest.raises(DataError, match="becomes a folder"):
            arranged(tmp_path / "evil.csv", tmp_path / "out")
        assert not (tmp_path / "out").exists()

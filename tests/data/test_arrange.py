import json
import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgcls_ray.config import PreprocessSettings, SourceSettings
from imgcls_ray.data.arrange import Arranged, ArrangeSettings, Way, arrange, list_pictures
from imgcls_ray.data.arrange.places import with_places
from imgcls_ray.data.arrange.placing import Mover
from imgcls_ray.data.manifest import ManifestRow, read_manifest
from imgcls_ray.data.sources import list_source
from imgcls_ray.errors import SettingsError
from tests.conftest import ingested

SETTINGS = ArrangeSettings()


def patterned(seed: int) -> Image.Image:
    """A picture that looks like no other."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return Image.fromarray(coarse).resize((50, 40), Image.Resampling.BICUBIC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes of thirty pictures, a copy of one, an almost equal one, a conflict and a file that is no picture."""
    root = tmp_path / "data"
    for label, name in enumerate(("ant", "bee")):
        (root / name).mkdir(parents=True)
        for number in range(30):
            patterned(100 * label + number).save(root / name / f"{number:02}.png")
    shutil.copy(root / "ant/03.png", root / "ant/copy.png")
    patterned(4).save(root / "ant/near.jpg", quality=90)
    for name in ("ant", "bee"):
        patterned(500).save(root / name / "both.png")
    (root / "bee/notes.png").write_text("no picture")
    return root


def arranged(data: Path | str, out: Path, way: Way = "copy", **settings: Any) -> Arranged:
    chosen = ArrangeSettings(**settings)
    source = list_pictures(str(data), out, chosen, way)
    return arrange(source, out, chosen, way)


def tree(out: Path) -> dict[str, bytes]:
    """The pictures of a layout; nothing else stands in its folders."""
    assert {p.name for p in out.iterdir()} <= {"split.json", "manifest.parquet", "train", "val", "test"}
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*/*/*")}


def where(out: Path) -> dict[bytes, str]:
    """Split of each picture by its bytes."""
    found = tree(out)
    assert len(set(found.values())) == len(found)
    return {content: place.split("/")[0] for place, content in found.items()}


def snapshot(root: Path) -> dict[str, tuple[bytes, int]]:
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.mark.usefixtures("ray_local")
class TestSplit:
    def test_is_the_one_that_preprocess_makes(self, data: Path, tmp_path: Path) -> None:
        before = snapshot(data)
        done = arranged(data, tmp_path / "out", seed=3)
        settings = PreprocessSettings(seed=3)
        rows = {row.path: row for row in read_manifest(ingested(data, tmp_path / "set", settings).path)}
        ours = {row.path: row for row in done.rows}
        assert {p: (r.status, r.reason, r.split, r.group) for p, r in ours.items()} == {
            p: (r.status, r.reason, r.split, r.group) for p, r in rows.items()
        }
        expected = {(data / row.path).read_bytes(): row.split for row in rows.values() if row.status == "used"}
        assert where(tmp_path / "out") == expected
        assert snapshot(data) == before
        document = done.to_json()
        assert document["images"] == {"found": 65, "used": 61, "rejected": 3, "duplicates": 1}
        assert document["rejected"] == {"same picture under two labels": 2, "not a picture": 1}
        assert document["splits"] == Counter(expected.values())
        assert (document["placed"], document["kept"], document["removed"]) == (61, 0, 0)

    def test_is_read_back_by_preprocess_as_given(self, data: Path, tmp_path: Path) -> None:
        arranged(data, tmp_path / "out")
        rows = read_manifest(ingested(tmp_path / "out", tmp_path / "set", PreprocessSettings()).path)
        assert len(rows) == 61
        assert all(row.status == "used" and row.path.startswith(f"{row.split}/{row.label}/") for row in rows)

    def test_moves_no_old_picture_when_new_ones_come(self, data: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        arranged(data, out)
        before = snapshot(out)
        for number in range(50, 60):
            patterned(number).save(data / "ant" / f"{number}.png")
        patterned(7).save(data / "ant" / "new.jpg", quality=85)  # near to an old one
        done = arranged(data, out)
        assert done.placed == 11
        after = snapshot(out)
        old = {name: file for name, file in before.items() if not name.endswith(("json", "parquet"))}
        assert old.items() <= after.items()
        found = where(out)
        assert found[(data / "ant/new.jpg").read_bytes()] == found[(data / "ant/07.png").read_bytes()]

    def test_does_nothing_twice(self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = arranged(data, tmp_path / "out")
        before = snapshot(tmp_path / "out")
        monkeypatch.setattr("imgcls_ray.data.scan.map_blocks", lambda *a, **k: pytest.fail("looked again"))
        again = arranged(data, tmp_path / "out")
        assert again.rows == first.rows
        assert again.placed == 0
        now = snapshot(tmp_path / "out")
        assert {k: v[0] for k, v in now.items()} == {k: v[0] for k, v in before.items()}
        assert all(now[k] == before[k] for k in now if k.endswith(("png", "jpg")))

    def test_keeps_given_splits_and_can_leave_the_test_away(self, data: Path, tmp_path: Path) -> None:
        one = tmp_path / "one"
        assert not arranged(data, one, test_fraction=0).splits["test"].get("ant")
        assert not (one / "test").exists()
        given = tmp_path / "given"
        shutil.copytree(data, given / "Training")
        shutil.copytree(one / "val", given / "Test")
        for file in (given / "Test").rglob("*.*"):
            (given / "Training" / file.relative_to(given / "Test")).unlink()
        done = arranged(given, tmp_path / "two", test_fraction=0)
        assert {row.path.split("/")[0] for row in done.rows if row.split == "test"} == {"Test"}
        assert {row.split for row in done.rows if row.shard and row.path[:4] == "Trai"} == {"train", "val"}

    def test_groups_by_path(self, data: Path, tmp_path: Path) -> None:
        arranged(data, tmp_path / "out", source={"group_by": r"/(\d)\d\.png"})
        found = tree(tmp_path / "out")
        splits = {n: {p.split("/")[0] for p in found if Path(p).name[:1] == n} for n in "012"}
        assert all(len(found) == 1 for found in splits.values())

    def test_takes_tables_and_archives(self, data: Path, tmp_path: Path) -> None:
        table = data.parent / "table.csv"
        names = sorted(p.relative_to(data.parent).as_posix() for p in data.rglob("*.*"))
        table.write_text("".join(f"{name},{name.split('/')[1]}\n" for name in names))
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            for name in names:
                archive.write(data.parent / name, name)
        arranged(data, tmp_path / "folder")
        for number, source in enumerate((table, tmp_path / "all.zip")):
            arranged(source, tmp_path / f"out{number}")
            assert tree(tmp_path / f"out{number}") == tree(tmp_path / "folder")
        with pytest.raises(SettingsError, match="can be linked"):
            arranged(tmp_path / "all.zip", tmp_path / "z", "link")
        for source in (table, tmp_path / "all.zip"):
            with pytest.raises(SettingsError, match="folders can be moved"):
                arranged(source, tmp_path / "z2", "move")

    def test_takes_records_of_other_files(self, tmp_path: Path) -> None:
        import h5py

        rng = np.random.default_rng(0)
        with h5py.File(tmp_path / "old.h5", "w") as file:
            for name in ("ant", "bee"):
                file[name] = rng.integers(0, 256, (20, 9, 8, 3), np.uint8)
        assert arranged(tmp_path / "old.h5", tmp_path / "out").placed == 40
        names = {Path(place).name for place in tree(tmp_path / "out")}
        assert "07.png" in names
        assert arranged(tmp_path / "old.h5", tmp_path / "out").placed == 0

    def test_names_that_collide_get_a_part_of_their_hash(self, data: Path, tmp_path: Path) -> None:
        for folder, seed in (("a", 900), ("b", 901)):
            (data / "ant" / folder).mkdir()
            patterned(seed).save(data / "ant" / folder / "same.png")
        # In one split for sure, by a group.
        done = arranged(data, tmp_path / "out", source={"group_by": "ant/./(same)"})
        same = sorted((row.path, row.shard) for row in done.rows if row.path.endswith("same.png"))
        assert len(same) == 2
        split = str(same[0][1]).split("/")[0]
        digest = next(row.sha256 for row in done.rows if row.path == "ant/b/same.png")
        assert [place for _, place in same] == [f"{split}/ant/same.png", f"{split}/ant/same-{str(digest)[:16]}.png"]

    def test_what_the_data_now_says_otherwise_of_changes_its_place(self, data: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        arranged(data, out)
        content = (data / "ant/05.png").read_bytes()
        split = where(out)[content]
        (data / "ant/05.png").rename(data / "bee/was-ant.png")
        done = arranged(data, out)
        assert (done.placed, done.removed) == (1, 1)
        assert [place for place, bytes_ in tree(out).items() if bytes_ == content] == [f"{split}/bee/was-ant.png"]

    def test_what_left_the_data_stays_and_still_counts(self, data: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        arranged(data, out)
        old = (data / "ant/08.png").read_bytes()
        (data / "ant/08.png").unlink()
        patterned(8).save(data / "ant/again.jpg", quality=85)
        done = arranged(data, out)
        assert (done.kept, done.placed) == (1, 1)
        assert where(out)[old] == where(out)[(data / "ant/again.jpg").read_bytes()]

    def test_a_file_of_the_user_is_never_written_over(self, data: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        arranged(data, out)
        for split in ("train", "val", "test"):
            (out / split / "ant/new.png").write_text("mine")
        patterned(77).save(data / "ant/new.png")
        assert arranged(data, out).placed == 1
        assert [(out / split / "ant/new.png").read_text() for split in ("train", "val", "test")] == ["mine"] * 3

    @pytest.mark.parametrize("way", ["copy", "link", "move"])
    @pytest.mark.parametrize("at", [0, 1, 20, 60])
    def test_ends_after_a_kill_as_without_one(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way, at: int
    ) -> None:
        pristine = data.parent / "pristine"
        shutil.copytree(data, pristine)
        arranged(pristine, tmp_path / "whole")
        all_of_it, placed = tree(tmp_path / "whole"), 0
        place = Mover._place

        def dying(self: Mover, row: ManifestRow) -> str | None:
            nonlocal placed
            placed += 1
            if placed > at:
                raise KeyboardInterrupt
            return place(self, row)

        with monkeypatch.context() as patch:
            patch.setattr(Mover, "_place", dying)
            with pytest.raises(KeyboardInterrupt):
                arranged(data, tmp_path / "out", way)
        shutil.rmtree(tmp_path / "out/.work")
        assert tree(tmp_path / "out").items() <= all_of_it.items()
        arranged(data, tmp_path / "out", way)
        assert tree(tmp_path / "out") == all_of_it

    def test_what_a_crash_of_the_machine_cut_off_is_made_again(self, data: Path, tmp_path: Path) -> None:
        arranged(data, tmp_path / "out")
        whole = tree(tmp_path / "out")
        first, second, *_ = sorted(whole)
        (tmp_path / "out" / first).write_bytes(whole[first][:9])
        (tmp_path / "out" / second).unlink()
        assert arranged(data, tmp_path / "out").placed == 2
        assert tree(tmp_path / "out") == whole

    def test_a_picture_that_changes_meanwhile_is_left_out(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = Mover.place_all

        def late(self: Mover, rows: Any) -> Any:
            patterned(1234).save(data / "ant/05.png")
            return place(self, rows)

        with monkeypatch.context() as patch:
            patch.setattr(Mover, "place_all", late)
            done = arranged(data, tmp_path / "out")
        assert done.to_json()["rejected"]["changed while it was read"] == 1
        assert len(tree(tmp_path / "out")) == 60
        assert arranged(data, tmp_path / "out").counts.used == 61
        assert len(tree(tmp_path / "out")) == 61


def test_places_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    row = ManifestRow("", "a", "train", "", None, None, 1, "used")
    rows = [replace(row, path=f"{n}/x.png", sha256=f"{n}" * 64) for n in range(4)]
    forth = {r.path: r.shard for r in with_places(rows, {}, tmp_path, True)}
    back = {r.path: r.shard for r in with_places(rows[::-1], {}, tmp_path, True)}
    assert forth == back
    assert len(set(forth.values())) == 4
    assert forth["0/x.png"] == "train/a/x.png"


def test_the_record_says_how_the_split_was_made(pictures: Path, tmp_path: Path, ray_local: None) -> None:
    source = list_source(str(pictures), SourceSettings())
    arrange(source, tmp_path / "out", ArrangeSettings(seed=5))
    document = json.loads((tmp_path / "out/split.json").read_text())
    assert document == {
        "version": 1,
        "source": str(pictures),
        "way": "copy",
        "settings": {"test_fraction": 0.2, "val_fraction": 0.1, "seed": 5, "group_by": None},
    }

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data.arrange import ArrangeSettings, arrange, list_pictures
from imgcls_ray.data.augmentation import Augmented, AugmentSettings, augment
from imgcls_ray.data.augmentation.copies import encoded, views
from imgcls_ray.data.augmentation.dealing import original_of
from imgcls_ray.data.augmentation.job import check_earlier
from imgcls_ray.data.manifest import read_manifest
from imgcls_ray.errors import DataError, SettingsError, StorageError
from tests.conftest import ingested
from tests.data.test_arrange import patterned, snapshot


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for label, name in enumerate(("ant", "bee")):
        (root / name).mkdir(parents=True)
        for number in range(20 - 5 * label):
            patterned(100 * label + number).save(root / name / f"{number:02}.png")
    return root


def augmented(data: Path, out: Path, seed: int = 0, **settings: Any) -> Augmented:
    chosen = ArrangeSettings(seed=seed)
    source = list_pictures(str(data), out, chosen, "copy")
    return augment(arrange(source, out, chosen), AugmentSettings(**settings), seed)


def pictures_of(out: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The originals and the copies by place."""
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*/*/*")}
    copies = {place: content for place, content in found.items() if original_of(place)}
    return {place: found[place] for place in found.keys() - copies.keys()}, copies


@pytest.mark.usefixtures("ray_local")
class TestAugment:
    def test_copies_stand_beside_their_originals_in_training_only(self, data: Path, tmp_path: Path) -> None:
        before = snapshot(data)
        done = augmented(data, tmp_path / "out", per_class=30)
        originals, copies = pictures_of(tmp_path / "out")
        assert snapshot(data) == before
        assert sorted(originals.values()) == sorted(p.read_bytes() for p in data.rglob("*.png"))
        for place in copies:
            original = original_of(place)
            assert original and original[0] in originals
            assert place.startswith("train/")
        for name in ("ant", "bee"):
            assert sum(place.startswith(f"train/{name}/") for place in (*originals, *copies)) == 30
        assert len(set(copies.values())) == len(copies) == done.made
        assert done.classes == {
            name: (sum(p.startswith(f"train/{name}/") for p in originals), sum(f"/{name}/" in p for p in copies))
            for name in ("ant", "bee")
        }
        assert not done.short

    def test_preprocess_keeps_every_copy_in_training_and_drops_no_original(self, data: Path, tmp_path: Path) -> None:
        augmented(data, tmp_path / "out", per_class=60)
        done = ingested(tmp_path / "out", tmp_path / "set", PreprocessSettings(image_size=(24, 24)))
        rows = read_manifest(done.path)
        assert len(rows) == sum(len(part) for part in pictures_of(tmp_path / "out"))
        for row in rows:
            if original_of(row.path):
                assert row.split in ("train", None)
            else:
                assert (row.status, row.split) == ("used", row.path.split("/")[0])
        assert sum(row.status == "used" for row in rows) > 0.9 * len(rows)

    def test_a_copy_follows_from_seed_original_and_number_alone(self, data: Path, tmp_path: Path) -> None:
        settings: dict[str, Any] = {"distort": 0.5, "flip_vertical": 0.5, "format": "png", "size": "20x30"}
        augmented(data, tmp_path / "one", per_class=30, **settings)
        originals, copies = pictures_of(tmp_path / "one")
        rows = {row.shard: row for row in read_manifest(tmp_path / "one")}
        for place, content in sorted(copies.items())[::5]:
            original, number = original_of(place) or ("", 0)
            made = views(
                originals[original], rows[original].sha256 or "", 9, AugmentSettings(per_class=9, **settings), 0
            )
            copy = dict(made)[number]
            assert copy.shape == (20, 30, 3)
            assert content == encoded(copy, "png")
            assert np.array_equal(np.asarray(Image.open(tmp_path / "one" / place)), copy)
        augmented(data, tmp_path / "two", per_class=30, **settings)
        assert pictures_of(tmp_path / "two")[1] == copies
        augmented(data, tmp_path / "three", seed=1, per_class=30, **settings)
        assert not set(pictures_of(tmp_path / "three")[1].values()) & set(copies.values())

    def test_a_second_run_makes_what_is_missing_only(self, data: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        augmented(data, out, per_class=30)
        whole = snapshot(out)
        copies = sorted(pictures_of(out)[1])
        for place in copies[::3]:
            (out / place).unlink()
        (out / "train/ant/.00.png.aug-9.jpg.0123abcd.tmp").write_bytes(b"half")
        (out / copies[1]).write_bytes(b"")
        done = augmented(data, out, per_class=30)
        assert done.made == len(copies[::3]) + 1
        now = snapshot(out)
        assert {k: v[0] for k, v in now.items()} == {k: v[0] for k, v in whole.items()}
        for place in {*copies} - {*copies[::3], copies[1]}:
            assert now[str(out / place)] == whole[str(out / place)]
        assert augmented(data, out, per_class=30).made == 0

    def test_the_longest_names_have_copies_too(self, data: Path, tmp_path: Path) -> None:
        for file in (data / "bee").iterdir():
            file.rename(file.with_name(f"{file.stem}{'x' * (251 - len(file.stem))}.png"))
        done = augmented(data, tmp_path / "out", per_class=30)
        assert sum(done.classes["bee"]) == 30
        assert not done.short
        again = augmented(data, tmp_path / "out", per_class=30)
        assert (again.made, again.classes) == (0, done.classes)

    def test_more_can_be_asked_for_and_originals_can_come_and_go(self, data: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        augmented(data, out, per_class=30)
        before = pictures_of(out)[1]
        augmented(data, out, per_class=40)
        more = pictures_of(out)[1]
        assert before.items() < more.items()
        augmented(data, tmp_path / "at_once", per_class=40)
        assert pictures_of(tmp_path / "at_once")[1] == more
        for number in range(40, 45):
            patterned(number).save(data / "ant" / f"{number}.png")
        done = augmented(data, out, per_class=40)
        assert pictures_of(out)[1] == more
        assert sum(done.classes["ant"]) > 40  # what is there stays
        # An original that changes its class takes its copies along: the old ones are of the wrong class.
        gone = next(original_of(place) for place in more if place.startswith("train/ant/"))
        name = Path(gone[0] if gone else "").name
        shutil.move(data / "ant" / name, data / "bee" / f"x{name}")
        augmented(data, out, per_class=40)
        originals, copies = pictures_of(out)
        assert f"train/bee/x{name}" in originals
        assert not any(place.startswith(f"train/ant/{name}.aug") for place in copies)

    def test_only_different_copies_count(self, data: Path, tmp_path: Path) -> None:
        off = {"crop": 0, "rotate": 0, "erase": 0}
        done = augmented(data, tmp_path / "out", per_class=200, **off)
        for name, (originals, copies) in done.classes.items():
            assert copies == originals  # each has one mirror image
            assert done.short[name] == 200 - 2 * originals

    def test_an_original_that_was_damaged_in_the_layout_is_told(self, data: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        augmented(data, out, per_class=5)
        place = next(place for place in pictures_of(out)[0] if place.startswith("train"))
        size = (out / place).stat().st_size
        (out / place).write_bytes(b"x" * size)
        with pytest.raises(DataError, match=place):
            augmented(data, out, per_class=60)

    def test_copies_of_another_kind_are_refused(self, data: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        augmented(data, out, per_class=30)
        before = {name: content for name, (content, _) in snapshot(out).items()}
        for other in ({"erase": 0.1}, {"size": 32}, {"format": "png"}):
            with pytest.raises(StorageError, match=next(iter(other))):
                augmented(data, out, per_class=30, **other)
        assert {name: content for name, (content, _) in snapshot(out).items()} == before
        (out / "augment.json").write_text("{")
        with pytest.raises(StorageError, match=r"augment\.json"):
            check_earlier(out, AugmentSettings(per_class=3), 0)


def test_all_off_is_refused(tmp_path: Path) -> None:
    off = AugmentSettings(per_class=3, flip_horizontal=0, crop=0, rotate=0, erase=0)
    with pytest.raises(SettingsError, match="all are off"):
        check_earlier(tmp_path, off, 0)


@pytest.mark.parametrize(
    "wrong", [{"crop": 1.1}, {"crop": -1}, {"per_class": 0}, {"format": "gif"}, {"size": "4"}, {"x": 1}]
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AugmentSettings(**{"per_class": 3, **wrong})


def test_copies_of_large_pictures_are_bounded(tmp_path: Path) -> None:
    file = tmp_path / "wide.png"
    Image.new("RGB", (40_000, 20), (1, 2, 3)).save(file)
    settings = AugmentSettings(per_class=2, distort=1, rotate=1)
    copies = dict(views(file.read_bytes(), "0", 2, settings, 0))
    assert {copy.shape for copy in copies.values()} == {(2, 4096, 3)}

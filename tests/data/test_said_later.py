"""What a source says of its pictures only after they were preprocessed: a label that was missing, groups."""

from pathlib import Path

import pytest

from imgcls_ray.data.manifest import read_manifest
from imgcls_ray.errors import DataError
from tests.conftest import ingested, write_tree

from .test_preprocess import SETTINGS


def test_what_its_source_left_out_is_looked_at_when_it_has_a_label(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=10)
    rows = [f"class{label}/{number}.png,class{label}" for label in range(2) for number in range(10)]
    table = root / "labels.csv"
    table.write_text("\n".join(["path,label", *rows[:-1], rows[-1].replace(",class1", ",")]) + "\n")
    first = ingested(table, tmp_path / "out", SETTINGS)
    assert (first.counts.used, first.counts.rejected) == (19, 1)
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    done = ingested(table, tmp_path / "out", SETTINGS)
    assert (done.counts.used, done.counts.rejected, done.decoded) == (20, 0, 1)


def test_groups_that_are_named_later_are_no_longer_split(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", classes=2, each=20)
    table, names = root / "labels.csv", [f"class{label}/{number}.png" for label in range(2) for number in range(20)]

    def write(groups: dict[str, str]) -> None:
        rows = [f"{name},{name.partition('/')[0]},{groups.get(name, '')}" for name in names]
        table.write_text("\n".join(["path,label,group", *rows]) + "\n")

    write({})
    done = ingested(table, tmp_path / "out", SETTINGS)
    split = {row.path: row.split for row in read_manifest(done.path)}
    train, test = ([name for name in names if split[name] == wanted] for wanted in ("train", "test"))
    write(dict.fromkeys(train[:2], "patient 1"))
    assert not ingested(table, tmp_path / "out", SETTINGS).decoded
    assert {row.given_group for row in read_manifest(done.path)} == {"patient 1", None}
    write({train[0]: "patient 1", test[0]: "patient 1"})
    with pytest.raises(DataError, match=r"of 'patient 1' .* was used for (train|test) and .* begin the set anew"):
        ingested(table, tmp_path / "out", SETTINGS)
    assert split == {row.path: row.split for row in read_manifest(done.path)}

import json
from pathlib import Path

import pytest

from imgcls_ray.config.settings import SourceSettings
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.sources import Source, list_source
from imgcls_ray.errors import DataError
from tests.data.sources.test_folders import tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(tree(tmp_path / "set", "a/1.jpg", "a/2.jpg", "a/3.jpg", "b/1.jpg", "b/2.jpg"))


def table(folder: Path, text: str | bytes, name: str = "t.csv", **settings: str) -> Source:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return list_source(str(folder / name), SourceSettings.model_validate(settings))


BARE = "a/1.jpg,x\na/2.jpg,x\nb/1.jpg,y\nb/2.jpg,y\n"


def said(source: Source) -> list[tuple[str, str, str | None]]:
    return [(item.path, item.label, item.refused) for item in source.items]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", BARE),
        ("t.csv", "\ufeff" + BARE.replace("\n", "\r\n\r\n")),
        ("t.csv", 'Label,extra,PATH\nx,,a/1.jpg\nx,,"a/2.jpg"\n\n,,\ny,,b/1.jpg\ny,9,./b//2.jpg\n'),
        ("t.csv", "filename;class\na/1.jpg;x\na\\2.jpg;x\nb/1.jpg;y\nb/2.jpg;y\n"),
        ("t.TSV", "category\timage_uri\nx\ta/1.jpg\nx\ta/2.jpg\ny\tb/1.jpg\ny\tb/2.jpg"),
        ("t.csv", BARE + "a/1.jpg,x\n"),
        ("t.jsonl", "\n".join(json.dumps({"Path": p, "label": [c]}) for p, c in (r.split(",") for r in BARE.split()))),
        ("t.ndjson", "\n".join(json.dumps({"uri": p, "class": c}) for p, c in (r.split(",") for r in BARE.split()))),
    ],
)
def test_every_form_of_a_table_says_the_same(folder: Path, name: str, text: str) -> None:
    source = table(folder, text, name)
    assert said(source) == [
        ("a/1.jpg", "x", None),
        ("a/2.jpg", "x", None),
        ("b/1.jpg", "y", None),
        ("b/2.jpg", "y", None),
    ]
    assert (source.name, source.root, source.labels) == ("t", str(folder / name), Labels(("x", "y")))
    assert all(item.bytes == 1 and item.mtime_ns > 0 for item in source.items)
    assert source.reader.read("a/1.jpg") == b"x"


def test_splits_and_groups_are_taken_from_their_columns(folder: Path) -> None:
    text = (
        "path,label,SET,group\na/1.jpg,x,Training,p1\na/2.jpg,x,val,\na/3.jpg,x,,\nb/1.jpg,y,train,\nb/2.jpg,y,TEST,p2"
    )
    found = [(item.split, item.group) for item in table(folder, text, group_by="/([0-9])").items]
    assert found == [("train", "p1"), ("val", "2"), (None, "3"), ("train", "1"), ("test", "p2")]


def test_rows_that_can_not_count_have_a_reason(folder: Path) -> None:
    text = BARE + "a/3.jpg\nc.jpg,\nd.jpg,y,x\n,x\nf.jpg,x\nf.jpg,y\nhttp://host/g.jpg,x\nh.jpg,x,x\n"
    found = {path: refused for path, _, refused in said(table(folder, text)) if refused}
    assert found == {
        "a/3.jpg": "unlabelled",
        "c.jpg": "unlabelled",
        "d.jpg": "several labels (y, x)",
        "t.csv:8": "no path",
        "f.jpg": "several labels (x, y)",
        "http://host/g.jpg": "unknown kind of address (http)",
    }


def test_the_first_known_label_is_taken_where_that_is_wanted(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "dict.txt").write_text("y\nx\n")
    text = BARE + "a/3.jpg,zebra,x,y\nd.jpg,zebra\n"
    source = table(folder, text, labels=str(tmp_path / "dict.txt"), multi_label="first")
    assert source.labels == Labels(("y", "x"))
    assert ("a/3.jpg", "x", None) in said(source)
    assert ("d.jpg", "", "unknown label (zebra)") in said(source)


def test_a_picture_in_two_splits_is_left_out(folder: Path) -> None:
    source = table(folder, "path,label,split\n" + BARE.replace("\n", ",train\n") + "a/1.jpg,x,test\na/3.jpg,x,train\n")
    assert ("a/1.jpg", "", "several splits (train, test)") in said(source)


def test_latin_1_is_read_and_absolute_paths_stay(folder: Path) -> None:
    absolute = folder / "b" / "2.jpg"
    source = table(
        folder, f"a/1.jpg,caf\xe9\na/2.jpg,caf\xe9\nb/1.jpg,y\n{absolute},y\nfile://{absolute},y".encode("latin-1")
    )
    assert source.labels.names == ("caf\xe9", "y")
    assert len(source.items) == 4
    assert source.items[0].path == str(absolute)
    assert source.reader.read(str(absolute)) == b"x"


def test_pictures_may_lie_in_a_folder_beside_the_table(folder: Path, tmp_path: Path) -> None:
    tree(tmp_path, "other/z.jpg")
    source = table(tmp_path, BARE)
    assert [item.path for item in source.items] == ["set/a/1.jpg", "set/a/2.jpg", "set/b/1.jpg", "set/b/2.jpg"]
    assert source.reader.read("set/a/1.jpg") == b"x"
    tree(tmp_path, "copy/a/1.jpg")
    with pytest.raises(DataError, match="lies in copy and in set"):
        table(tmp_path, BARE)
    with pytest.raises(DataError, match=r"'q\.jpg' of .*/t\.csv is not there"):
        table(tmp_path, "q.jpg,x\nr.jpg,y\n")


def test_a_missing_picture_is_listed_and_fails_when_it_is_read(folder: Path) -> None:
    source = table(folder, BARE + "gone.jpg,x\n")
    assert (source.items[-1].path, source.items[-1].bytes) == ("gone.jpg", 0)
    with pytest.raises(OSError, match="No such file"):
        source.reader.read("gone.jpg")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has none"),
        ("path,label\n", "has none"),
        ("name,label\na/1.jpg,x\n", "column with the pictures' paths .* has name, label"),
        ("path,species\na/1.jpg,x\n", r"column with the labels \(label, class, category\); .* has path, species"),
        ("path,label,split\na/1.jpg,x,trial\n", "line 2 of .* has 'trial'; did you mean 'train'"),
        (BARE + "b\0,x", "zero bytes"),
        ('a/1.jpg,"x' + "y" * 200_000, "line 1 of .* field larger than"),
        ("a/1.jpg,x\na/2.jpg,x\n", "At least 2 classes are needed; .* holds one, 'x'"),
        ("a/1.jpg\na/2.jpg\n", "holds none"),
        ("a/1.jpg,x\na/2.jpg,x\nb/1.jpg,y\n", "'y' in .* has 1: add some or remove its rows"),
        (
            "path,label,split\na/1.jpg,x,train\na/2.jpg,x,\nb/1.jpg,y,test\nb/2.jpg,y,test\n",
            "in the training rows; 'y'",
        ),
    ],
)
def test_an_unusable_table_is_refused_in_a_sentence(folder: Path, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as error:
        table(folder, text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        r'{"path": "a\u0000"}',
        r'{"path": "a", "label": "\ud800"}',
        "[1]",
        "{",
        '{"path": {"a": 1}}',
        '{"path": "a", "label": 1.5}',
        "[" * 100_000,
    ],
)
def test_a_line_that_is_no_object_is_named(folder: Path, line: str) -> None:
    with pytest.raises(DataError, match=r"line 2 of .*t\.jsonl"):
        table(folder, f'{{"path": "a/1.jpg", "label": "x"}}\n{line}\n', "t.jsonl")


def test_numbers_are_labels_too(folder: Path) -> None:
    rows = [{"path": row.split(",")[0], "label": int(row.endswith("y"))} for row in BARE.split()]
    assert table(folder, "\n".join(map(json.dumps, rows)), "t.jsonl").labels.names == ("0", "1")


def test_for_a_trained_model_unlabelled_rows_are_left_out_but_unknown_classes_are_not(folder: Path) -> None:
    (folder / "t.csv").write_text("a/1.jpg,x\na/2.jpg\n")
    assert len(list_source(str(folder / "t.csv"), labels=Labels(("x", "y"))).items) == 2
    with pytest.raises(DataError, match=r"The labels in .*t\.csv must be classes of the model .* received 'x'"):
        list_source(str(folder / "t.csv"), labels=Labels(("y", "z")))


def test_real_splits_are_found_beside_their_pictures(test_data: Path) -> None:
    source = list_source(str(test_data / "hymenoptera_splits.csv"))
    assert len(source.items) == 398
    assert {item.split for item in source.items} == {"train", "val"}
    assert all(item.bytes for item in source.items)

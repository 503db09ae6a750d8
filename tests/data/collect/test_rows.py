from pathlib import Path

import pytest

from imgcls_ray.data.collect import Candidate, Row, UrlLists, Wanted, read_rows
from imgcls_ray.data.collect.urls import read_list
from imgcls_ray.errors import DataError


def read(tmp_path: Path, text: str | bytes) -> Wanted:
    path = tmp_path / "terms.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_rows(path)


@pytest.mark.parametrize(
    "head",
    [
        "search_term,number_imgs,folder_name,train_val",
        "search_term,number_imgs,category,set",
        "Term,Number,Class,Split",
        "SEARCH-TERM, number images ,Label,subset",
        "search_term;number_imgs;category;set",
        "search_term\tnumber_imgs\tcategory\tset",
        "\ufeffquery,count,class,split",
    ],
)
def test_the_forms_of_the_csv(tmp_path: Path, head: str) -> None:
    sign = next(sign for sign in ";\t," if sign in head)
    body = [
        ["red rose", "30", "roses", "train"],
        [],
        ["rose", "5", "roses", "Validation"],
        ["tulip", "0", "tulips", "TEST"],
    ]
    text = "\r\n".join([head, *(sign.join(fields) for fields in body)])
    assert read(tmp_path, text) == Wanted(
        (
            Row(2, "red rose", 30, "roses", "train"),
            Row(4, "rose", 5, "roses", "val"),
            Row(5, "tulip", 0, "tulips", "test"),
        ),
        None,
    )


def test_latin_1_and_what_may_be_left_away(tmp_path: Path) -> None:
    wanted = read(tmp_path, 'category,n,remark\nKrüge,3,"a, b"\nKrüge,4,\n'.encode("latin-1"))
    assert wanted.rows == (Row(2, "Krüge", 7, "Krüge", None),)
    assert wanted.rows[0].folder == "Krüge"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no row"),
        ("term,number,class\n\n", "has no row"),
        ("term,class\na,b", "has none for number"),
        ("a,b\n1,2", "has none for number and class"),
        ("term,number,class\na,many,b", r"line 2 of .* has 'many'"),
        ("term,number,class\na,1,b\n\nc,-1,b", r"line 4 of .* has '-1'"),
        ("term,number,class\na,1.5,b", "has '1.5'"),
        ("term,number,class\na,99999999,b", "is 0 to 1000000"),
        ("term,number,class\na,1,", "line 2 of .* has none"),
        ("term,number,class\na,1,../b", "line 2 of .* has '../b'"),
        ("term,number,class\na,1,.b", r"line 2 of .* has '\.b'"),
        ("term,number,class\na,1,Train", "another name than a split"),
        ("term,number,class,split\na,1,b,tain", r"line 2 of .* has 'tain'; did you mean 'train'\?"),
        ("term,number,class,split\na,1,b,train\na,1,c,", "line 3 of .* has none"),
        ("term,number,class\na,1,b,c", "has 4 instead of 3"),
        ('term,number,class\n"a,1,b', "line 2 of .* is none"),
        ("term,number,class,category\na,1,b,c", "has class and category"),
        ("url,class\nhttp://a/1.jpg,b\nftp://a/2.jpg,b", "line 3 of .* has 'ftp://a/2.jpg'"),
        (b"\0\1", "must be a text"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as raised:
        read(tmp_path, text)
    assert str(raised.value).endswith((".", "?"))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_rows(tmp_path / "none.csv")
    with pytest.raises(DataError, match="Is a directory"):
        read_rows(tmp_path)


def test_a_csv_of_addresses(tmp_path: Path) -> None:
    wanted = read(
        tmp_path,
        "url,class,set,license,license_url,author,title,source\n"
        "http://a/1.jpg,roses,train,CC BY 4.0,https://l,Ann,Rose,https://p\n"
        "http://a/1.jpg,roses,train,,,,,\n"
        "HTTPS://a/2.jpg,roses,val,,,,,\n",
    )
    assert wanted.rows == (Row(2, "roses", 1, "roses", "train"), Row(4, "roses", 1, "roses", "val"))
    assert wanted.lists == {
        ("roses", "roses", "train"): (
            Candidate("http://a/1.jpg", "https://p", "CC BY 4.0", "https://l", "Ann", "Rose"),
        ),
        ("roses", "roses", "val"): (Candidate("HTTPS://a/2.jpg"),),
    }


def test_lists_of_addresses(tmp_path: Path) -> None:
    row = Row(2, "roses.txt", 3, "roses", None)
    (tmp_path / "roses.txt").write_text("# mine\nhttp://a/1.jpg\n\n http://a/2.jpg \nhttp://a/1.jpg\n")
    (tmp_path / "roses.csv").write_text("title,URL\nOne,http://a/1.jpg\n")
    assert read_list(tmp_path / "roses.txt", row) == (Candidate("http://a/1.jpg"), Candidate("http://a/2.jpg"))
    assert read_list(tmp_path / "roses.csv", row) == (Candidate("http://a/1.jpg", title="One"),)
    provider = UrlLists.of_files((row,), tmp_path)
    assert [candidate.url for candidate in provider.search(row, 1).candidates] == ["http://a/1.jpg", "http://a/2.jpg"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("http://a/1.jpg\nb.jpg\n", "line 2 of .* has 'b.jpg'"),
        ("term,number,class\na,1,b\n", "is neither"),
        (None, "line 7 names .*, which is no file"),
    ],
)
def test_a_list_that_is_none(tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / "list.txt").write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_list(tmp_path / "list.txt", Row(7, "list.txt", 3, "roses", None))

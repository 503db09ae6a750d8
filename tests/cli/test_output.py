import io
import json
import math
import subprocess

import pytest
from rich.console import Console
from rich.table import Table

from imgcls_ray.cli.output import Output, output


def test_with_json_only_the_document_is_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    with output(as_json=True) as out:
        print("of a library")
        subprocess.run(["echo", "of a child"], check=True)
        out.console.print("of us")
        out.document({"a": 1, "label": "Blüte"})
    print("after")
    said = capfd.readouterr()
    assert said.out == '{"a": 1, "label": "Blüte"}\nafter\n'
    assert sorted(said.err.splitlines()) == ["of a child", "of a library", "of us"]


def test_stdout_is_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="x"), output(as_json=True):
        raise ValueError("x")
    print("here")
    assert capfd.readouterr().out == "here\n"


def test_a_document_is_json_whatever_is_in_it(capfd: pytest.CaptureFixture[str]) -> None:
    document = {"loss": math.nan, "rows": [(1.5, math.inf)], "path": "caf\udce9.png", "two": "a\nb"}
    with output(as_json=True) as out:
        out.document(document)
    (line,) = capfd.readouterr().out.splitlines()
    assert json.loads(line) == {"loss": None, "rows": [[1.5, None]], "path": "caf\udce9.png", "two": "a\nb"}


def test_a_line_is_printed_as_it_is_and_never_wrapped() -> None:
    file = io.StringIO()
    out = Output(Console(file=file, width=20), lambda document: None)
    out.line("/runs/[bold]x[/]/" + "y" * 50, "bundle", "(new)")
    assert file.getvalue() == "bundle     /runs/[bold]x[/]/" + "y" * 50 + " (new)\n"


def test_a_table_in_a_pipe_has_all_its_words_in_one_line() -> None:
    file = io.StringIO()
    out = Output(Console(file=file, width=20), lambda document: None)
    table = Table("model", "moved", box=None, pad_edge=False)
    table.add_row("flowers", "promoted by somebody because of " + "x" * 200)
    out.table(table)
    _, row = file.getvalue().splitlines()
    assert row.split() == ["flowers", "promoted", "by", "somebody", "because", "of", "x" * 200]


def test_a_table_is_as_wide_as_the_terminal() -> None:
    file = io.StringIO()
    out = Output(Console(file=file, width=20, force_terminal=True), lambda document: None)
    table = Table("model", "moved", show_header=False, box=None, pad_edge=False)
    table.add_row("flowers", "by somebody because of something")
    out.table(table)
    assert all(len(line) <= 20 for line in file.getvalue().splitlines())

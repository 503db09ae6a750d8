"""The command `imgcls`: one file per verb; each parses, calls one function and prints."""

import io
import sys

import typer
from typer.exceptions import TyperException

from imgcls_ray import __version__, quiet
from imgcls_ray.cli.adopt import adopt
from imgcls_ray.cli.augment import augment
from imgcls_ray.cli.classify import classify
from imgcls_ray.cli.collect import collect
from imgcls_ray.cli.compare import compare
from imgcls_ray.cli.demo import demo
from imgcls_ray.cli.embed import embed
from imgcls_ray.cli.evaluate import evaluate
from imgcls_ray.cli.export import export
from imgcls_ray.cli.fit import fit
from imgcls_ray.cli.flags import unfolded
from imgcls_ray.cli.models import models
from imgcls_ray.cli.preprocess import preprocess
from imgcls_ray.cli.promote import promote
from imgcls_ray.cli.request import request
from imgcls_ray.cli.rollback import rollback
from imgcls_ray.cli.run import run
from imgcls_ray.cli.search import search
from imgcls_ray.cli.serve import serve
from imgcls_ray.cli.split import split
from imgcls_ray.cli.track import track
from imgcls_ray.cli.trials import trials
from imgcls_ray.cli.ui import ui
from imgcls_ray.cli.update import update
from imgcls_ray.cli.usage import check_given, explain
from imgcls_ray.errors import ImgclsError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

app = typer.Typer(name="imgcls", add_completion=False, pretty_exceptions_enable=False)
_VERBS = (
    demo,
    run,
    update,
    adopt,
    collect,
    split,
    augment,
    preprocess,
    embed,
    search,
    trials,
    compare,
    track,
    fit,
    classify,
    evaluate,
    export,
    request,
    models,
    promote,
    rollback,
    serve,
    ui,
)
for verb in _VERBS:
    app.command()(unfolded(verb))


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", metavar="", help="Print the version and exit."),
) -> None:
    """Find, keep and serve the best classifier for your pictures."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)


def main() -> None:
    """Run the command line; an error of ours becomes its sentence and its exit code."""
    quiet.own_process()
    for stream in (sys.stdout, sys.stderr):
        # A file name that is no valid text, or a terminal without a sign, must not end the program.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        check_given(sys.argv[1:])
        code = app(prog_name="imgcls", standalone_mode=False)
    except ImgclsError as error:
        _fail(str(error), error.exit_code)
    except TyperException as error:
        _fail(explain(error), 2)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        _fail("interrupted; steps that were finished are kept and not done again.", INTERRUPTED)
    sys.exit(code)


def _fail(sentence: str, code: int) -> None:
    typer.echo(f"imgcls: {' '.join(sentence.split())}", err=True)
    sys.exit(code)

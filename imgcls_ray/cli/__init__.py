"""The command `imgcls`: one file per verb; each parses, calls one function and prints."""

import sys

import typer

from imgcls_ray import __version__
from imgcls_ray.cli.classify import classify
from imgcls_ray.cli.demo import demo
from imgcls_ray.cli.evaluate import evaluate
from imgcls_ray.cli.run import run
from imgcls_ray.cli.serve import serve
from imgcls_ray.cli.ui import ui
from imgcls_ray.errors import ImgclsError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

app = typer.Typer(
    name="imgcls",
    help="Find, keep and serve the best classifier for your pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (demo, run, classify, evaluate, serve, ui):
    app.command()(verb)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Find, keep and serve the best classifier for your pictures."""


def main() -> None:
    """Run the command line; an error of ours becomes its sentence and its exit code."""
    try:
        app()
    except ImgclsError as error:
        typer.echo(f"imgcls: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("imgcls: interrupted.", err=True)
        sys.exit(INTERRUPTED)

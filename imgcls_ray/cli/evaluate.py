"""`imgcls evaluate`: how good a model is on a labelled folder."""

from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Json, Model, Storage, TrackingUri

if TYPE_CHECKING:
    from rich.console import Console

    from imgcls_ray.answers import Evaluation


def evaluate(
    data: Annotated[str, typer.Argument(help="Folder of labelled pictures; every one counts.", metavar="DATA")],
    model: Model,
    storage: Storage = "./imgcls-runs",
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Print accuracy, loss, precision, recall and F1, per class and macro."""
    from imgcls_ray.cli.output import output, print_json

    with output(as_json) as console:
        from imgcls_ray import api, quiet

        quiet.import_tensorflow()
        evaluation = api.evaluate(api.load_model(model, storage, tracking_uri), data)
        if not as_json:
            _print(console, evaluation)
    if as_json:
        print_json(evaluation.to_json())


def _print(console: "Console", evaluation: "Evaluation") -> None:
    from rich.table import Table

    metrics = evaluation.metrics
    console.print(f"accuracy [bold]{metrics.accuracy:.4f}[/]   loss {metrics.loss:.4f}   on {metrics.images} pictures")
    table = Table(box=None, pad_edge=False)
    for name in ("class", "precision", "recall", "F1", "pictures"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for label, row in metrics.per_class.items():
        table.add_row(label, f"{row.precision:.4f}", f"{row.recall:.4f}", f"{row.f1:.4f}", str(row.support))
    macro = (metrics.precision_macro, metrics.recall_macro, metrics.f1_macro)
    table.add_row("macro", *(f"{value:.4f}" for value in macro), str(metrics.images), style="bold")
    console.print(table)
    if evaluation.rejected:
        console.print(f"{len(evaluation.rejected)} files are no usable pictures and count in no figure:")
        for path, reason in list(evaluation.rejected.items())[:10]:
            console.print(f"  {path}: {reason}", soft_wrap=True)

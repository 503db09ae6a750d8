"""`imgcls evaluate`: how good a model is on a labelled folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Json, Model, Storage, TrackingUri

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.use.answers import Evaluation

SHOWN = 10
"""Rejected files that are listed."""


def evaluate(
    data: Annotated[
        str,
        typer.Argument(
            help="Folder, table, archive or address of labelled pictures; every one counts.", metavar="DATA"
        ),
    ],
    model: Model,
    labels: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File with one class name a line; other classes are left out and counted."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the model's report to this file, and its JSON beside it.", show_default="none"
        ),
    ] = None,
    storage: Storage = "./imgcls-runs",
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Print accuracy, loss, precision, recall and F1, per class and macro."""
    from imgcls_ray.cli.loading import load_model
    from imgcls_ray.cli.output import output
    from imgcls_ray.config.settings import SourceSettings
    from imgcls_ray.storage import Storage as Root
    from imgcls_ray.use import answers

    answers.check_folder(data)
    if html is not None:
        answers.check_page(html := html.expanduser())
    with output(as_json) as out:
        bundle = load_model(model, storage, tracking_uri)
        evaluation = answers.evaluate(bundle, data, SourceSettings(labels=labels), Root.at(storage).unpacked)
        if html is not None:
            answers.write_report(html, bundle, evaluation)
        if as_json:
            out.document(evaluation.to_json())
        else:
            _print(out, evaluation)


def _print(out: "Output", evaluation: "Evaluation") -> None:
    metrics = evaluation.metrics
    out.line(f"accuracy {metrics.accuracy:.4f}   loss {metrics.loss:.4f}   on {metrics.images} pictures")
    more: dict[str, float | None] = {f"top-{k}": share for k, share in metrics.top_k.items()}
    more |= {"Matthews": metrics.matthews, "AUC": metrics.auc_macro, "calibration error": metrics.calibration_error}
    more |= {"by chance": metrics.calibration_error_by_chance, "without": metrics.calibration_error_debiased}
    out.line("   ".join(f"{name} {value:.4f}" for name, value in more.items() if value is not None))
    width = max(len(name) for name in ("class", "macro", *metrics.per_class))
    out.line(f"{'class':<{width}}  precision  recall      F1  pictures")
    for label, row in metrics.per_class.items():
        out.line(f"{label:<{width}}     {row.precision:.4f}  {row.recall:.4f}  {row.f1:.4f}  {row.support:8}")
    macro = f"   {metrics.precision_macro:.4f}  {metrics.recall_macro:.4f}  {metrics.f1_macro:.4f}  {metrics.images:8}"
    out.line(f"{'macro':<{width}}  {macro}")
    if evaluation.rejected:
        out.line(f"{len(evaluation.rejected)} files are no usable pictures and count in no figure:")
        for path, reason in list(evaluation.rejected.items())[:SHOWN]:
            out.line(f"  {path}: {reason}")
        if len(evaluation.rejected) > SHOWN:
            out.line(f"  and {len(evaluation.rejected) - SHOWN} more; --json has all of them")

"""`imgcls fit`: a trial of a study, trained again."""

from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Json, Storage, StudysAddress, StudysUri
from imgcls_ray.errors import Interrupted

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.pipeline.fitting import FitResult


def fit(
    from_trial: Annotated[
        str, typer.Option(metavar="ID", help="The trial: STUDY/NUMBER, or the id of its run in MLflow.")
    ],
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Train for more epochs.", show_default="the trial's")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Another seed.", show_default="the study's")
    ] = None,
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of what comes of it.", show_default="study, trial and time")
    ] = None,
    address: StudysAddress = None,
    storage: Storage = "./imgcls-runs",
    tracking_uri: StudysUri = None,
    as_json: Json = False,
) -> None:
    """Repeat a trial of a study, or train it for longer, and register what comes of it."""
    from imgcls_ray.cli.output import output

    with output(as_json) as out:
        from imgcls_ray.cli.progress import Progress
        from imgcls_ray.pipeline import fitting

        with Progress(out) as progress:
            result = fitting.fit(from_trial, storage, epochs, seed, study, address, tracking_uri, progress)
        _print(out, result)
        if as_json:
            out.document(result.to_json())
    if result.run.study.interrupted:
        raise Interrupted(
            f"interrupted; what was trained so far is registered, and 'imgcls run {result.trial.record.data} --study "
            f"{result.run.study.name} --resume' with the same --storage goes on from here."
        )


def _print(out: "Output", result: "FitResult") -> None:
    from imgcls_ray.cli.summary import print_rows, registered_rows

    run, was = result.run, result.trial.outcome
    value = "no score" if was.value is None else f"{was.value:.4f}"
    epochs = f"{run.study.best.epochs} epochs, {was.epochs} in the study"
    rows = [
        (run.study.objective.words, f"{run.study.best.value:.4f}", f"{value} in the study"),
        ("curve", result.curve.sentence, ""),
        ("trained", epochs, ""),
        ("test accuracy", f"{run.test.accuracy:.4f}", f"macro F1 {run.test.f1_macro:.4f}, {run.test.images} pictures"),
        ("bundle", run.bundle, ""),
        *registered_rows(run),
    ]
    print_rows(out, f"Trial {result.trial.name} again, as study {run.study.name}", rows, run)

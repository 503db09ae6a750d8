"""`imgcls export`: a model for another runtime."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_ray.cli.options import Json, Model, Storage, TrackingUri

if TYPE_CHECKING:
    from imgcls_ray.bundle.export.job import Export
    from imgcls_ray.cli.output import Output


def export(
    model: Model,
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="keras, h5, saved_model, tflite, tflite_float16, tflite_int8, onnx, openvino, bundle_openvino or "
            "bundle_bfloat16.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="PATH", help="New file; a folder for saved_model, openvino and bundles.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Preprocessed set to judge the export on, and to choose integers by.",
            show_default="the model's own, if it is in the storage",
        ),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of JPEG and PNG files to compare saved_model's decoder with ours on.",
            show_default="made from decoded ones",
        ),
    ] = None,
    storage: Storage = "./imgcls-runs",
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Write a model for another runtime, and prove that it answers as the model does."""
    from imgcls_ray.bundle.export.formats import check_format, note_of
    from imgcls_ray.cli.loading import load_model
    from imgcls_ray.cli.output import output
    from imgcls_ray.errors import StorageError
    from imgcls_ray.storage import Storage as Root

    check_format(file_format)
    out = out.expanduser().absolute()
    for path in (out, note_of(out)):
        if path.exists():
            raise StorageError(f"An export is written to a new place; {path} exists already: choose another --out.")
    with output(as_json) as screen:
        bundle = load_model(model, storage, tracking_uri)
        from imgcls_ray.use import exporting

        done = exporting.export(bundle, file_format, out, exporting.Given(data, pictures, Root.at(storage).root))
        for warning in done.warnings:
            typer.echo(f"imgcls: {warning}", err=True)
        if as_json:
            screen.document(done.to_json())
        else:
            _print(screen, done)


def _print(out: "Output", done: "Export") -> None:
    parity = done.parity
    out.line(str(done.path), "written", f"{done.megabytes:.2f} MB, {done.milliseconds:.2f} ms a picture")
    out.line(
        f"the same class on {parity.agreement:.2%} of {parity.pictures} pictures, probabilities differ by at most "
        f"{parity.largest:.1e}",
        "parity",
    )
    decoder = done.document.get("decoder")
    if decoder:
        out.line(f"probabilities differ by at most {decoder['largest']:.4f} on {decoder['judged_on']}", "decoder")
    out.line(str(done.note), "note")

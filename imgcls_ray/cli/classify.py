"""`imgcls classify`: what a model says of pictures."""

from typing import Annotated

import typer

from imgcls_ray.cli.options import Json, Model, Storage, TrackingUri


def classify(
    images: Annotated[list[str], typer.Argument(help="Picture files.", metavar="IMG...")],
    model: Model,
    storage: Storage = "./imgcls-runs",
    tracking_uri: TrackingUri = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to show for each picture; --json has all.")] = 5,
    as_json: Json = False,
) -> None:
    """Print the probabilities of each picture's classes, highest first."""
    from imgcls_ray.cli.output import output, print_json

    with output(as_json) as console:
        from imgcls_ray import api, quiet

        quiet.import_tensorflow()
        answers = api.classify(api.load_model(model, storage, tracking_uri), images)
        if not as_json:
            for answer in answers:
                console.print(f"[bold]{answer.image}[/]", soft_wrap=True)
                for prediction in answer.predictions[:top]:
                    probability = prediction["probability"]
                    console.print(f"  {probability:7.4f}  {'█' * round(probability * 30):<30}  {prediction['label']}")
    for answer in answers:
        if answer.error:
            typer.echo(f"imgcls: {answer.image}: {answer.error}", err=True)
    if as_json:
        print_json([answer.to_json() for answer in answers])
    if any(answer.error for answer in answers):
        raise typer.Exit(2)

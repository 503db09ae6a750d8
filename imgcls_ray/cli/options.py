"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

Storage = Annotated[
    str, typer.Option(help="Folder that holds everything: shards, studies, bundles and the MLflow database.")
]
OptionalStorage = Annotated[
    str | None,
    typer.Option(
        help="Folder that holds everything: shards, studies, bundles and the MLflow database.",
        show_default="./imgcls-runs",
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(help="MLflow server or database.", show_default="SQLite in the storage folder"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, last on stdout; all else goes to stderr.")]
Model = Annotated[str, typer.Option(help="A bundle's folder, or models:/NAME@ALIAS or models:/NAME/VERSION.")]
Config = Annotated[Path | None, typer.Option(help="YAML file of settings; flags and --set win over it.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Set any setting by its dotted name; repeatable.")
]

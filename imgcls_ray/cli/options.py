"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

FOLDER = "Folder for everything: shards, studies, bundles and the MLflow database."

Storage = Annotated[str, typer.Option(metavar="DIR", help=FOLDER)]
TrackingUri = Annotated[
    str | None,
    typer.Option(metavar="URI", help="MLflow server or database.", show_default="SQLite in the storage"),
]
StudysUri = Annotated[
    str | None, typer.Option(metavar="URI", help="MLflow server or database.", show_default="that of the study")
]
StudysAddress = Annotated[
    str | None,
    typer.Option(
        metavar="ADDR", help="Ray cluster to join.", show_default="that of the study, else RAY_ADDRESS or a local Ray"
    ),
]
Address = Annotated[
    str | None,
    typer.Option(metavar="ADDR", help="Ray cluster to join.", show_default="RAY_ADDRESS, else a local Ray"),
]
Json = Annotated[
    bool, typer.Option("--json", metavar="", help="Print one JSON document, last on stdout; all else on stderr.")
]
Model = Annotated[
    str, typer.Option(metavar="MODEL", help="A bundle's folder, or models:/NAME@ALIAS or models:/NAME/VERSION.")
]
Config = Annotated[
    Path | None, typer.Option(metavar="FILE", help="YAML file of settings; flags and --set win over it.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Set any setting by its dotted name; repeatable.")
]

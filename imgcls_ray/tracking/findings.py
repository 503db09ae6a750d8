"""What is recorded of a study after its end: test figures, files, the table of answers."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imgcls_ray.data.files import write_atomic
from imgcls_ray.evaluation.metrics import Metrics
from imgcls_ray.tracking.record import Record

TEST = "test_metrics.json"
TABLES = "mlflow.loggedArtifacts"
"""The tag by which MLflow's pages know which files are tables."""
FIGURES = ("accuracy", "loss", "f1_macro")


@dataclass(frozen=True)
class Findings:
    """Of the model that came of a study."""

    test: Metrics | None = None
    """`accuracy`, `loss` and `f1_macro` become the metrics `test_...`, all of it the file `test_metrics.json`."""
    files: Sequence[Path] = ()
    """For the study's run."""
    best: int | None = None
    """The trial that the model is of; None for one of several."""
    tables: Sequence[Path] = ()
    """The answers behind the figures. MLflow's pages show those in JSON, side by side for studies or for trials: they
    are put into both runs, the others into the trial's, or the study's where there is no such trial."""

    def records(self, folder: Path, storage: Path) -> list[Record]:
        """For the outbox in the study's `folder`; `test_metrics.json` is written there.

        Raises:
            OSError: it can't be.
        """
        shown = [table for table in self.tables if table.suffix == ".json"]
        files = [*self.files, *(self.tables if self.best is None else shown)]
        figures: dict[str, float] = {}
        if self.test is not None:
            figures = {f"test_{name}": getattr(self.test, name) for name in FIGURES}
            files.append(folder / TEST)
            write_atomic(files[-1], json.dumps(self.test.to_json(), indent=1).encode())
        tags = {TABLES: json.dumps([{"path": table.name, "type": "table"} for table in shown])} if shown else {}
        now = int(time.time() * 1000)
        found = [Record(now, metrics=figures, tags=tags, files=_places(files, storage))]
        if self.best is not None:
            found.append(Record(now, self.best, metrics=figures, tags=tags, files=_places(self.tables, storage)))
        return found


def _places(files: Sequence[Path], storage: Path) -> tuple[tuple[str, str], ...]:
    """Below the storage where they are, so that it may be moved before they are sent."""
    below = (file.relative_to(storage) if file.is_relative_to(storage) else file.absolute() for file in files)
    return tuple((str(file), "") for file in below)

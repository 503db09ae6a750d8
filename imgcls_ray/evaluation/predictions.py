"""A model's answers to pictures whose labels are known, and the table of them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from imgcls_ray.data.files import write_atomic
from imgcls_ray.inference.calibration import Calibration

TABLE, PARQUET = "predictions.json", "predictions.parquet"
SHOWN = 5000
"""Rows of the JSON table: a browser loads it whole. The Parquet file has them all."""
SHOWN_CLASSES = 20
"""With more classes than these the JSON table has no column for each of them."""


@dataclass(frozen=True)
class Predictions:
    """The answers to the pictures of one split, in the order of its shards."""

    keys: tuple[str, ...]
    """Path of each picture, relative to the data folder."""
    labels: np.ndarray
    """int (n,), positions in `names`."""
    probabilities: np.ndarray
    """float (n, K)."""
    names: tuple[str, ...]
    """The classes."""

    def calibrated(self, calibration: Calibration) -> "Predictions":
        """The same with calibrated probabilities."""
        return Predictions(self.keys, self.labels, calibration.apply(self.probabilities), self.names)

    def write(self, folder: Path, calibration: Calibration) -> tuple[Path, Path]:
        """Write the table as `predictions.parquet`, and its top as `predictions.json`, which MLflow's pages show.

        A row has `key`, `prediction`, `truth`, `right`, `decision` (sure or unsure), `probability`, and a column
        `score CLASS` for each class. The wrong answers come first, the surest of them at the top; of the right ones the
        least sure. Probabilities are taken as calibrated.

        Raises:
            OSError: as the file system gives it.
        """
        answers = self.probabilities.argmax(axis=1)
        highest = self.probabilities[np.arange(len(answers)), answers]
        right = answers == self.labels
        order = np.lexsort((np.where(right, highest, -highest), right))
        least = np.array([calibration.threshold_of(name) for name in self.names])
        names = np.array(self.names, object)
        columns: dict[str, np.ndarray] = {
            "key": np.array(self.keys, object),
            "prediction": names[answers],  # what MLflow's page compares runs by is the column after the key
            "truth": names[self.labels],
            "right": right,
            "decision": np.where(highest >= least[answers], "sure", "unsure").astype(object),
            "probability": highest.astype(np.float32),
        }
        scores = {f"score {name}": self.probabilities[:, place] for place, name in enumerate(self.names)}
        whole = {name: column[order] for name, column in (columns | scores).items()}
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(whole), sink, compression="zstd")
        write_atomic(folder / PARQUET, sink.getvalue())
        shown = whole if len(self.names) <= SHOWN_CLASSES else {name: whole[name] for name in columns}
        cells = [_rounded(column[:SHOWN]) for column in shown.values()]
        document = {"columns": list(shown), "data": [list(row) for row in zip(*cells, strict=True)]}
        write_atomic(folder / TABLE, json.dumps(document, ensure_ascii=False).encode())
        return folder / TABLE, folder / PARQUET


def _rounded(column: np.ndarray) -> list[object]:
    """As JSON has it; probabilities to four digits."""
    return column.astype(float).round(4).tolist() if column.dtype.kind == "f" else column.tolist()

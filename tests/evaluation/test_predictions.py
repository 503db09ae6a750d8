"""The table of answers: the worst mistakes first, all of it in Parquet, and no more in JSON than a browser takes."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from imgcls_ray.evaluation.predictions import SHOWN, Predictions
from imgcls_ray.inference.calibration import Calibration


def table(path: Path) -> list[dict[str, object]]:
    document = json.loads(path.read_bytes())
    return [dict(zip(document["columns"], row, strict=True)) for row in document["data"]]


def test_the_surest_mistakes_come_first_and_then_the_least_sure_of_the_right_ones(tmp_path: Path) -> None:
    scores = np.array([[0.9, 0.1], [0.3, 0.7], [0.12345, 0.87655], [0.4, 0.6]], np.float32)
    answers = Predictions(("a", "b", "c", "d"), np.array([0, 0, 0, 1]), scores, ("cat", "dog"))
    shown, whole = answers.write(tmp_path, Calibration(threshold=0.65, class_thresholds={"dog": 0.8}))
    rows = table(shown)
    assert [row["key"] for row in rows] == ["c", "b", "d", "a"]
    assert rows[0] == {
        "key": "c",
        "prediction": "dog",
        "truth": "cat",
        "right": False,
        "decision": "sure",
        "probability": 0.8766,
        "score cat": 0.1235,
        "score dog": 0.8766,
    }
    assert [row["decision"] for row in rows] == ["sure", "unsure", "unsure", "sure"]
    read = pq.read_table(whole)
    assert read.column_names == list(rows[0])
    assert read["key"].to_pylist() == ["c", "b", "d", "a"]
    assert read["score cat"].to_pylist()[0] == np.float32(0.12345)


def test_a_hundred_thousand_pictures_of_many_classes_stay_small_for_a_browser(tmp_path: Path) -> None:
    names = tuple(f"class {number}" for number in range(30))
    scores = np.random.default_rng(1).dirichlet(np.ones(30), 100_000).astype(np.float32)
    answers = Predictions(tuple(f"{n}.jpg" for n in range(100_000)), np.arange(100_000) % 30, scores, names)
    shown, whole = answers.write(tmp_path, Calibration())
    rows = table(shown)
    assert len(rows) == SHOWN
    assert "score class 1" not in rows[0]
    assert shown.stat().st_size < 1_000_000
    assert pq.read_metadata(whole).num_rows == 100_000
    assert pq.read_metadata(whole).num_columns == 36


def test_calibration_changes_the_probabilities_and_nothing_else() -> None:
    answers = Predictions(("a",), np.array([1]), np.array([[0.2, 0.8]], np.float32), ("cat", "dog"))
    cooler = answers.calibrated(Calibration(temperature=2.0))
    assert 0.5 < cooler.probabilities[0, 1] < 0.8
    assert (cooler.keys, cooler.names) == (answers.keys, answers.names)

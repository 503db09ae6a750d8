"""A network is read without leaving anything beside its file."""

from pathlib import Path

import keras
import numpy as np
import pytest

from imgcls_ray.models.saved import load_network


def test_weights_are_not_unpacked_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.save(tmp_path / "model.keras")

    def made(*_given: object, **_named: object) -> None:
        raise AssertionError("a folder was made")

    monkeypatch.setattr("tempfile.TemporaryDirectory", made)
    monkeypatch.setattr("keras.src.saving.saving_lib._MEMORY_UPPER_BOUND", 0.0)  # nothing is believed to be free
    seen = []
    stored = keras.src.saving.saving_lib.H5IOStore.__init__
    monkeypatch.setattr(
        "keras.src.saving.saving_lib.H5IOStore.__init__",
        lambda store, file, *given, **named: seen.append(type(file).__name__) or stored(store, file, *given, **named),
    )
    again = load_network(tmp_path / "model.keras")
    assert seen == ["BytesIO"]
    assert all(np.array_equal(*pair) for pair in zip(again.get_weights(), model.get_weights(), strict=True))

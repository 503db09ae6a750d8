"""The table of backbones against the installed Keras, and its page in the docs."""

import inspect
import re
from pathlib import Path
from typing import Any

import keras
import pytest

from imgcls_ray.config import Size
from imgcls_ray.errors import SettingsError
from imgcls_ray.models import BACKBONES, SCRATCH, backbone

PAGE = Path(__file__).parents[2] / "docs" / "backbones.md"

QUICK = ["mobilenet_0.5", "mobilenet_v2_1.4", "mobilenet_v3_large_minimalistic", "efficientnet_b1", "resnet50"]


def test_every_architecture_of_keras_applications_is_in_the_table() -> None:
    functions = {
        name
        for name, value in vars(keras.applications).items()
        if inspect.isfunction(value) and "include_top" in inspect.signature(value).parameters
    }
    assert {entry.keras_name for entry in BACKBONES.values()} == functions
    assert SCRATCH not in BACKBONES


def test_columns_are_whole_and_file_names_are_unique() -> None:
    assert len({entry.weights_file for entry in BACKBONES.values()}) == len(BACKBONES)
    for name, entry in BACKBONES.items():
        assert entry.name == name
        assert re.fullmatch(r"[a-z0-9_.]+", name)
        assert entry.scaling in ("tf", "caffe", "torch", "none")
        assert 32 <= entry.min_size <= entry.native_size.height == entry.native_size.width <= 600
        assert entry.weights_file.endswith(".h5")
        assert entry.weights_url.startswith("https://storage.googleapis.com/")
        assert entry.weights_hash is None or re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", entry.weights_hash)


class Asked(Exception):
    """Keras wants a file."""


@pytest.mark.parametrize("name", QUICK)
def test_keras_would_ask_for_the_same_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from keras.src.utils import file_utils

    asked: dict[str, Any] = {}

    def get_file(fname: str, origin: str, **options: Any) -> None:
        asked.update(file=fname, url=origin, hash=options.get("file_hash"))
        raise Asked

    monkeypatch.setattr(file_utils, "get_file", get_file)
    entry = BACKBONES[name]
    shape = (*entry.native_size, 3)
    with pytest.raises(Asked):
        getattr(keras.applications, entry.keras_name)(include_top=False, input_shape=shape, **entry.arguments)
    assert asked == {"file": entry.weights_file, "url": entry.weights_url, "hash": entry.weights_hash}


def test_nasnet_is_published_under_another_name() -> None:
    assert backbone("nasnet_mobile").weights_file == "nasnet_mobile_no_top.h5"
    assert backbone("nasnet_mobile").weights_url.endswith("/nasnet/NASNet-mobile-no-top.h5")


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"received 'mobilenet_v2_0\.3'; did you mean 'mobilenet_v2_0\.35'\?"):
        backbone("mobilenet_v2_0.3")


def test_pictures_too_small_are_told_with_both_sizes() -> None:
    backbone("xception").check_pictures(Size(71, 71), 3)
    with pytest.raises(SettingsError, match=r"at least 71 x 71 pixels; received 71 x 70"):
        backbone("xception").check_pictures(Size(71, 70), 3)


def test_the_docs_show_the_table_as_it_is() -> None:
    rows = [
        f"| `{entry.name}` | {entry.native_size} | {entry.min_size} | {entry.features} | {entry.scaling} "
        f"| `{entry.weights_file}` |"
        for entry in BACKBONES.values()
    ]
    _, table = PAGE.read_text(encoding="utf-8").split("## The table")
    shown = [line for line in table.splitlines() if line.startswith("| `")]
    assert shown == rows

"""Which engine answers for a bundle, and that OpenVINO does so without TensorFlow and without trust."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.bundle import engines
from imgcls_ray.bundle.bundle import answered_by, load_bundle, write_bundle
from imgcls_ray.bundle.card import Inference
from imgcls_ray.bundle.files import PROGRAM, PROGRAM_WEIGHTS, write_checksums
from imgcls_ray.errors import ModelError
from imgcls_ray.inference.device import visible_gpus
from imgcls_ray.inference.engine import TensorFlowEngine
from imgcls_ray.inference.openvino import OpenVinoEngine
from tests.bundle.conftest import CARD, LABELS, PIXELS, golden, tiny_model


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that holds its network for OpenVINO too. Read only."""
    path = tmp_path_factory.mktemp("portable") / "pets"
    write_bundle(path, tiny_model(), LABELS, PIXELS, CARD, golden(), portable=True)
    return path


@pytest.fixture
def other(portable: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(portable, tmp_path / "pets"))


def test_openvino_answers_as_tensorflow_does(portable: Path) -> None:
    bundle, reference = load_bundle(portable), load_bundle(portable, engine="tensorflow")
    assert isinstance(bundle.engine, OpenVinoEngine)
    assert isinstance(reference.engine, TensorFlowEngine)
    images = np.random.default_rng(1).integers(0, 256, (9, *PIXELS.shape), dtype=np.uint8)
    assert np.abs(bundle.predict(images) - reference.predict(images)).max() <= 1e-5
    assert bundle.network().input_shape == (None, *PIXELS.shape)


def test_a_bundle_without_the_network_for_openvino_is_tensorflows(made: Path) -> None:
    assert isinstance(load_bundle(made).engine, TensorFlowEngine)


def test_a_gpu_and_a_missing_openvino_leave_it_to_tensorflow(portable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answered_by(portable) == "openvino"
    with monkeypatch.context() as patched:
        patched.setattr(engines, "visible_gpus", lambda: 1)
        assert answered_by(portable) == "tensorflow"
    monkeypatch.setattr(engines, "installed", lambda: False)
    assert answered_by(portable) == "tensorflow"
    assert engines.engine_of(portable, Inference(engine="openvino"), "auto") == "openvino"


def test_where_openvino_is_missing_a_bundle_is_written_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "installed", lambda: False)
    write_bundle(tmp_path / "b", tiny_model(), LABELS, PIXELS, CARD, golden(), portable=True)
    assert not (tmp_path / "b" / PROGRAM).exists()


def test_an_answer_needs_no_tensorflow(portable: Path) -> None:
    program = (
        "import sys, io, asyncio, numpy as np\n"
        "from PIL import Image\n"
        "from serve.model.loading import load_predictor\n"
        "from serve.settings import ServeSettings\n"
        "from serve.stages import Stages\n"
        "predictor = load_predictor(ServeSettings(model=sys.argv[1]))\n"
        "file = io.BytesIO(); Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(file, 'JPEG')\n"
        "[answer] = asyncio.run(predictor.classify(predictor.served, [file.getvalue()], Stages()))\n"
        "print(answer.label, [name for name in ('tensorflow', 'keras') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(portable)], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"(cat|dog|owl) \[\]\n", done.stdout)


def rewritten(folder: Path, change: Callable[[bytes], bytes]) -> None:
    """The bundle as somebody would hand it on who changed the network for OpenVINO and knows about checksums."""
    (folder / PROGRAM).write_bytes(change((folder / PROGRAM).read_bytes()))
    write_checksums(folder)


def hidden(text: bytes) -> bytes:
    """With a layer that is refused where it is seen."""
    return text.replace(b'type="SoftMax"', b'type="Loop"')


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (hidden, "the layer 'Loop'"),
        (lambda text: text.replace(b'type="SoftMax"', b"type='Loop'"), "the layer 'Loop'"),
        (lambda text: hidden(text).replace(b"<net", b'<net xmlns="a"', 1), "names of another kind"),
        (lambda text: hidden(text).replace(b"<layer ", b'<layer xmlns:a="a" a:b="" ', 1), "names of another kind"),
        (lambda text: hidden(text).replace(b'"1.0"', b'"1.0" encoding="utf-16"').decode().encode("utf-16"), "no XML"),
        (lambda text: b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]>' + text, "definitions of its own"),
        (lambda text: text[: len(text) // 2], "no XML"),
        (lambda _: b"<net/>", "can't read the converted network"),
        (lambda text: text.replace(b"Convolution", b"Concat"), "can't read the converted network"),
        (lambda text: re.sub(rb'offset="\d+"', b'offset="99999999"', text), "can't read the converted network"),
    ],
)
def test_a_hostile_network_is_refused(other: Path, change: Callable[[bytes], bytes], sentence: str) -> None:
    rewritten(other, change)
    with pytest.raises(ModelError, match=sentence):
        load_bundle(other)


def test_other_weights_are_found_by_the_golden_pictures(other: Path) -> None:
    weights = np.frombuffer((other / PROGRAM_WEIGHTS).read_bytes()[:-4], np.uint8)
    changed = weights.copy()
    changed[::97] ^= 0x11
    (other / PROGRAM_WEIGHTS).write_bytes(changed.tobytes() + b"0000")
    write_checksums(other)
    with pytest.raises(ModelError, match=r"golden pictures differ|converted network"):
        load_bundle(other)


@pytest.mark.parametrize("name", [PROGRAM, PROGRAM_WEIGHTS])
def test_one_file_without_the_other_is_refused(other: Path, name: str) -> None:
    (other / name).unlink()
    write_checksums(other)
    with pytest.raises(ModelError, match="or neither"):
        load_bundle(other)


@pytest.mark.parametrize(
    ("named", "devices", "found"),
    [(None, 2, 2), ("", 2, 0), ("-1", 2, 0), ("1", 2, 1), ("0,1", 2, 2), ("NoDevFiles", 2, 0), ("0", 0, 0)],
)
def test_gpus_are_counted_as_cuda_reads_the_list(
    named: str | None, devices: int, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "glob", lambda _path, _pattern: (f"/dev/nvidia{number}" for number in range(devices)))
    if named is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == found

"""Where weights are found, in which order, and what is said where there are none."""

import hashlib
import io
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest

from imgcls_ray.errors import SettingsError, StorageError, WeightsError
from imgcls_ray.models import BACKBONES, NO_WEIGHTS, at_hand, download, placed, resolve_weights
from imgcls_ray.models.weights import belongs_to

NAME = "mobilenet_v2_0.35"
KERAS_FILE = BACKBONES[NAME].weights_file


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty Keras cache, no folder of weights, and a network that must not be used."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("IMGCLS_WEIGHTS_DIR", raising=False)

    def refuse(*_: object) -> None:
        raise URLError("no network in this test")

    monkeypatch.setattr(download, "_open", refuse)
    yield


def write(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_named_path_comes_before_all_others(tmp_path: Path) -> None:
    named = write(tmp_path / "a" / "mine.h5", b"1")
    write(tmp_path / "b" / f"{NAME}_other.h5", b"2")
    weights = resolve_weights(NAME, (str(tmp_path / "b"), f"{NAME}={named}", "none"))
    assert weights.path == named
    assert weights.sha256 == hashlib.sha256(b"1").hexdigest()
    assert weights.kind == "file"


def test_a_named_path_is_for_its_backbone_only(tmp_path: Path) -> None:
    named = write(tmp_path / "mine.h5")
    assert not at_hand("mobilenet_v2_1.0", (f"{NAME}={named}",))


def test_a_path_with_an_equals_sign_is_taken_as_it_is(tmp_path: Path) -> None:
    file = write(tmp_path / "a=b" / KERAS_FILE)
    assert resolve_weights(NAME, (str(file),)).path == file


def test_of_several_files_each_goes_to_the_backbone_in_its_name(tmp_path: Path) -> None:
    one = write(tmp_path / KERAS_FILE)
    two = write(tmp_path / "mobilenet_v2_1.0_224.weights.h5")
    both = (str(one), str(two))
    assert resolve_weights(NAME, both).path == one
    assert resolve_weights("mobilenet_v2_1.0", both).path == two
    assert not at_hand("resnet50", both)


def test_the_only_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    file = write(tmp_path / "downloaded.h5")
    assert resolve_weights(NAME, ("imagenet", str(file))).path == file


def test_a_folder_is_searched_and_an_ambiguous_one_is_refused(tmp_path: Path) -> None:
    mine = write(tmp_path / f"{NAME}_a.h5")
    write(tmp_path / "readme.txt")
    assert resolve_weights(NAME, (str(tmp_path),)).path == mine
    write(tmp_path / f"{NAME}.keras")
    with pytest.raises(WeightsError, match=r"several fit .*--weights mobilenet_v2_0.35=PATH"):
        resolve_weights(NAME, (str(tmp_path),))
    exact = write(tmp_path / KERAS_FILE)
    assert resolve_weights(NAME, (str(tmp_path),)).path == exact


def test_none_comes_before_the_folder_of_weights_and_that_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = write(tmp_path / "keras" / "models" / KERAS_FILE, b"cached")
    assert resolve_weights(NAME).path == cached
    own = write(tmp_path / "own" / KERAS_FILE, b"own")
    monkeypatch.setenv("IMGCLS_WEIGHTS_DIR", str(own.parent))
    assert resolve_weights(NAME).path == own
    assert resolve_weights(NAME, ("none",)) == NO_WEIGHTS
    assert at_hand(NAME, ("none",))


@pytest.mark.parametrize(
    ("file", "owner"),
    [
        ("mobilenet_2_5_224_tf_no_top.h5", "mobilenet_0.25"),
        ("mobilenet_v2_0.35_224_no_top_from_tm.weights.h5", NAME),
        ("mobilenet_v2_1.0_224_no_top_dequant_int8.weights.h5", "mobilenet_v2_1.0"),
        ("resnet50_v2_mine.h5", "resnet50_v2"),
        ("resnet50.h5", "resnet50"),
        ("efficientnetb0_notop.h5", "efficientnet_b0"),
        ("resnet500.h5", None),
        ("resnet50.txt", None),
    ],
)
def test_a_file_name_tells_its_backbone(file: str, owner: str | None) -> None:
    assert belongs_to(file) == owner


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (("/no/such/file.h5",), WeightsError, "received '/no/such/file.h5', and there is no"),
        ((f"{NAME}=/no/such/file.h5",), WeightsError, "there is no '/no/such/file.h5'"),
        (("mobilenet_v2_0.36=/no/such/file.h5",), SettingsError, "did you mean 'mobilenet_v2_0.35'"),
        (("imagenett",), WeightsError, "takes 'imagenet', 'none'"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence(weights: tuple[str, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        resolve_weights(NAME, weights)
    with pytest.raises(error, match=message):
        resolve_weights("resnet50", weights)


def test_a_folder_without_the_weights_asked_for_by_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=f"put '{KERAS_FILE}' there"):
        resolve_weights(NAME, (f"{NAME}={tmp_path}",))


def test_the_folder_in_the_environment_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLS_WEIGHTS_DIR", "/no/such/folder")
    with pytest.raises(WeightsError, match="IMGCLS_WEIGHTS_DIR must name a folder"):
        at_hand(NAME)


def test_without_a_network_the_file_and_its_place_are_named(tmp_path: Path) -> None:
    assert not at_hand(NAME)
    with pytest.raises(WeightsError) as caught:
        resolve_weights(NAME)
    message = str(caught.value)
    assert KERAS_FILE in message
    assert str(tmp_path / "keras" / "models") in message
    assert "IMGCLS_WEIGHTS_DIR" in message
    assert caught.value.exit_code == 2
    assert not (tmp_path / "keras").exists()


def test_a_network_that_swallows_everything_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(download, "_PROBE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as hole:  # takes connections and never answers
        for variable in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{hole.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("NO_PROXY", "")
        start = time.monotonic()
        with pytest.raises(WeightsError, match="can't be downloaded"):
            download.download(BACKBONES[NAME])
        assert time.monotonic() - start < 20


def test_even_a_look_up_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PROBE_SECONDS", 0.1)
    monkeypatch.setattr(download, "_open", lambda *_: time.sleep(60) or io.BytesIO())
    start = time.monotonic()
    with pytest.raises(WeightsError, match="no answer within"):
        resolve_weights(NAME)
    assert time.monotonic() - start < 30


def test_the_probe_and_the_name_look_up_end_within_five_seconds() -> None:
    assert download._PROBE_SECONDS + 0.5 < 5


class Answer(io.BytesIO):
    def __init__(self, content: bytes, promised: int | None = None) -> None:
        super().__init__(content)
        self.headers = {"Content-Length": str(promised)} if promised is not None else {}


def serve(monkeypatch: pytest.MonkeyPatch, content: bytes, promised: int | None = None) -> None:
    monkeypatch.setattr(download, "_open", lambda *_: Answer(content, promised))


def test_a_download_goes_into_keras_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, b"from afar")
    weights = resolve_weights(NAME)
    assert weights.path == tmp_path / "keras" / "models" / KERAS_FILE
    assert weights.path.read_bytes() == b"from afar"
    serve(monkeypatch, b"something else")
    assert resolve_weights(NAME) == weights


def test_a_download_with_a_wrong_hash_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, b"<html>proxy error</html>")
    with pytest.raises(WeightsError, match="does not match the published hash"):
        resolve_weights("resnet50")
    assert list((tmp_path / "keras" / "models").iterdir()) == []


def test_a_download_that_is_cut_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, b"half of it", promised=20)
    with pytest.raises(WeightsError, match="cut off after 10 of 20 bytes"):
        resolve_weights(NAME)
    assert list((tmp_path / "keras" / "models").iterdir()) == []
    serve(monkeypatch, b"all of it", promised=9)
    assert resolve_weights(NAME).pretrained


def test_for_a_cluster_a_file_is_put_where_its_nodes_see_it(tmp_path: Path) -> None:
    found = resolve_weights(NAME, (str(write(tmp_path / "own" / "mine.h5")),))
    there = placed(found, tmp_path / "shared")
    assert there.path and there.path.parent == tmp_path / "shared" and there.path.read_bytes() == b"weights"
    assert (there.kind, there.sha256, there.path.suffix) == (found.kind, found.sha256, ".h5")
    time_of = there.path.stat().st_mtime_ns
    assert placed(found, tmp_path / "shared") == there and there.path.stat().st_mtime_ns == time_of
    assert placed(NO_WEIGHTS, tmp_path / "none") == NO_WEIGHTS and not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="can't be written"):
        placed(found, tmp_path / "file")


def test_the_real_files_are_found(test_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"mobilenet_0.25", NAME, "mobilenet_v2_1.0"}
    found = {name: resolve_weights(name, (str(test_weights),)) for name in names}
    assert len({weights.sha256 for weights in found.values()}) == 3
    bare = tuple(str(weights.path) for weights in found.values())
    monkeypatch.setenv("IMGCLS_WEIGHTS_DIR", str(test_weights))
    for name, weights in found.items():
        assert resolve_weights(name, bare) == weights
        assert resolve_weights(name, (f"{name}={weights.path}",)) == weights
        assert resolve_weights(name) == weights

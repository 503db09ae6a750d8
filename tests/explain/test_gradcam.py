"""Heat maps, where the right answer is known: one bright patch alone decides."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import cv2
import keras
import numpy as np
import pytest

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.errors import ModelError
from imgcls_ray.explain.gradcam import GradCam, heat_map
from imgcls_ray.explain.maps import FINE, fine_map, members
from imgcls_ray.explain.overlay import overlay
from imgcls_ray.models.joining import join
from imgcls_ray.models.network import assemble, build_cnn, build_features, build_head
from imgcls_ray.models.weights import NO_WEIGHTS

SIDE = 32
BACKBONES = ["mobilenet_v2_0.35", "efficientnet_b0", "resnet50"]


def probe(backbone: str, side: int = SIDE, classes: int = 3) -> keras.Model:
    """A head on a frozen backbone, as one model, with random weights."""
    keras.utils.set_random_seed(1)
    features = build_features(backbone, Size(side, side), 3, NO_WEIGHTS)
    settings = TrialSettings(head_layers=1, head_width=8, batch_norm=True, dropout=0.2)
    return assemble(features, build_head(settings, features.output_shape[-1], classes))


def finder(*colours: int, shares: tuple[float, ...] = (1.0,)) -> keras.Model:
    """A network of which class 1 is bright and class 0 dark, wherever: each layer passes on what is bright.

    With several `shares` it is an ensemble, of which each member sees one of the `colours`.
    """
    pixels = keras.Input((SIDE, SIDE, 3))
    answers = []
    for number, share in enumerate(shares):
        seen = colours[number : number + 1] if colours else (0, 1, 2)
        x = keras.layers.Rescaling(1 / 255)(pixels)
        for layer in range(2):
            first = keras.layers.Conv2D(4, 3, padding="same", activation="relu", kernel_initializer="ones")
            x = first(x)
            if layer == 0:
                kernel = np.zeros((3, 3, 3, 4), np.float32)
                kernel[:, :, seen] = 1
                first.set_weights([kernel, np.zeros(4, np.float32)])
            x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        head = keras.layers.Dense(2, activation="softmax")
        answers.append(head(x) if len(shares) == 1 else keras.layers.Rescaling(share)(head(x)))
        head.set_weights([np.array([[-1.0, 1.0]] * 4, np.float32), np.zeros(2, np.float32)])
    return keras.Model(pixels, answers[0] if len(answers) == 1 else keras.layers.Add()(answers))


def patched(row: int, column: int, side: int = SIDE, patch: int = 6) -> np.ndarray:
    """Darkness with one bright patch around a place."""
    image = np.zeros((side, side, 3), np.uint8)
    image[row - patch // 2 : row + patch // 2, column - patch // 2 : column + patch // 2] = 250
    return image


@pytest.mark.parametrize("traced", [True, False])
def test_the_heat_is_where_the_deciding_patch_is(traced: bool) -> None:
    places = [(6, 6), (6, 26), (20, 12), (26, 26)]
    images = np.stack([patched(*place) for place in places])
    heat = GradCam(finder(), traced).heat_map(images, np.ones(len(places), np.int64))
    assert heat.shape == (4, SIDE, SIDE)
    assert heat.dtype == np.float32
    assert (heat.min(), heat.max()) == (0.0, 1.0)
    for one, place in zip(heat, places, strict=True):
        peak = np.unravel_index(one.argmax(), one.shape)
        assert np.abs(np.subtract(peak, place)).max() <= 4
        row, column = place
        outside = np.ones_like(one, bool)
        outside[max(row - 12, 0) : row + 12, max(column - 12, 0) : column + 12] = False
        assert one[outside].max() == 0


def test_nothing_speaks_for_the_other_class() -> None:
    assert heat_map(finder(), patched(10, 10)[None], np.array([0])).max() == 0


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_probe_has_finite_heat_of_each_picture_by_itself(backbone: str) -> None:
    model = probe(backbone)
    images = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    explained = GradCam(model, traced=False)
    together = explained.heat_map(images, np.array([0, 1, 2]))
    assert np.isfinite(together).all()
    assert together.min() >= 0
    assert together.max() == 1
    alone = explained.heat_map(images[1:2], np.array([1]))
    np.testing.assert_allclose(alone[0], together[1], atol=1e-4)
    (member,) = members(model)
    assert len(fine_map(model, member).shape) == 4
    assert min(fine_map(model, member).shape[1:3]) >= 2


def test_at_its_native_size_the_map_is_the_last_one() -> None:
    model = probe("mobilenet_v2_0.35", 224)
    (member,) = members(model)
    assert fine_map(model, member) is member.last
    assert member.last.shape[1:3] == (7, 7)
    small = probe("mobilenet_v2_0.35", 96)
    (member,) = members(small)
    assert member.last.shape[1:3] == (3, 3)
    assert min(fine_map(small, member).shape[1:3]) >= FINE


def test_the_heat_is_grad_cam_by_its_formula() -> None:
    keras.utils.set_random_seed(0)
    model = build_cnn(TrialSettings(cnn_blocks=1, cnn_width=4), Size(8, 8), 3, 3)
    images = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    (member,) = members(model)
    maps = np.asarray(keras.Model(model.input, member.last)(images.astype(np.float32)))
    # The maps are averaged and weighted: the mean gradient of a score is its kernel by the number of positions.
    weights = np.asarray(member.softmax.kernel)[:, [2, 0]].T
    expected = np.maximum((maps * weights[:, None, None]).sum(axis=-1), 0)
    found = heat_map(model, images, np.array([2, 0]))
    large = np.stack([cv2.resize(one, (8, 8), interpolation=cv2.INTER_LINEAR) for one in expected])
    np.testing.assert_allclose(found, large / large.max(axis=(1, 2), keepdims=True), atol=1e-5)


def test_a_sure_network_has_heat_too() -> None:
    model = finder()
    head = model.layers[-1]
    head.set_weights([head.get_weights()[0] * 1e4, np.zeros(2, np.float32)])
    image = patched(10, 20)[None]
    assert float(np.asarray(model(image.astype(np.float32)))[0, 1]) == 1.0
    assert heat_map(model, image, np.array([1])).max() == 1


@pytest.mark.parametrize("shares", [(0.8, 0.2), (0.3, 0.7)])
def test_an_ensemble_has_the_sum_of_its_members_by_their_shares(shares: tuple[float, float]) -> None:
    red, blue = patched(8, 8), patched(24, 24)
    red[..., 1:] = 0
    blue[..., :2] = 0
    model = finder(0, 2, shares=shares)
    assert [member.share for member in members(model)] == pytest.approx(list(shares))
    (heat,) = heat_map(model, (red + blue)[None], np.array([1]))
    (seen,) = heat_map(finder(0), (red + blue)[None], np.array([1]))
    np.testing.assert_allclose(heat[:12, :12], seen[:12, :12] * shares[0] / max(shares), atol=1e-5)
    assert seen[20:, 20:].max() == 0
    assert heat[20:, 20:].max() == pytest.approx(shares[1] / max(shares), abs=1e-5)


def test_a_joined_network_is_explained_and_shared_layers_count_once() -> None:
    keras.utils.set_random_seed(2)
    features = build_features("mobilenet_v2_0.35", Size(SIDE, SIDE), 3, NO_WEIGHTS)
    probes = [assemble(features, build_head(TrialSettings(head_layers=number), 1280, 3)) for number in (0, 1)]
    model = join([(probes[0], 0.75), (probes[1], 0.25)], "both")
    found = members(model)
    assert [member.share for member in found] == pytest.approx([0.75, 0.25])
    assert found[0].last is found[1].last
    image = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
    heat = GradCam(model, traced=False).heat_map(image, np.array([1]))
    assert np.isfinite(heat).all()
    assert heat.max() == 1


def test_several_threads_get_what_one_gets() -> None:
    model = finder()
    images = np.stack([patched(8 + number, 20) for number in range(12)])
    ones = np.ones(12, np.int64)
    expected = GradCam(model, traced=False).heat_map(images, ones)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda place: heat_map(model, images[place : place + 1], ones[:1])[0], range(12)))
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-6)


def test_more_than_a_batch_and_none() -> None:
    model = finder()
    images = np.stack([patched(6 + number % 20, 10) for number in range(70)])
    heat = heat_map(model, images, np.ones(70, np.int64))
    np.testing.assert_allclose(heat[69], heat_map(model, images[69:], np.ones(1, np.int64))[0], atol=1e-6)
    assert heat_map(model, images[:0], np.ones(0, np.int64)).shape == (0, SIDE, SIDE)


def test_a_model_that_is_gone_is_not_kept() -> None:
    model = finder()
    heat_map(model, patched(10, 10)[None], np.array([1]))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("images", "classes", "rule"),
    [
        (np.zeros((1, SIDE, SIDE, 1), np.uint8), [0], "takes pictures"),
        (np.zeros((1, SIDE, SIDE, 3), np.float32), [0], "of type uint8"),
        (np.zeros((2, SIDE, SIDE, 3), np.uint8), [0], r"for each of the 2 pictures; received \[0\]"),
        (np.zeros((1, SIDE, SIDE, 3), np.uint8), [2], r"a class from 0 to 1 .* received \[2\]"),
        (np.zeros((1, SIDE, SIDE, 3), np.uint8), [-1], "a class from 0 to 1"),
    ],
)
def test_what_is_not_the_models_is_refused(images: np.ndarray, classes: list[int], rule: str) -> None:
    with pytest.raises(ModelError, match=rule):
        heat_map(finder(), images, np.array(classes))


def test_a_model_of_another_form_is_refused() -> None:
    pixels = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(pixels)
    vectors = keras.Input((5,))
    for model in (
        keras.Model(pixels, keras.layers.Dense(2)(flat)),
        keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(flat)),
        keras.Model(vectors, keras.layers.Dense(2, activation="softmax")(vectors)),
    ):
        with pytest.raises(ModelError, match="use a model that imgcls trained"):
            GradCam(model)


def test_an_overlay_keeps_the_picture_where_it_is_cold() -> None:
    images = np.full((1, 4, 4, 1), 200, np.uint8)
    heat = np.zeros((1, 4, 4), np.float32)
    heat[0, 0, 0] = 1
    laid = overlay(images, heat)
    assert laid.shape == (1, 4, 4, 3)
    assert laid[0, 0, 0].tolist() != laid[0, 3, 3].tolist()
    assert len(np.unique(laid[0, 3, 3])) == 2

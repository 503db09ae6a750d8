"""Grad-CAM: which places of a picture speak for a class.

Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, https://arxiv.org/abs/1610.02391, section 3: the channels of a late map, each weighted with
the mean gradient of the class's score, summed, and what speaks against the class cut off.
"""

import threading
import weakref
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgcls_ray.errors import ModelError
from imgcls_ray.explain.maps import fine_map, members, scores
from imgcls_ray.models.pictures import check_images

BATCH = 32
"""Pictures at a time: what is held in memory is their maps."""


class GradCam:
    """Heat maps of one flat network: a probe on a frozen backbone, a fine-tuned one, the small network from scratch.

    Several networks whose probabilities are averaged (an ensemble) have the sum of their maps, each in the unit of its
    score times its share. Safe to use from several threads. Forward it runs the network, backward only what lies behind
    the map.
    """

    def __init__(self, model: keras.Model, traced: bool = True) -> None:
        """Find the maps of `model`; its layers are shared, not copied.

        Args:
            model: pixels in, probabilities out.
            traced: whether the first call traces a graph, for any number of pictures: some seconds, after which each
                call is many times faster. Without it a call costs what it costs, which is less for one.

        Raises:
            ModelError: it is not of that form.
        """
        self._shape, self._classes = tuple(model.input_shape[1:]), int(model.output_shape[-1])
        found = members(model)
        maps = [fine_map(model, member) for member in found]
        # Heads on one backbone share their map.
        maps = list({id(tensor): tensor for tensor in maps}.values())
        self._trunk = keras.Model(model.input, maps)
        self._tail = keras.Model(maps, [scores(member) for member in found])
        self._shares = [member.share for member in found]
        signature = tf.TensorSpec((None, *self._shape), tf.uint8), tf.TensorSpec((None,), tf.int32)
        self._run = tf.function(self._heat, input_signature=signature, jit_compile=False) if traced else self._heat

    def heat_map(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Heat (n, H, W) float32 from 0 to 1 for pictures (n, H, W, C) uint8 and a class (n,) int for each; n may be 0.

        Each picture's warmest place is 1; all of it is 0 where nothing speaks for the class. How warm two pictures are
        can't be compared.

        Raises:
            ModelError: pictures or classes that the model does not have.
        """
        check_images(images, self._shape)
        wanted = np.asarray(classes)
        if wanted.shape != (len(images),) or ((wanted < 0) | (wanted >= self._classes)).any():
            raise ModelError(
                f"A heat map needs a class from 0 to {self._classes - 1} for each of the {len(images)} pictures; "
                f"received {wanted.tolist() if wanted.size < 10 else wanted.shape}."
            )
        heat = np.empty(images.shape[:3], np.float32)
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            heat[part] = self._run(tf.constant(images[part]), tf.constant(wanted[part], tf.int32)).numpy()
        return heat

    def _heat(self, images: Any, classes: Any) -> Any:
        # Keras gives a tensor where there is one, else a list.
        maps = tf.nest.flatten(self._trunk(tf.cast(images, tf.float32), training=False))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(maps)
            answers = tf.nest.flatten(self._tail(maps, training=False))
            wanted = [tf.gather(one, classes, batch_dims=1) for one in answers]
            score = tf.add_n([share * one for share, one in zip(self._shares, wanted, strict=True)])
        total = tf.zeros(tf.shape(images)[:3])
        for activations, gradients in zip(maps, tape.gradient(score, maps), strict=True):
            weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
            warm = tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1, keepdims=True))
            # Per part of the picture, not per position: the members' maps may be of several sizes.
            warm *= float(np.prod(warm.shape[1:3]))
            total += tf.image.resize(warm, self._shape[:2])[..., 0]
        return tf.math.divide_no_nan(total, tf.reduce_max(total, axis=(1, 2), keepdims=True))


_known: "weakref.WeakKeyDictionary[Any, GradCam]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def heat_map(model: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """`GradCam(model).heat_map(images, classes)`, with what was traced kept as long as the model is.

    Args:
        model: pictures (n, H, W, C) 0-255 in, probabilities (n, K) out, as in a bundle.
        images: (n, H, W, C) uint8.
        classes: (n,) int, from 0 to K - 1: which class to ask about, mostly the one that was answered.

    Returns:
        (n, H, W) float32, 0 to 1.

    Raises:
        ModelError: the model is of another form, or pictures or classes are not its own.
    """
    with _lock:
        found = _known.get(model)
        if found is None:
            found = _known[model] = GradCam(model)
    return found.heat_map(images, classes)

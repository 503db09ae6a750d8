"""A SavedModel that does all of it, from the bytes of pictures to scores, in the layout of TensorFlow Serving."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from imgcls_ray.bundle.export.base import FLOAT32_TOLERANCE, Exporter, Parts
from imgcls_ray.bundle.export.decoding import decoder
from imgcls_ray.bundle.export.graph import pixel_function
from imgcls_ray.data.png import png_of
from imgcls_ray.errors import ImageError, ModelError
from imgcls_ray.inference.base import Answering

if TYPE_CHECKING:
    from imgcls_ray.bundle.bundle import Bundle
    from imgcls_ray.bundle.export.pictures import Pictures

VERSION = "1"
KEY, BYTES, PREDICTION, SCORES = "key", "image_bytes", "prediction", "scores"
DECODER_TOLERANCE = 0.02
"""Largest difference of a probability that the decoder of the graph may make on baseline JPEG without EXIF."""


class _Served:
    """The signature as TensorFlow Serving calls it, fed with pictures as PNG, which loses nothing."""

    def __init__(self, place: Path) -> None:
        self._loaded = tf.saved_model.load(str(place / VERSION))  # kept: the signature does not keep its weights alive
        self._call = self._loaded.signatures[tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """See Engine."""
        return self.predict_bytes([png_of(image) for image in images])

    def predict_bytes(self, files: list[bytes]) -> np.ndarray:
        """Scores (n, K) for encoded pictures.

        Raises:
            ModelError: what comes back belongs to other keys, or the predictions are not the highest scores.
        """
        keys = [str(number).encode() for number in range(len(files))]
        found = self._call(**{KEY: tf.constant(keys), BYTES: tf.constant(files)})
        scores: np.ndarray = found[SCORES].numpy()
        if found[KEY].numpy().tolist() != keys or (found[PREDICTION].numpy() != scores.argmax(axis=1)).any():
            raise ModelError("The SavedModel mixes up its answers; nothing was written.")
        return scores


class SavedModel(Exporter):
    """`PATH/1/saved_model.pb`, as the earlier cloud system had it: bytes in, scores out."""

    name = "saved_model"
    title = "SavedModel, bytes to scores"
    takes = f"`{KEY}`: strings (n,), handed back; `{BYTES}`: strings (n,), each the bytes of a JPEG or PNG"
    gives = f"`{KEY}`; `{PREDICTION}`: int64 (n,), the number of the most probable label; `{SCORES}`: {Exporter.gives}"
    tolerance = FLOAT32_TOLERANCE
    reads_files = True

    def write(self, parts: Parts, place: Path) -> None:
        """See Exporter."""
        pixels = parts.bundle.pixels
        decode = decoder(pixels)
        score, _ = pixel_function(parts.network)

        def serve(key: Any, image_bytes: Any) -> dict[str, Any]:
            images = tf.map_fn(decode, image_bytes, fn_output_signature=tf.TensorSpec(pixels.shape, tf.uint8))
            scores = score(images)
            return {KEY: tf.identity(key), PREDICTION: tf.argmax(scores, axis=1), SCORES: scores}

        module = tf.Module()
        module.network = parts.network
        specs = [tf.TensorSpec((None,), tf.string, name) for name in (KEY, BYTES)]
        signature = tf.function(serve, autograph=False, jit_compile=False).get_concrete_function(*specs)
        tf.saved_model.save(module, str(place / VERSION), signatures=signature)

    def load(self, place: Path) -> Answering:
        """See Exporter."""
        return _Served(place)

    def findings(self, place: Path, bundle: "Bundle", pictures: "Pictures") -> dict[str, Any]:
        """How far answers are apart because the graph has a decoder of its own, on encoded pictures.

        Raises:
            ModelError: by more than 0.02.
        """
        served = _Served(place)
        gaps = []
        for data in pictures.encoded:
            expected = bundle.predict_bytes([data])[0]
            if not isinstance(expected, ImageError):
                gaps.append(float(np.abs(served.predict_bytes([data])[0] - expected).max()))
        if pictures.encoded and not gaps:
            raise ModelError(
                f"The decoder in the SavedModel's graph is compared with the bundle's on {pictures.encoded_source}, "
                "and none of them can be decoded: nothing was written; give others with --pictures."
            )
        if not all(gap <= DECODER_TOLERANCE for gap in gaps):
            raise ModelError(
                f"The decoder in the SavedModel's graph may change a probability by {DECODER_TOLERANCE}; on "
                f"{len(gaps)} encoded pictures it changes one by {max(gaps):.3f}: nothing was written; choose another "
                "format."
            )
        return {
            "decoder": {
                "pictures": len(gaps),
                "judged_on": pictures.encoded_source,
                "largest": max(gaps, default=None),
                "tolerance": DECODER_TOLERANCE,
                "limits": "JPEG and PNG; EXIF orientation is not applied; CMYK is not read",
            }
        }

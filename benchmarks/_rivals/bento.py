"""BentoML: `bentoml serve bento:Classifier`, after its guide to services; two workers for the two CPUs."""

from typing import Any

import bentoml
from pictures import answer, array, load
from PIL.Image import Image


@bentoml.service(workers=2, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Classifier:
    """One picture a request."""

    def __init__(self) -> None:
        import tensorflow as tf

        self.model, self.constant, self.float32 = load(), tf.constant, tf.float32
        self.run = tf.function(lambda images: self.model(images, training=False), jit_compile=False)

    @bentoml.api(route="/classify")
    def classify(self, img: Image) -> dict[str, Any]:
        """The form that BentoML has read."""
        return answer(self.run(self.constant(array(img, self.model), self.float32)).numpy()[0])

"""LitServe: `python lit.py`, after its guide: decode, predict, encode; two workers for the two CPUs."""

import os
from typing import Any

import litserve as ls
import numpy as np
from fastapi import Request
from pictures import answer, load, pixels


class Classifier(ls.LitAPI):
    """One picture a request."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - as LitServe calls it
        """Once in each worker; the model runs as a `tf.function`, or LitServe would be `model.predict` again."""
        import tensorflow as tf

        self.model, self.constant, self.float32 = load(), tf.constant, tf.float32
        self.run = tf.function(lambda images: self.model(images, training=False), jit_compile=False)

    def decode_request(self, request: Request) -> np.ndarray:
        """The form that LitServe has read: with this annotation it gives the fields by name."""
        return pixels(request["img"].file.read(), self.model)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Probabilities of the picture."""
        return np.asarray(self.run(self.constant(x, self.float32)))[0]

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        """JSON."""
        return answer(output)


if __name__ == "__main__":
    server = ls.LitServer(Classifier(api_path="/classify"), accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", generate_client_file=False)

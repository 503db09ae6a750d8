"""FastAPI with a `tf.function` around the model: `uvicorn tracing:app`."""

from typing import Any

import tensorflow as tf
from fastapi import FastAPI, UploadFile
from pictures import answer, load, pixels

app = FastAPI()
model = load()


@tf.function(jit_compile=False)
def run(images: Any) -> Any:
    """Probabilities of one batch; traced once, as all batches are one picture."""
    return model(images, training=False)


@app.post("/classify")
def classify(img: UploadFile) -> dict[str, Any]:
    """One picture; without `async`, so FastAPI runs it in a thread."""
    return answer(run(tf.constant(pixels(img.file.read(), model), tf.float32)).numpy()[0])

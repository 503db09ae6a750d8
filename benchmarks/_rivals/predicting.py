"""FastAPI with `model.predict`: `uvicorn predicting:app`, after FastAPI's guide to request files."""

from typing import Any

from fastapi import FastAPI, UploadFile
from pictures import answer, load, pixels

app = FastAPI()
model = load()


@app.post("/classify")
def classify(img: UploadFile) -> dict[str, Any]:
    """One picture; without `async`, so FastAPI runs it in a thread."""
    return answer(model.predict(pixels(img.file.read(), model), verbose=0)[0])

"""What MLflow's own tools run a registered model with: `mlflow.pyfunc.load_model`, `mlflow models serve`.

MLflow imports this module by its name, which stands in the model's `MLmodel`, and calls `_load_pyfunc`. Nothing is
unpickled: the data is a bundle, and it is verified as everywhere.
"""

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls_ray.bundle.bundle import Bundle, load_bundle
from imgcls_ray.errors import ImageError, ModelError

if TYPE_CHECKING:
    import pandas as pd

IMAGE = "image"
"""The one input column: an encoded picture."""
COLUMNS = ("label", "probability", "decision", "scores", "error")


class PictureModel:
    """A bundle as MLflow calls a model."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> "pd.DataFrame":  # noqa: ARG002 - MLflow's signature
        """Answer for each encoded picture.

        Args:
            model_input: a DataFrame with a column `image`, or a list; of bytes, or of texts in base64.
            params: none are known.

        Returns:
            A row for each picture, in their order: `label` and its `probability`, `decision` (`sure`, `unsure`),
            `scores` (class -> probability), and `error`, which says why a picture that can't be decoded has none of
            the others.

        Raises:
            ModelError: there is no such column, or what it holds is neither bytes nor base64.
        """
        import pandas as pd

        rows = [self._row(one) for one in self.bundle.predict_bytes([_bytes(one) for one in _pictures(model_input)])]
        return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)

    def _row(self, answer: Any) -> dict[str, Any]:
        if isinstance(answer, ImageError):
            return dict.fromkeys(COLUMNS) | {"error": str(answer)}
        ranked = self.bundle.ranked(answer)
        scores = dict(zip(self.bundle.labels.names, map(float, answer), strict=True))
        return {**ranked[0], "decision": self.bundle.decision(answer), "scores": scores, "error": None}


def _load_pyfunc(data_path: str) -> PictureModel:
    """See `mlflow.pyfunc`: the model whose data, a bundle, lies at `data_path`."""
    from imgcls_ray import quiet

    quiet.import_tensorflow()
    return PictureModel(load_bundle(Path(data_path)))


def _pictures(model_input: Any) -> list[Any]:
    if not hasattr(model_input, "columns"):
        return list(model_input)
    if IMAGE not in model_input.columns:
        raise ModelError(f"The pictures are in a column '{IMAGE}'; received the columns {list(model_input.columns)}.")
    return list(model_input[IMAGE])


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (TypeError, AttributeError, binascii.Error) as error:
        raise ModelError(f"A picture is bytes, or a text in base64; received a {type(value).__name__}.") from error

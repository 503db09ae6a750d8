"""The bundle again, with another choice of what answers for it."""

from pathlib import Path
from typing import ClassVar

import numpy as np

from imgcls_ray.bundle.bundle import TOLERANCES, load_bundle, write_bundle
from imgcls_ray.bundle.card import Inference
from imgcls_ray.bundle.export.base import Exporter, Parts
from imgcls_ray.bundle.files import GOLDEN, MODEL, read_golden
from imgcls_ray.errors import ModelError
from imgcls_ray.inference.base import Answering, Precision
from imgcls_ray.inference.engine import load_engine
from imgcls_ray.models.saved import load_network


class OpenVinoBundle(Exporter):
    """Answers by OpenVINO in float32."""

    name = "bundle_openvino"
    title = "bundle that OpenVINO answers for"
    takes = "whatever a bundle takes"
    packages = ("openvino",)
    extra = "cpu"
    _precision: ClassVar[Precision] = "float32"

    def write(self, parts: Parts, place: Path) -> None:
        """See Exporter."""
        bundle = parts.bundle
        model = load_network(bundle.path / MODEL)
        golden, scores = read_golden(bundle.path / GOLDEN)
        engine = load_engine(model, "openvino", self._precision)
        difference = float(np.abs(bundle.calibration.apply(engine.predict(golden)) - scores).max())
        if not difference <= self.tolerance:
            raise ModelError(
                f"OpenVINO in {self._precision} may change a probability by {self.tolerance:g}; on the golden pictures "
                f"it changes one by {difference:.1e}: nothing was written; choose another format."
            )
        choice = Inference(engine="openvino", precision=self._precision, difference=difference)
        card = bundle.card.model_copy(update={"inference": choice})
        write_bundle(
            place,
            model,
            bundle.labels,
            bundle.pixels,
            card,
            golden,
            bundle.calibration,
            bundle.reference,
            portable=True,
        )

    def load(self, place: Path) -> Answering:
        """See Exporter."""
        return load_bundle(place)


class Bfloat16Bundle(OpenVinoBundle):
    """Answers by OpenVINO in bfloat16, on CPUs that compute in it."""

    name = "bundle_bfloat16"
    title = "bundle that OpenVINO answers for in bfloat16"
    tolerance = TOLERANCES["bfloat16"]
    agreement = 0.99
    _precision: ClassVar[Precision] = "bfloat16"

"""The gate of parity: the same answers whoever asks, and on whatever engine."""

from collections.abc import Mapping

import numpy as np

from imgcls_ray.bundle.bundle import TOLERANCE, Bundle
from imgcls_ray.bundle.files import GOLDEN, MODEL, read_golden
from imgcls_ray.data.png import png_of
from imgcls_ray.errors import ImageError, ModelError
from imgcls_ray.inference.openvino import installed
from imgcls_ray.tracking.gates.base import Contest, Gate, Judgement, Verdict


class ParityGate(Gate):
    """The registered files load, and the golden pictures give the probabilities that were saved with them.

    They are asked as pixels, as encoded pictures, and of OpenVINO where it is installed and can read the network.
    """

    name = "parity"
    needs_rival = False

    def judge(self, contest: Contest) -> Judgement:
        """See Gate."""
        bundle = contest.candidate.bundle
        if bundle is None:
            return Judgement(self.name, "failed", contest.candidate.fault, limit=TOLERANCE)
        images, scores = read_golden(bundle.path / GOLDEN)
        gaps = {"pixels": _gap(bundle.predict(images), scores)}
        try:
            gaps["bytes"] = _gap(_by_bytes(bundle, images), scores)
            note = "OpenVINO is not installed"
            if installed():
                found, note = _on_openvino(bundle, images)
                gaps |= {} if found is None else {"openvino": _gap(found, scores)}
        except ModelError as error:
            return Judgement(self.name, "failed", str(error), max(gaps.values()), TOLERANCE, more=gaps)
        return self._judgement(gaps, len(images), note)

    def _judgement(self, gaps: Mapping[str, float], pictures: int, note: str) -> Judgement:
        worst = max(gaps, key=lambda name: gaps[name])
        good = gaps[worst] <= TOLERANCE
        asked = ", ".join(gaps)
        end = "as saved" if good else f"not as saved, worst by {worst}"
        sentence = f"The {pictures} golden pictures ({asked}) are answered {end}: they differ by {gaps[worst]:.1e}"
        verdict: Verdict = "passed" if good else "failed"
        return Judgement(
            self.name, verdict, f"{sentence}{f'; {note}' if note else ''}.", gaps[worst], TOLERANCE, more=gaps
        )


def _gap(found: np.ndarray, scores: np.ndarray) -> float:
    gap = float(np.max(np.abs(found - scores), initial=0.0))
    return gap if np.isfinite(gap) else float("inf")


def _by_bytes(bundle: Bundle, images: np.ndarray) -> np.ndarray:
    """Probabilities (n, K) for the pictures (n, H, W, C) as files that hold just these pixels."""
    rows = bundle.predict_bytes([png_of(image) for image in images])
    broken = next((row for row in rows if isinstance(row, ImageError)), None)
    if broken is not None:
        raise ModelError(f"A golden picture can't be decoded when it comes as a file: {broken.reason}.")
    return np.stack([row for row in rows if isinstance(row, np.ndarray)])


def _on_openvino(bundle: Bundle, images: np.ndarray) -> tuple[np.ndarray | None, str]:
    """Calibrated probabilities (n, K) of the same network on OpenVINO; None where it can't run there, and why.

    Raises:
        ModelError: it runs there and answers otherwise than on TensorFlow.
    """
    from imgcls_ray.inference.conversion import DisagreementError
    from imgcls_ray.inference.engine import load_engine
    from imgcls_ray.models.saved import load_network

    model = load_network(bundle.path / MODEL)
    try:
        return bundle.calibration.apply(load_engine(model, "openvino").predict(images)), ""
    except DisagreementError:
        raise
    except ModelError as error:
        return None, f"on TensorFlow alone: {str(error).rstrip('.')}"

"""Gates: a model is promoted when it passes each of them."""

from collections.abc import Sequence

from imgcls_ray.tracking.gates.base import Contender, Contest, Gate, Judgement, Verdict
from imgcls_ray.tracking.gates.calibration import CalibrationGate
from imgcls_ray.tracking.gates.latency import LatencyGate
from imgcls_ray.tracking.gates.metric import MetricGate
from imgcls_ray.tracking.gates.parity import ParityGate

__all__ = ["GATES", "Contender", "Contest", "Gate", "Judgement", "Verdict", "judged", "passed"]

GATES: tuple[Gate, ...] = (ParityGate(), MetricGate(), CalibrationGate(), LatencyGate())


def judged(contest: Contest, gates: Sequence[Gate] = GATES) -> tuple[Judgement, ...]:
    """What each gate says, in their order."""
    return tuple(gate(contest) for gate in gates)


def passed(judgements: Sequence[Judgement]) -> bool:
    """Whether nothing stands against a promotion."""
    return all(one.verdict in ("passed", "no rival") for one in judgements)

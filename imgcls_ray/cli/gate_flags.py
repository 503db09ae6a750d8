"""The flags of the gates, for the verbs that promote."""

from dataclasses import dataclass
from typing import Annotated, Any

from imgcls_ray.cli.flags import option

GATES = "Gates"
"""Their group on the page of help."""


@dataclass(frozen=True)
class GateFlags:
    """One field per flag, None where it was not typed."""

    metric: Annotated[
        str | None, option("NAME", "Compared: accuracy, balanced_accuracy, f1_macro or loss.", "accuracy", GATES)
    ] = None
    max_drop: Annotated[
        float | None, option("X", "How far it may be worse where that may be chance.", "0.02", GATES)
    ] = None
    max_slowdown: Annotated[float | None, option("X", "Time for a picture, in that of the champion.", "1.5", GATES)] = (
        None
    )
    max_ece: Annotated[
        float | None, option("X", "Calibration error that is good whatever the champion's is.", "0.05", GATES)
    ] = None

    def settings(self, prefix: str = "") -> dict[str, Any]:
        """Name of a setting, after `prefix` -> what was typed for it, or None."""
        names = ("metric", "max_drop", "max_slowdown", "max_ece")
        return {prefix + name: getattr(self, name) for name in names}

"""Plain advice from a report's figures: what to mend, and what to have in mind when accuracies are read."""

from imgcls_ray.reports import defects, limits
from imgcls_ray.reports.report import Advice, DataReport

_PARTS = (
    defects.label_conflicts,
    defects.near_other_label,
    defects.given_leaks,
    defects.absent,
    defects.rejected,
    defects.placeholders,
    defects.flat,
    limits.small_classes,
    limits.imbalance,
    limits.gray,
    limits.enlarged,
    limits.shapes,
    limits.copies,
    limits.near,
    limits.chance,
)


def advise(report: DataReport) -> tuple[Advice, ...]:
    """All advice that the figures of `report` give reason for: what calls for an act first."""
    found = [advice for part in _PARTS for advice in part(report)]
    return tuple(sorted(found, key=lambda advice: advice.level))  # "act" before "know"; the sort is stable

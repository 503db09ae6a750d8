"""The table of what the gates said."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgcls_ray.cli.output import Output
    from imgcls_ray.pipeline.promotion import Promotion

STYLES = {"passed": "green", "failed": "bold red", "no rival": "dim", "not judged": "dim"}


def print_promotion(out: "Output", promotion: "Promotion") -> None:
    """A row for each gate with its figure, limit and verdict, what each says, and what came of it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("gate", "figure", "limit", "verdict"):
        table.add_column(name, justify="right" if name in ("figure", "limit") else "left", no_wrap=True)
    for one in promotion.judgements:
        verdict = Text(one.verdict, style=STYLES[one.verdict])
        table.add_row(one.gate, _shown(one.figure, one.unit), _shown(one.limit, one.unit), verdict)
    out.table(table)
    widest = max(len(one.gate) for one in promotion.judgements)
    for one in promotion.judgements:
        out.line(one.sentence, f"{one.gate:<{widest}}")
    out.line(promotion.sentence)


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    text = f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"
    return f"{value:.2f} {unit}" if unit else text

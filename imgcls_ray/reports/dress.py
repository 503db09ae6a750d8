"""Matplotlib's figures in the page's dress: its colours and type, as SVG that can stand inside a page.

Why matplotlib and not plotly, which Optuna draws with as well: a plotly page carries 4 MB of script, and shows nothing
where scripts are off, as on a page that is opened from MLflow. SVG is a tenth of a megabyte at most, is sharp, prints,
its words are text, and it follows the page into the dark. MLflow brings matplotlib along in any case.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib import pyplot
from matplotlib.figure import Figure
from optuna.exceptions import ExperimentalWarning

from imgcls_ray.reports.plot import CARD, COMPLETE, DEFAULTS, LEADER, LINE, PRUNED, SOFT, Plot

FONT = "font: {size}px system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
STRENGTH = (PRUNED, COMPLETE, DEFAULTS, LEADER)
"""Of the points' colours, the weakest first."""
SALT = "imgcls"
"""Makes the names of parts the same each time: a page that is made again is equal."""


@contextmanager
def drawing() -> Iterator[None]:
    """What Optuna's plots change of matplotlib ends with the block, and no window opens."""
    if matplotlib.get_backend(auto_select=False) is None:
        matplotlib.use("agg")
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": SALT, "font.size": 10}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # all that Optuna draws by matplotlib
        yield


def drawn(name: str, words: str, size: tuple[float, float], draw: Callable[[], Any]) -> Plot:
    """Let Optuna draw, and write it down.

    Args:
        name: of the plot.
        words: see `Plot`; plain text.
        size: width and height in inches of 72 points.
        draw: makes a new figure, and puts it into the dress.
    """
    figure = draw().get_figure()
    try:
        figure.set_size_inches(*size)
        return Plot(name, _svg(figure), words)
    finally:
        pyplot.close(figure)


def dress(axes: Any) -> Any:
    """Take off Optuna's (gray ground, title, legend), and put on the page's.

    What Optuna gives is matplotlib's `Axes`; its types leave too much open for a checker.
    """
    axes.set_title("")
    axes.set_title("", loc="left")
    if axes.get_legend():
        axes.get_legend().remove()
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    axes.grid(True, color=LINE, linewidth=0.8, linestyle="-")
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(LINE)
    axes.tick_params(which="both", colors=SOFT, length=0, labelsize=9)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(SOFT)
        label.set_fontsize(9.5)
    return axes


def _svg(figure: Figure) -> str:
    figure.set_layout_engine("constrained")
    figure.patch.set_facecolor(CARD)
    buffer = io.StringIO()
    nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"font: (?:bold )?([\d.]+)px [^;\"]*", lambda found: FONT.format(size=found[1]), text)
    # A hundredth of a point is finer than any screen.
    text = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), text)
    return re.sub(r"<!--.*?-->\n?|^\s+", "", text, flags=re.DOTALL | re.MULTILINE)


def paint(points: Any, colours: Sequence[str]) -> None:
    """Give the points of a scatter plot (a `PathCollection`) their colours; the strong ones lie on top."""
    order = sorted(range(len(colours)), key=lambda number: STRENGTH.index(colours[number]))
    points.set_array(None)
    points.set_offsets(points.get_offsets()[order])
    points.set(facecolor=[colours[number] for number in order], edgecolor=CARD, linewidth=0.6, sizes=[34])
    points.set_clip_on(False)

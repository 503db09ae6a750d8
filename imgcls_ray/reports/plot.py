"""A drawing of a study's report, and the colours that it shares with the page."""

import re
from dataclasses import dataclass
from html import escape

INK, SOFT, LINE, CARD = "#1d2126", "#5c646e", "#e1e2dd", "#ffffff"
COMPLETE, PRUNED, LEADER, DEFAULTS = "#3a6ea5", "#a9a6b8", "#c6523f", "#e0a43a"
VARIABLES = {
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    CARD: "--card",
    COMPLETE: "--train",
    PRUNED: "--duplicate",
    LEADER: "--rejected",
    DEFAULTS: "--val",
}
"""The names that the page's style sheet has for these colours; it has others for the dark."""


@dataclass(frozen=True)
class Plot:
    """One drawing."""

    name: str
    """Of its file, without an ending."""
    svg: str
    """A document of its own, in the colours of paper."""
    words: str
    """What is seen on it, for those who can't."""

    @property
    def inline(self) -> str:
        """The element as it stands in the page: its colours are the page's, its parts' names its own."""
        # The page says how wide it is.
        text = re.sub(r' (width|height)="[\d.]+pt"', "", self.svg)
        for colour, variable in VARIABLES.items():
            text = text.replace(colour, f"var({variable})")
        text = re.sub(r'\bid="', f'id="{self.name}-', text)
        text = re.sub(r'(href="#|url\(#)', rf"\g<1>{self.name}-", text)
        return text.replace("<svg ", f'<svg role="img" aria-label="{escape(self.words)}" ', 1)

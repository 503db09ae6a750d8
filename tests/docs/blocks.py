"""The fenced blocks of a Markdown page, and the notes above those that are not run."""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"```(\w*)")
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
_NUMBERS = re.compile(r"\b(trials|epochs)([ =:]+)\d+")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    """Of its first line, from 1."""
    language: str
    text: str
    not_run: str | None
    """The reason in the comment `<!-- not run: reason -->` on the line above it."""

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.page}:{self.line}"

    @property
    def small(self) -> str:
        """The block as the tests run it. This is the one liberty they take: numbers of trials and epochs become 2."""
        return _NUMBERS.sub(r"\g<1>\g<2>2", self.text)


def blocks(path: Path) -> list[Block]:
    """All fenced blocks of a page, in their order."""
    found: list[Block] = []
    lines = path.read_text(encoding="utf-8").splitlines()
    start, language, above = 0, "", ""
    for number, line in enumerate(lines, 1):
        fence = _FENCE.fullmatch(line)
        if fence and not start:
            start, language, above = number + 1, fence[1], lines[number - 2] if number > 1 else ""
        elif fence:
            reason = _NOT_RUN.fullmatch(above)
            text = "\n".join(lines[start - 1 : number - 1]) + "\n"
            found.append(Block(f"{path.parent.name}/{path.name}", start, language, text, reason and reason[1]))
            start = 0
    return found

"""Pages that a provider has given, kept for a week: a run that goes on does not ask for them again."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from imgcls_ray.data.collect.base import Candidate, Page, Provider, Row
from imgcls_ray.data.collect.record import JsonLines

KEPT = timedelta(days=7)


class KeptSearches(Provider):
    """A provider whose answers are looked up in a file first."""

    def __init__(self, provider: Provider, file: JsonLines, what: str) -> None:
        """`what`: the provider's settings that change its answers, such as the licences."""
        self.name, self.asks = provider.name, provider.asks
        self._provider, self._file, self._what = provider, file, what
        oldest = datetime.now(UTC) - KEPT
        self._pages: dict[tuple[str, int], Page] = {}
        for document in file.read():
            if document.get("provider") == self.name and document.get("what") == what and _time(document) > oldest:
                page = _page(document)
                if page is not None:
                    self._pages[document["term"], document["number"]] = page

    def search(self, row: Row, number: int) -> Page:
        """See Provider."""
        page = self._pages.get((row.term, number))
        if page is None:
            page = self._provider.search(row, number)
            self._pages[row.term, number] = page
            self._file.append(
                {
                    "provider": self.name,
                    "what": self._what,
                    "term": row.term,
                    "number": number,
                    "last": page.last,
                    "time": datetime.now(UTC).isoformat(timespec="seconds"),
                    "candidates": [asdict(candidate) for candidate in page.candidates],
                }
            )
        return page


def _time(document: dict[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(document["time"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def _page(document: dict[str, Any]) -> Page | None:
    """None for what was changed by hand: it is asked again."""
    try:
        candidates = tuple(Candidate(**values) for values in document["candidates"])
        whole = all(isinstance(value, str) for candidate in candidates for value in asdict(candidate).values())
        kinds = (document["term"], str), (document["number"], int), (document["last"], bool)
        if not whole or not all(isinstance(value, kind) for value, kind in kinds):
            return None
        return Page(candidates, document["last"])
    except (KeyError, TypeError):
        return None

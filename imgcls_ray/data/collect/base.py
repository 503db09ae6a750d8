"""What every provider gives: candidates, page by page, for what a row of the CSV asks."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from imgcls_ray.data.sources import Split


@dataclass(frozen=True)
class Row:
    """One row of the CSV: so many pictures of a search term, for one class and split."""

    line: int
    """Of the file, from 1: for messages."""
    term: str
    number: int
    label: str
    split: Split | None
    """None in all rows when the CSV names no splits."""

    @property
    def key(self) -> tuple[str, str, Split | None]:
        """What tells it from other rows, in this run and the next."""
        return (self.term, self.label, self.split)

    @property
    def folder(self) -> str:
        """Where its pictures go, relative to the output folder."""
        return f"{self.split}/{self.label}" if self.split else self.label


@dataclass(frozen=True)
class Candidate:
    """A picture that may be fetched, with what its licence asks to be told. Unknown texts are empty."""

    url: str
    page: str = ""
    """The page that shows the picture, for people."""
    license: str = ""
    license_url: str = ""
    creator: str = ""
    title: str = ""


@dataclass(frozen=True)
class Page:
    """A part of what a provider has for a term."""

    candidates: tuple[Candidate, ...]
    last: bool
    """Whether no page follows."""


class Provider(ABC):
    """Knows where pictures of a term are. It fetches none; a new one passes tests/data/collect/test_providers.py."""

    name: str
    """As in `--provider`, and in the record."""
    asks: bool
    """Whether `search` sends a request: then its pages are kept, so that a later run does not ask again."""

    @abstractmethod
    def search(self, row: Row, number: int) -> Page:
        """Page `number`, from 1, of what there is for `row.term`; the best first, the same each time.

        A page after the last one is empty and last.

        Raises:
            FetchError: the provider's server gives no answer; other rows may still be tried.
            SettingsError: it will never answer with these settings, such as a refused token.
        """

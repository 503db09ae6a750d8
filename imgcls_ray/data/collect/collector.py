"""Collecting: row by row, candidates from the provider, a few downloads at once, each result recorded at once."""

import time
from collections import Counter, deque
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from imgcls_ray.data.collect.attribution import write_attribution
from imgcls_ray.data.collect.base import Candidate, Provider, Row
from imgcls_ray.data.collect.client import Client, Limits
from imgcls_ray.data.collect.errors import Again, FetchError
from imgcls_ray.data.collect.folder import Folder, check_head, check_picture
from imgcls_ray.data.collect.record import RECORD, SEARCHES, Entry, JsonLines
from imgcls_ray.data.collect.report import Collected, CollectListener, Counts
from imgcls_ray.data.collect.searches import KeptSearches
from imgcls_ray.data.collect.settings import CollectSettings
from imgcls_ray.data.files import storage_error

ACCEPT = "image/jpeg,image/png,image/webp,image/gif,image/tiff,image/bmp;q=0.9,*/*;q=0.1"


@dataclass(frozen=True)
class _Picture:
    data: bytes
    suffix: str


def collect(
    rows: tuple[Row, ...],
    provider: Provider,
    client: Client,
    out: Path,
    settings: CollectSettings | None = None,
    listener: CollectListener | None = None,
    what: str = "",
) -> Collected:
    """Fetch what `rows` want into `out`; what is there already is not asked for again.

    Each address that was tried is a line of `out/collected.jsonl`, and `out/ATTRIBUTION.csv` tells authors and
    licences. A picture that you deleted is not fetched again; another one takes its place.

    Args:
        rows: see `read_rows`.
        provider: names candidates; its pages are kept in `out/searches.jsonl` for a week if it asks a server.
        client: does all requests; stopped at the end.
        out: made if it is not there.
        settings: limits of a picture and threads; the client has its own copy.
        listener: told what happens.
        what: the provider's settings that change its answers: pages kept under others are not used.

    Raises:
        DataError: `out` holds pictures in another layout.
        SettingsError: the provider refuses its settings.
        StorageError: `out` can't be written, or another run uses it.
    """
    settings, listener = settings or CollectSettings(), listener or CollectListener()
    started = time.monotonic()
    with ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(out, error) from error
        record = stack.enter_context(JsonLines(out / RECORD))
        if provider.asks:
            provider = KeptSearches(provider, stack.enter_context(JsonLines(out / SEARCHES)), what)
        entries = _entries(record)
        folder = Folder(out, entries, (row.folder for row in rows))
        pool = stack.enter_context(ThreadPoolExecutor(settings.threads, "collect"))
        stack.callback(client.stop)  # runs before the pool's end, which waits for its threads
        work = _Collector(provider, client, settings, listener, record, folder, entries, pool)
        interrupted = False
        try:
            work.run(rows)
        except KeyboardInterrupt:
            interrupted = True
            client.stop()
        write_attribution(out, work.kept())
        counts, short = work.counts, work.short(rows)
    return Collected(
        str(out),
        sum(row.number for row in rows),
        counts.found,
        counts.had,
        counts.downloaded,
        dict(counts.skipped.most_common()),
        dict(counts.failed.most_common()),
        short,
        time.monotonic() - started,
        interrupted,
    )


def _entries(record: JsonLines) -> list[Entry]:
    """The last word on each address, in the order in which they were said."""
    found: dict[str, Entry] = {}
    for document in record.read():
        try:
            entry = Entry.from_json(document)
        except ValueError:  # a line that somebody changed by hand tells nothing; its address is tried again
            continue
        found.pop(entry.url, None)
        found[entry.url] = entry
    return list(found.values())


class _Collector:
    def __init__(
        self,
        provider: Provider,
        client: Client,
        settings: CollectSettings,
        listener: CollectListener,
        record: JsonLines,
        folder: Folder,
        entries: list[Entry],
        pool: ThreadPoolExecutor,
    ) -> None:
        self.counts = Counts()
        self._provider, self._client, self._settings, self._listener = provider, client, settings, listener
        self._record, self._folder, self._pool = record, folder, pool
        self._entries = {entry.url: entry for entry in entries}
        self._tried: set[str] = set()
        self._seen: set[str] = set()
        self._have: Counter[tuple[str, str, str]] = Counter()
        for entry in self.kept():
            self._have[entry.term, entry.label, entry.split] += 1
        self._decoding = Lock()  # one picture at a time is unpacked, so memory stays that of one
        self._limits = Limits(int(settings.max_mb * 1e6), ACCEPT, check_head)

    def kept(self) -> list[Entry]:
        """Pictures with a record that are still there. Where records share a file, the newest tells what it is."""
        newest = {entry.file: entry for entry in self._entries.values() if entry.file}
        return [entry for entry in newest.values() if self._folder.holds(entry.file)]

    def run(self, rows: tuple[Row, ...]) -> None:
        asked = sum(row.number for row in rows)
        self.counts.had = sum(min(self._have[_key(row)], row.number) for row in rows)
        for row in rows:
            self._listener.row_started(row)
            self._listener.advanced(self.counts.had + self.counts.downloaded, asked)
            why = ""
            try:
                self._fill(row, asked)
            except FetchError as error:  # of the search: the next row may do better
                why = error.reason
                self.counts.failed[_cause(error.reason)] += 1
            self._listener.row_ended(row, self._have[_key(row)], why)

    def short(self, rows: Iterable[Row]) -> dict[str, int]:
        missing: Counter[str] = Counter()
        for row in rows:
            missing[row.folder] += max(row.number - self._have[_key(row)], 0)
        return {folder: number for folder, number in missing.items() if number}

    def _fill(self, row: Row, asked: int) -> None:
        """Until the row has its number, or the provider has no more."""
        queue: deque[Candidate] = deque()
        pending: dict[Future[_Picture], Candidate] = {}
        number, last = 0, False
        while True:
            needed = row.number - self._have[_key(row)] - len(pending)
            while queue and needed > 0 and len(pending) < self._settings.threads:
                candidate = queue.popleft()
                if self._worth_asking(candidate.url):
                    self._tried.add(candidate.url)
                    pending[self._pool.submit(self._fetch, candidate)] = candidate
                    needed -= 1
            if pending:
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    self._settle(future, pending.pop(future), row)
                    self._listener.advanced(self.counts.had + self.counts.downloaded, asked)
            elif needed <= 0 or last:
                return
            else:
                number += 1
                page = self._provider.search(row, number)
                last = page.last
                queue.extend(page.candidates)
                self._seen.update(candidate.url for candidate in page.candidates)
                self.counts.found = len(self._seen)

    def _worth_asking(self, url: str) -> bool:
        known = self._entries.get(url)
        if known is not None and known.file:
            self.counts.skipped["there already" if self._folder.holds(known.file) else "deleted by you"] += 1
        elif url in self._tried:
            self.counts.skipped["tried already"] += 1
        elif known is not None and not known.again:
            self.counts.skipped["refused before"] += 1
        else:
            return True
        return False

    def _fetch(self, candidate: Candidate) -> _Picture:
        """In a thread of the pool."""
        data = self._client.get(candidate.url, self._limits)
        with self._decoding:
            return _Picture(data, check_picture(data, self._settings.max_pixels, self._settings.min_side))

    def _settle(self, future: Future[_Picture], candidate: Candidate, row: Row) -> None:
        entry = Entry(
            url=candidate.url,
            provider=self._provider.name,
            term=row.term,
            label=row.label,
            split=row.split or "",
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            page=candidate.page,
            license=candidate.license,
            license_url=candidate.license_url,
            creator=candidate.creator,
            title=candidate.title,
        )
        try:
            picture = future.result()
        except FetchError as error:
            self.counts.failed[_cause(error.reason)] += 1
            self._add(replace(entry, reason=error.reason, again=error.again is not Again.NEVER))
            return
        kept = self._folder.keep(picture.data, picture.suffix, row.folder)
        # Without a record, and in the right place: a run was killed before it could write the line.
        orphan = not kept.new and kept.file.rpartition("/")[0] == row.folder and not self._recorded(kept.file)
        if kept.new or orphan:
            self._have[_key(row)] += 1
            self.counts.downloaded += 1
            self._add(replace(entry, file=kept.file, sha256=kept.sha256))
        else:
            self.counts.skipped["same picture"] += 1
            self._add(replace(entry, sha256=kept.sha256, reason=f"same picture ({kept.file})"))

    def _add(self, entry: Entry) -> None:
        self._record.append(entry.to_json())
        self._entries.pop(entry.url, None)
        self._entries[entry.url] = entry

    def _recorded(self, file: str) -> bool:
        return any(entry.file == file for entry in self._entries.values())


def _key(row: Row) -> tuple[str, str, str]:
    return (row.term, row.label, row.split or "")


def _cause(reason: str) -> str:
    return reason.partition(" (")[0]

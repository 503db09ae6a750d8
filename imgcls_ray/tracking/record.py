"""What is to be written into MLflow, as it waits on disk."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields

PARENT = "mlflow.parentRunId"
SOURCE = "mlflow.source.name"
STUDY, STORAGE, TRIAL, STATE = "imgcls.study", "imgcls.storage", "imgcls.trial", "imgcls.state"
ID = "imgcls.id"
"""What a study's run is found by: no other study has it, be it of the same name in the same place."""
BEST, LEADER, FRONT = "imgcls.best", "imgcls.leader", "imgcls.front"
REASON, NOTE = "imgcls.reason", "mlflow.note.content"
REPEATS = "imgcls.from_trial"


@dataclass(frozen=True)
class DataSplit:
    """One split of the data set, as an input of a run. No place on a disk is in it."""

    name: str
    digest: str
    """Of the split's pictures and labels; the UI shows it beside the name."""
    context: str
    """`training`, `validation` or `test`."""
    profile: Mapping[str, str] = field(default_factory=dict)
    """Its counts."""


@dataclass(frozen=True)
class Record:
    """Something to be written into one run of a study. Written twice, by whatever accident, it is there once."""

    at: int
    """When it happened, in ms since 1970. It keeps a metric that is sent again from being another one."""
    trial: int | None = None
    """The trial whose run it is for; None for the study's own."""
    start: Mapping[str, str] | None = None
    """The run begins, or goes on, and these tags are what it is known by."""
    params: Mapping[str, str] = field(default_factory=dict)
    """What is there already stays."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Of the study's run only: tags that these trials bear, and no others of the study."""
    data: tuple[DataSplit, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    """Files or folders, absolute or below the storage root, each with its folder among the artifacts."""
    status: str | None = None
    """The run ends: FINISHED, FAILED or KILLED."""

    @property
    def is_metrics(self) -> bool:
        """Whether it holds metrics and nothing else: such records of one run may be written together."""
        return bool(self.metrics) and self == Record(self.at, self.trial, metrics=self.metrics, step=self.step)

    def line(self) -> bytes:
        """One line of JSON; `json` writes infinities and NaN as Python reads them."""
        blank = {given.name: given.default for given in fields(self)}
        whole = {name: value for name, value in asdict(self).items() if value and value != blank[name]}
        start = {} if self.start is None else {"start": dict(self.start)}
        number = {} if self.trial is None else {"trial": self.trial}
        return json.dumps({"at": self.at, **number, **whole, **start}, ensure_ascii=False).encode() + b"\n"


def read_line(line: bytes) -> Record:
    """What `Record.line` wrote.

    Raises:
        ValueError, TypeError: it is no such line.
    """
    found = json.loads(line)
    return Record(
        data=tuple(DataSplit(**split) for split in found.pop("data", ())),
        files=tuple((path, folder) for path, folder in found.pop("files", ())),
        marks={tag: tuple(numbers) for tag, numbers in found.pop("marks", {}).items()},
        **found,
    )


def grouped(records: Iterable[Record]) -> list[list[Record]]:
    """The records in an order in which they can be written, metrics of one run that pile up side by side."""
    groups: list[list[Record]] = []
    piles: dict[int | None, list[Record]] = {}
    for record in records:
        if not record.is_metrics:
            piles.pop(record.trial, None)
            groups.append([record])
        elif record.trial in piles:
            piles[record.trial].append(record)
        else:
            piles[record.trial] = [record]
            groups.append(piles[record.trial])
    return groups

"""A trial of an earlier study that is trained again: its settings, its curve, and what its study began with."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imgcls_ray.config import TrialSettings
from imgcls_ray.errors import SettingsError, StorageError
from imgcls_ray.search.journal import noted_outcome, noted_values, read_study
from imgcls_ray.search.listener import TRIAL_FORMS, TrialOutcome
from imgcls_ray.search.parameters import Fixed
from imgcls_ray.search.record import AFFORDABLE, AFFORDABLE_TUNING, FINGERPRINT, StudyRecord, known_study, weights_file
from imgcls_ray.search.space import SearchSpace


@dataclass(frozen=True)
class RepeatedTrial:
    """A trial that has ended, in words and numbers."""

    folder: Path
    """Of its study."""
    record: StudyRecord
    """Of its study."""
    outcome: TrialOutcome
    values: Mapping[int, float]
    """The objective's value after each epoch (1 is the first)."""

    @property
    def name(self) -> str:
        """`STUDY/NUMBER`."""
        return f"{self.record.name}/{self.outcome.number}"

    @property
    def settings(self) -> TrialSettings:
        """As it was trained in the end: the batch may have been halved."""
        return self.outcome.params

    @property
    def space(self) -> SearchSpace:
        """Of its settings alone."""
        settings = self.settings.model_dump(mode="json", exclude_unset=True)
        return SearchSpace(parameters={name: Fixed(value=value) for name, value in settings.items()})

    @property
    def cut(self) -> int:
        """The most `unfrozen_layers` of its study: it learned from what comes out before these, even with fewer."""
        part = AFFORDABLE if self.settings.from_trial is None else AFFORDABLE_TUNING
        text = self.record.parts.get(part, "none")
        if text == "none":
            return self.settings.unfrozen_layers
        parameters = {"parameters": {"unfrozen_layers": json.loads(text)}}
        # The second stage may have found more affordable, for the backbones alone that it started from.
        return max(SearchSpace.model_validate(parameters).highest("unfrozen_layers"), self.settings.unfrozen_layers)

    def check_start(self) -> None:
        """Return when the head that it starts from is still there, where it starts from one.

        Raises:
            SettingsError: it is not.
        """
        start = self.settings.from_trial
        if start is not None and not weights_file(self.folder, start).is_file():
            raise SettingsError(
                f"The trial {self.name} starts from the head of trial {start}, whose weights are no longer in "
                f"{weights_file(self.folder, start).parent}: repeat another trial, or run the study again."
            )

    def check_weights(self, parts: Mapping[str, str]) -> None:
        """Return when the weights that are found now are those of the study; `parts` is a record's.

        Raises:
            SettingsError: they are not.
        """
        name = f"weights.{self.settings.backbone}"
        was, now = (found.get(name, "none") for found in (self.record.parts, parts))
        if was != now:
            raise SettingsError(
                f"A trial is repeated with the weights that it began with, but those of '{self.settings.backbone}' "
                f"were {was} in '{self.record.name}' and are now {now}: put the file of the study back in its place."
            )

    def check_data(self, fingerprint: str) -> None:
        """Return when the preprocessed pictures are those of the study.

        Raises:
            SettingsError: they are not.
        """
        if fingerprint not in self.record.parts.get(FINGERPRINT, fingerprint).split():
            raise SettingsError(
                f"A trial is repeated on the pictures of its study, but those in {self.record.data} are not what they "
                f"were in '{self.record.name}': bring them back, or begin another study with --continue-from."
            )


def find_trial(studies: Path, name: str) -> RepeatedTrial:
    """The trial `STUDY/NUMBER` of a study below `studies`. Nothing is written.

    Raises:
        SettingsError: that is no name of a trial, or it has not ended.
        StorageError: there is no such study or trial.
    """
    match = re.fullmatch(r"([^/]+)/(\d+)", name)
    if match is None:
        raise SettingsError(f"There is no trial '{name}': {TRIAL_FORMS}.")
    study, number = match[1], int(match[2])
    record = known_study(studies, study)
    trials = read_study(studies / study, study).get_trials(deepcopy=False)
    if number >= len(trials):
        raise StorageError(f"The study '{study}' has the trials 0 to {len(trials) - 1}; received {number}.")
    outcome = noted_outcome(trials[number])
    if outcome is None:
        raise SettingsError(
            f"Only a trial that has ended can be repeated, and {number} of '{study}' has not: take the study up with "
            "--resume."
        )
    return RepeatedTrial(studies / study, record, outcome, noted_values(trials[number]))


def values_of(folder: Path, study: str, number: int) -> Mapping[int, float]:
    """The objective's value after each epoch (1 is the first) of a trial in the study in `folder`, ended or not."""
    return noted_values(read_study(folder, study).get_trials(deepcopy=False)[number])

"""What one trial is given: settings, data and seed. It travels to the actor or the gang that runs it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.embeddings.store import Embeddings


class Input(NamedTuple):
    """What decides a network's shapes beside a trial's settings."""

    size: Size
    channels: int
    classes: int
    pretrained: bool
    """Whether its backbone has weights, so that only a head, or that and the last layers, is trained."""


@dataclass(frozen=True)
class TrialData:
    """What a trial learns from."""

    path: Path
    """The preprocessed set."""
    size: Size
    channels: int
    classes: int
    embeddings: Embeddings | None = None
    """With embeddings only a head is trained on them (a probe trial); without, a whole network on the pictures."""

    @property
    def input(self) -> Input:
        """What its networks are built for."""
        return Input(self.size, self.channels, self.classes, self.embeddings is not None)


@dataclass(frozen=True)
class TrialJob:
    """One trial: settings in, a trained network out."""

    settings: TrialSettings
    seed: int
    data: TrialData
    start: bytes | None = None
    """A file of weights, of the head that it starts from: as bytes, for its workers may be on other nodes. None: a
    head with random weights."""


FIRST_FIELDS = {
    "backbone",
    "image_size",
    "unfrozen_layers",
    "backbone_rate",
    "views",
    "head_layers",
    "head_width",
    "activation",
    "batch_norm",
    "dropout",
    "cnn_blocks",
    "cnn_width",
    "optimizer",
    "learning_rate",
    "schedule",
    "weight_decay",
    "label_smoothing",
    "batch_size",
    "epochs",
}
"""Fields that always count in a seed. Others count where they differ from their default, so that a field added later
changes no seed; add none here."""


def trial_seed(study_seed: int, settings: TrialSettings) -> int:
    """The seed of a trial, 0 to 2^31-1. It follows from the study's seed and the settings: a trial can be repeated."""
    changed = settings.model_dump(mode="json", exclude_defaults=True)
    counted = settings.model_dump(mode="json", include=FIRST_FIELDS) | changed
    text = json.dumps([study_seed, counted], sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1

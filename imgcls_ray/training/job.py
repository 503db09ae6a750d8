"""What one trial is given: settings, data and seed. It travels to the actor or the gang that runs it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.embeddings.store import Embeddings


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


@dataclass(frozen=True)
class TrialJob:
    """One trial: settings in, a trained network out."""

    settings: TrialSettings
    seed: int
    data: TrialData


def trial_seed(study_seed: int, settings: TrialSettings) -> int:
    """The seed of a trial, 0 to 2^31-1. It follows from the study's seed and the settings: a trial can be repeated."""
    text = json.dumps([study_seed, settings.model_dump(mode="json")], sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1

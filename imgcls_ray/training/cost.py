"""What several trials' networks cost to run as one, before they are joined."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import keras

from imgcls_ray.config import TrialSettings
from imgcls_ray.models.cost import multiply_adds
from imgcls_ray.models.tail import section
from imgcls_ray.training.job import TrialJob
from imgcls_ray.training.network import build_network, load_backbone


@dataclass
class Costs:
    """Multiply-adds of one picture. Backbones are loaded once and kept."""

    _backbones: dict[Any, keras.Model | None] = field(default_factory=dict)
    _own: dict[tuple[Any, TrialSettings], int] = field(default_factory=dict)
    _shared: dict[tuple[Any, int], int] = field(default_factory=dict)

    def together(self, jobs: Iterable[TrialJob]) -> int:
        """Of one network that runs what these trials have in common once.

        Trials of one frozen backbone have in common what comes before the layers that any of them trained; the longest
        such part runs once, and each trial's own layers on top.
        """
        own = 0
        longest: dict[Any, int] = {}
        for job in jobs:
            place = self._place(job)
            own += self._trained(job)
            longest[place] = max(longest.get(place, 0), self._before(job))
        return own + sum(longest.values())

    def backbone(self, job: TrialJob) -> keras.Model | None:
        """The pretrained backbone of a job; None for a network from scratch. Its weights are to be left as they are."""
        place = self._place(job)
        if place not in self._backbones:
            self._backbones[place] = load_backbone(job)
        return self._backbones[place]

    def _place(self, job: TrialJob) -> Any:
        embeddings = job.data.embeddings
        return (job.data.path, job.settings.backbone, embeddings.weights.sha256 if embeddings else None)

    def _trained(self, job: TrialJob) -> int:
        key = (self._place(job), job.settings)
        if key not in self._own:
            self._own[key] = multiply_adds(build_network(job, self.backbone(job)))
        return self._own[key]

    def _before(self, job: TrialJob) -> int:
        """Of the frozen layers."""
        backbone, unfrozen = self.backbone(job), job.settings.unfrozen_layers
        if backbone is None:
            return 0
        key = (self._place(job), unfrozen)
        if key not in self._shared:
            tail = multiply_adds(section(backbone, unfrozen, 0)) if unfrozen else 0
            self._shared[key] = multiply_adds(backbone) - tail
        return self._shared[key]

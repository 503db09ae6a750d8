"""What stays in a process from one trial to the next: the data in memory and the backbone."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgcls_ray.data.sources import Split
from imgcls_ray.models.tail import section
from imgcls_ray.training.feed import Feed, open_feed
from imgcls_ray.training.job import TrialJob
from imgcls_ray.training.network import load_backbone

KEPT_BYTES = 2_000_000_000
"""Samples kept in memory; those used longest ago go first."""

BATCH = 256


class Warm:
    """The feeds used last and the backbone used last."""

    def __init__(self) -> None:
        self._feeds: OrderedDict[tuple[Any, ...], Feed] = OrderedDict()
        self._backbone: tuple[Any, keras.Model | None] = (None, None)

    def backbone(self, job: TrialJob) -> keras.Model | None:
        """The pretrained backbone of a job; None where it has none, or trains a head on its features alone."""
        embeddings = job.data.embeddings
        if embeddings is None or embeddings.unfrozen == job.settings.unfrozen_layers == 0:
            return None
        key = (job.data.path, embeddings.folder)
        if self._backbone[0] != key:
            self._backbone = (key, load_backbone(job))
        return self._backbone[1]

    def feed(self, job: TrialJob, split: Split) -> Feed:
        """The feed of a job's split, opened if need be."""
        embeddings, settings = job.data.embeddings, job.settings
        key: tuple[Any, ...] = (job.data.path, split)
        if embeddings is not None:
            views = settings.views if split == "train" else 0
            key += (embeddings.folder, settings.unfrozen_layers, views)
        if key not in self._feeds:
            self._feeds[key] = open_feed(job, split, self._advance(job))
        self._feeds.move_to_end(key)
        while len(self._feeds) > 2 and sum(feed.bytes for feed in self._feeds.values()) > KEPT_BYTES:
            self._feeds.popitem(last=False)
        return self._feeds[key]

    def _advance(self, job: TrialJob) -> Callable[[np.ndarray], np.ndarray] | None:
        """What takes the stored maps to where the trial trains: nothing, if that is where they were taken."""
        embeddings, backbone = job.data.embeddings, self.backbone(job)
        if embeddings is None or backbone is None or embeddings.unfrozen == job.settings.unfrozen_layers:
            return None
        part = section(backbone, embeddings.unfrozen, job.settings.unfrozen_layers)
        run = tf.function(lambda maps: part(maps, training=False), reduce_retracing=True)

        def advance(maps: np.ndarray) -> np.ndarray:
            return np.concatenate([run(tf.constant(maps[i : i + BATCH])).numpy() for i in range(0, len(maps), BATCH)])

        return advance

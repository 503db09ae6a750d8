"""What the stages of a search learn from: embeddings of each backbone, and for fine-tuning those of the best few."""

import time
from collections.abc import Iterable, Mapping

from imgcls_ray.config import Size, TrialSettings
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.embeddings.compute import embed
from imgcls_ray.pipeline.effort import Place, affordable_section
from imgcls_ray.pipeline.listener import RunListener
from imgcls_ray.pipeline.plan import Plan
from imgcls_ray.search.parameters import AnyParameter
from imgcls_ray.search.record import AFFORDABLE_TUNING
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.training.job import TrialData


class Embedder:
    """Computes what frozen layers make of the pictures, or finds it."""

    def __init__(self, plan: Plan, sets: Mapping[Size, Preprocessed], listener: RunListener) -> None:
        self._plan, self._sets, self._listener = plan, sets, listener
        self.reused: bool | None = None
        """Whether all was there already; None while there is nothing to compute."""
        self.seconds = 0.0

    def data(self, places: Iterable[Place], unfrozen: int, views: int, note: str = "") -> dict[Place, TrialData]:
        """What trials of these backbones and image sizes learn from, with so many layers unfrozen and views at most.

        `note` is told with each backbone.
        """
        started = time.perf_counter()
        data: dict[Place, TrialData] = {}
        for place in places:
            name, size = place[0], self._plan.sizes[place]
            found = self._sets[size]
            embeddings = None
            if self._plan.pretrained(name):
                more = f" and {views} augmented views of each for training" if views else ""
                what = f"{found.counts.used} pictures{more} at {size} pixels through {name}"
                self._listener.step_started("embed", what)
                weights, folder = self._plan.weights[name], self._plan.storage.embeddings
                embeddings = embed(found, name, weights, folder, self._listener.step_advanced, unfrozen, views)
                self.reused = self.reused is not False and not embeddings.computed
                made = f"maps before the last {unfrozen} layers" if unfrozen else f"{embeddings.features} features"
                self._listener.step_ended(made + ("" if embeddings.computed else ", done before"))
                if note:
                    self._listener.step_ended(note)
            index = found.index
            data[place] = TrialData(found.path, size, index.pixels.channels, len(index.labels), embeddings)
        self.seconds += time.perf_counter() - started
        return data


class FineTuner:
    """Makes the second stage ready once it is known which probe trials are the best."""

    def __init__(
        self,
        plan: Plan,
        sets: Mapping[Size, Preprocessed],
        embedder: Embedder,
        listener: RunListener,
        gpus: bool,
    ) -> None:
        self._plan, self._sets, self._embedder, self._listener, self._gpus = plan, sets, embedder, listener, gpus
        self.data: dict[Place, TrialData] = {}
        """What was made ready."""

    @property
    def possible(self) -> bool:
        """Whether the space has a second stage, and a backbone with weights for it."""
        return bool(self._plan.space.finetune) and any(self._plan.pretrained(name) for name, _ in self._plan.sizes)

    def deciding(self) -> dict[str, str]:
        """What of it decides a study's results, beside the settings; found out for all backbones, before any is probed.

        Raises:
            SettingsError: a backbone has fewer layers than are to be unfrozen.
        """
        if not self.possible:
            return {}
        views = self._views([self._plan.space.highest("views")])
        section, _ = affordable_section(self._plan, self._sets, self._plan.sizes, views, self._gpus)
        return {AFFORDABLE_TUNING: section["unfrozen_layers"].model_dump_json()}

    def prepare(self, starts: Mapping[int, TrialSettings]) -> tuple[dict[str, AnyParameter], dict[Place, TrialData]]:
        """The parameters and the data of trials that start from these: maps of their backbones alone are computed."""
        places = list(dict.fromkeys((start.backbone, start.image_size) for start in starts.values()))
        views = self._views([start.views for start in starts.values()])
        section, note = affordable_section(self._plan, self._sets, places, views, self._gpus)
        unfrozen = SearchSpace(parameters=section).highest("unfrozen_layers")
        self.data = self._embedder.data(places, unfrozen, views, note)
        self._listener.step_started("finetune", f"the last layers of {', '.join(name for name, _ in places)}")
        return section, self.data

    def _views(self, probed: list[int]) -> int:
        """The most views of a fine-tuning trial: the section's, or else those of the probe trials."""
        section = self._plan.space.finetune
        return SearchSpace(parameters=section).highest("views") if "views" in section else max(probed)

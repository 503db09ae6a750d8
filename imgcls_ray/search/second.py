"""The second objective's values: they follow from a trial's settings, before anything is trained."""

import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.data.files import write_atomic
from imgcls_ray.errors import SettingsError
from imgcls_ray.models.backbones import SCRATCH
from imgcls_ray.search.constraints import Inputs
from imgcls_ray.search.objective import Second
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.training.job import Input

LATENCIES = "latency.json"
MOST = 64
"""Networks that are timed before a study; each takes some seconds."""


def check_second(settings: SearchSettings, space: SearchSpace) -> None:
    """Whether the second objective can be had of a space.

    Raises:
        SettingsError: there are too many networks to be timed.
    """
    count = len(architectures(space)) if settings.second_objective == "latency_ms" else 0
    if count > MOST:
        raise SettingsError(
            f"The networks of a space are timed before its first trial, at most {MOST}; this space has {count}: give "
            "cnn_blocks and cnn_width larger steps, or use --second-objective size_mb."
        )


def second_values(
    second: Second, space: SearchSpace, inputs: Inputs, folder: Path, tell: Callable[[str], None]
) -> Callable[[TrialSettings], float]:
    """From settings to the value: the size is counted, latencies are measured here unless `folder` has them."""
    if second.metric == "latency_ms":
        known = latencies(space, inputs, folder)
        tell("one picture on one CPU takes " + ", ".join(f"{ms:.3g} ms ({name})" for name, ms in known.items()))
        return lambda settings: known[architecture(settings)]
    from imgcls_ray.training.footprint import footprint

    return lambda settings: footprint(settings, inputs[settings.backbone, settings.image_size]).size_mb


def architecture(settings: TrialSettings) -> str:
    """What a network's latency follows from, as a name. The head counts for nothing: it takes less than the noise."""
    name = f"{settings.backbone} at {settings.image_size}"
    return f"{name}, {settings.cnn_blocks} blocks of {settings.cnn_width}" if settings.backbone == SCRATCH else name


def architectures(space: SearchSpace) -> dict[str, TrialSettings]:
    """Each one that settings of a space can have, by its name."""

    def options(name: str) -> Sequence[object]:
        parameter = space.parameters.get(name)
        found = list(parameter.options or ()) if parameter else []
        # Where it takes no part it has the value that is no choice of the space's.
        return found if parameter and not parameter.conditions else [*found, TrialSettings.model_fields[name].default]

    names = ("backbone", "image_size", "cnn_blocks", "cnn_width")
    return {
        architecture(settings): settings
        for settings in (
            TrialSettings.model_validate(dict(zip(names, values, strict=True)))
            for values in product(space.values("backbone"), space.values("image_size"), *map(options, names[2:]))
        )
    }


def latencies(space: SearchSpace, inputs: Inputs, folder: Path) -> dict[str, float]:
    """Milliseconds of one picture, by architecture; `folder` keeps them for a study that is taken up."""
    file = folder / LATENCIES
    known: dict[str, float] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    missing = {name: settings for name, settings in architectures(space).items() if name not in known}
    if missing:
        import ray

        jobs = [(settings, inputs[settings.backbone, settings.image_size]) for settings in missing.values()]
        measured = ray.get(ray.remote(num_cpus=1)(_measure).remote(jobs))
        known |= dict(zip(missing, measured, strict=True))
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(file, json.dumps(known, indent=1).encode())
    return known


def _measure(jobs: Sequence[tuple[TrialSettings, Input]]) -> list[float]:
    """In a process of its own with one CPU, as a replica of the service has it."""
    from imgcls_ray.inference.device import claim, without_gpus

    without_gpus()
    claim(1)
    from imgcls_ray.inference.engine import load_engine
    from imgcls_ray.inference.latency import latency_ms
    from imgcls_ray.training.network import untrained_network

    found = []
    for settings, given in jobs:
        model = untrained_network(settings, given)
        found.append(latency_ms(load_engine(model, "auto"), (*given.size, given.channels)))
    return found

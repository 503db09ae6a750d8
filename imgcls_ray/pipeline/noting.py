"""What a study notes of its data, and of what else its trials' results may depend on."""

from typing import TYPE_CHECKING

from imgcls_ray.bundle.card import installed_versions
from imgcls_ray.config import RunSettings
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.sources import SPLITS

if TYPE_CHECKING:
    from imgcls_ray.search.resources import TrialResources


def describe(found: Preprocessed) -> dict[str, str]:
    """The data: name, classes and their number, channels, pictures of each split, fingerprints."""
    index = found.index
    rows = {split: str(index.rows(split)) for split in SPLITS}
    digests = {f"{split}_fingerprint": index.split_fingerprint(split) for split in SPLITS}
    return {
        "name": index.name,
        "fingerprint": index.fingerprint,
        "classes": ", ".join(index.labels.names),
        "class_count": str(len(index.labels)),  # a class may have a comma in its name
        "channels": str(index.pixels.channels),
        **rows,
        **digests,
    }


def conditions(settings: RunSettings, resources: "TrialResources") -> dict[str, str]:
    """What a trial's results may depend on beside its settings and the data."""
    versions = {f"version.{name}": number for name, number in installed_versions().items()}
    share = {"workers": str(resources.workers), "cpus": f"{resources.cpus:g}", "gpus": f"{resources.gpus:g}"}
    return {"seed": str(settings.search.seed), **share, **versions}

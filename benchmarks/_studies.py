"""What the benchmarks of the search share: pictures, what a frozen backbone makes of them, studies on that."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgcls_ray import quiet

if TYPE_CHECKING:
    from imgcls_ray.config import SearchSettings
    from imgcls_ray.data.preprocess import Preprocessed
    from imgcls_ray.search.space import SearchSpace
    from imgcls_ray.search.study import Study
    from imgcls_ray.search.trainable import TrialTrainable
    from imgcls_ray.training.job import TrialData

BACKBONE = "mobilenet_v2_0.35"
SIZE, QUICK_SIZE = 96, 32
"""Height and width in pixels."""


def parser_of(doc: str | None, *defaults: Path) -> argparse.ArgumentParser:
    """A parser with the options that these benchmarks share."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0] if doc else None)
    parser.add_argument("--quick", action="store_true", help="made-up pictures and weights: to see that it runs")
    parser.add_argument("--data", type=Path, nargs="+", default=list(defaults), help="folders of labelled pictures")
    parser.add_argument("--weights", type=Path, help=f"ImageNet weights of {BACKBONE}")
    return parser


@contextmanager
def material(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Iterator[Path]:
    """A folder to work in, which goes afterwards; with --quick also the pictures and weights that were not given."""
    if not options.quick and not (options.data and options.weights):
        parser.error(f"give pictures by --data and weights of {BACKBONE} by --weights, or --quick")
    with tempfile.TemporaryDirectory(prefix="imgcls-benchmark-") as name:
        folder = Path(name)
        if options.quick:
            options.data, options.weights = [_pictures(folder / "pictures")], _weights(folder)
        yield folder


@dataclass(frozen=True)
class Bench:
    """A set, and what heads on it learn from."""

    folder: Path
    prepared: "Preprocessed"
    data: "TrialData"

    def study(
        self,
        name: str,
        space: "SearchSpace",
        settings: "SearchSettings",
        trainable: "type[TrialTrainable] | None" = None,
    ) -> "Study":
        """A study of its own; with `trainable` trials are run by that."""
        from imgcls_ray.search.listener import StudyInfo
        from imgcls_ray.search.resources import plan_resources
        from imgcls_ray.search.study import Study
        from imgcls_ray.search.trainable import TrialTrainable

        return Study(
            info=StudyInfo(name, settings.trials, {}, {}),
            folder=self.folder / "studies" / name,
            space=space,
            settings=settings,
            data={(BACKBONE, "native"): self.data},
            resources=plan_resources(settings),
            validation=self.prepared.index.rows("val"),
            trainable=trainable or TrialTrainable,
        )


@contextmanager
def local_ray(cpus: int | None = None) -> Iterator[None]:
    """A Ray of our own that is up: a worker runs in it."""
    from imgcls_ray.jobs.connection import cluster

    with cluster("local", cpus):
        import ray

        ray.get(ray.remote(lambda: None).remote())
        yield


def bench(
    pictures: Path,
    weights: Path,
    folder: Path,
    quick: bool,
    views: int = 0,
    val_fraction: float = 0.1,
    split_seed: int = 0,
) -> Bench:
    """Preprocess and embed below `folder`; Ray must run."""
    from imgcls_ray.config import PreprocessSettings, Size
    from imgcls_ray.data.preprocess import preprocess
    from imgcls_ray.data.sources import list_source
    from imgcls_ray.embeddings.compute import embed
    from imgcls_ray.models.weights import resolve_weights
    from imgcls_ray.training.job import TrialData

    side = QUICK_SIZE if quick else SIZE
    settings = PreprocessSettings(image_size=Size(side, side), val_fraction=val_fraction, seed=split_seed)
    found = preprocess(list_source(str(pictures)), folder / "set", settings)
    resolved = resolve_weights(BACKBONE, (f"{BACKBONE}={weights}",))
    embeddings = embed(found, BACKBONE, resolved, folder / "embeddings", views=views)
    data = TrialData(found.path, Size(side, side), 3, len(found.index.labels), embeddings)
    return Bench(folder, found, data)


def probe_space(**fixed: bool | int | float | str) -> "SearchSpace":
    """The space `probe` for the benchmarks' backbone, some of its parameters fixed."""
    from imgcls_ray.config import SearchSettings
    from imgcls_ray.search.loading import load_space
    from imgcls_ray.search.parameters import Fixed

    space = load_space("probe").narrowed(SearchSettings(backbones=(BACKBONE,)))
    for name, value in fixed.items():
        space = space.replaced(name, Fixed(value=value))
    return space


def _pictures(root: Path) -> Path:
    """Three classes that brightness tells apart, more or less."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for label in range(3):
        (root / f"class{label}").mkdir(parents=True)
        for number in range(20):
            noise = rng.normal(64 * (label + 1), 60, (40, 40, 3))
            Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(root / f"class{label}" / f"{number}.png")
    return root


def _weights(folder: Path) -> Path:
    """Random ones, in a file as Keras' own."""
    quiet.import_tensorflow()
    import keras

    path = folder / f"{BACKBONE}.weights.h5"
    keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, include_top=False, weights=None).save_weights(path)
    return path

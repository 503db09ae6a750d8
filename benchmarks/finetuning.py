"""Fine-tuning against probing: what the second stage of a search adds on the test pictures, and what it costs.

    python benchmarks/finetuning.py --data DIR [DIR ...] --weights FILE [--seeds 3] [--first-seed 0] [--trials 20]
        [--quick]

Runs `imgcls run DATA --space two_stages` once a seed. The best of each stage is the trial with the highest validation
accuracy, as the search itself chooses; both are measured once on the test pictures. The standard error printed last is
that of the mean over the runs; a single run on a few hundred test pictures has one of some two points. The limit of
the cost is the probe stage alone.
"""

import argparse
import statistics
from pathlib import Path
from typing import NamedTuple

from _studies import BACKBONE, QUICK_SIZE, SIZE, local_ray, material, parser_of


class Run(NamedTuple):
    """Test accuracy and seconds of training of each stage."""

    probe: float
    finetune: float
    probe_seconds: float
    finetune_seconds: float


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--space", default="two_stages")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.trials = 1, 4
    print("                        validation          test")
    print("                        probe  fine-tuned   probe  fine-tuned")
    with material(parser, options) as folder, local_ray():
        report(
            [
                run(pictures, seed, folder, options)
                for pictures in options.data
                for seed in range(options.first_seed, options.first_seed + options.seeds)
            ]
        )


def report(runs: list[Run]) -> None:
    """The means over all runs."""
    points = [100 * (one.finetune - one.probe) for one in runs]
    error = statistics.stdev(points) / len(points) ** 0.5 if len(points) > 1 else float("nan")
    cost = statistics.fmean(one.finetune_seconds / one.probe_seconds for one in runs)
    print(f"ours, fine-tuned - probe   {statistics.fmean(points):+6.2f} points +- {error:.2f} (asked: at least +3)")
    print(f"its trials take            {cost:6.2f} times ours of the probe stage, the limit")


def run(pictures: Path, seed: int, folder: Path, options: argparse.Namespace) -> Run:
    """One search of two stages."""
    from imgcls_ray import api

    side = QUICK_SIZE if options.quick else SIZE
    result = api.run(
        api.RunSettings.model_validate(
            {
                "data": str(pictures),
                "storage": str(folder / "runs"),
                "preprocess": {"image_size": side},
                "weights": (f"{BACKBONE}={options.weights}",),
                "search": {
                    "space": options.space,
                    "backbones": (BACKBONE,),
                    "trials": options.trials,
                    "seed": seed,
                    "concurrency": 1,
                },
            }
        )
    )
    probe, finetune = result.stages["probe"], result.stages["finetune"]
    print(
        f"{pictures.name:12} seed {seed} {probe.trial.value:9.4f} {finetune.trial.value:9.4f}"
        f"{probe.test.accuracy:10.4f} {finetune.test.accuracy:9.4f}",
        flush=True,
    )
    seconds = {
        stage: sum(trial.seconds for trial in result.study.trials if (trial.params.from_trial is None) == first)
        for stage, first in (("probe", True), ("finetune", False))
    }
    return Run(probe.test.accuracy, finetune.test.accuracy, seconds["probe"], seconds["finetune"])


if __name__ == "__main__":
    main()

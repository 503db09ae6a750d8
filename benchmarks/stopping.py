"""ASHA against no stopping: epochs spent, and what the best trial is worth on test pictures.

    python benchmarks/stopping.py --data DIR [DIR ...] --weights FILE [--seeds 3] [--first-seed 0] [--trials 40]
        [--quick]

Heads on embeddings, the space `probe` with one view of each picture and no early stopping inside a trial. By default
settings are drawn at random: with the same seed both then train the same ones, and what differs is the stopping alone.
The best is the trial with the highest validation accuracy (`leader`): the rule that keeps the defaults would hide what
ASHA costs. The limit is the epochs that ASHA spends when each rung lets exactly half go on.
"""

import argparse
import statistics
from typing import NamedTuple

from _studies import Bench, bench, local_ray, material, parser_of, probe_space

from imgcls_ray.config import SearchSettings
from imgcls_ray.search.listener import StudyListener, TrialOutcome
from imgcls_ray.search.rungs import expected_epochs
from imgcls_ray.search.study import Study, run_study


class Run(NamedTuple):
    """What a study came to."""

    epochs: int
    accuracy: float
    """Of its leader on the test pictures."""


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--sampler", default="random")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.trials = 1, 6
    asha: list[Run] = []
    unstopped: list[Run] = []
    print(f"{options.trials} trials            epochs            test accuracy of the best")
    print("                        ASHA  unstopped       ASHA  unstopped")
    with material(parser, options) as folder, local_ray():
        for number, pictures in enumerate(options.data):
            made = bench(pictures, options.weights, folder / str(number), options.quick)
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                asha.append(run(made, "asha", seed, options))
                unstopped.append(run(made, "none", seed, options))
                mine, theirs = asha[-1], unstopped[-1]
                print(
                    f"{pictures.name:12} seed {seed} {mine.epochs:8} {theirs.epochs:10}   {mine.accuracy:8.4f} "
                    f"{theirs.accuracy:10.4f}",
                    flush=True,
                )
    report(asha, unstopped, options)


def report(asha: list[Run], unstopped: list[Run], options: argparse.Namespace) -> None:
    """The means over all studies."""
    epochs = _epochs(options)
    spent = statistics.fmean(mine.epochs / theirs.epochs for mine, theirs in zip(asha, unstopped, strict=True))
    limit = expected_epochs(epochs) / epochs
    points = [100 * (mine.accuracy - theirs.accuracy) for mine, theirs in zip(asha, unstopped, strict=True)]
    error = statistics.stdev(points) / len(points) ** 0.5 if len(points) > 1 else float("nan")
    print(f"ours spends of the epochs  {spent:8.3f}   (asked: at most 0.333), no stopping {1 / spent:.2f} times ours")
    print(f"limit, half at a rung      {limit:8.3f}   {limit / spent:.2f} times ours")
    print(f"test accuracy, ASHA - none {statistics.fmean(points):+8.2f}   points +- {error:.2f} (asked: at least -0.5)")


def _epochs(options: argparse.Namespace) -> int:
    return 4 if options.quick else 20


def run(made: Bench, scheduler: str, seed: int, options: argparse.Namespace) -> Run:
    """One study."""
    space = probe_space(views=0, early_stopping=0, epochs=_epochs(options))
    settings = SearchSettings.model_validate(
        {"scheduler": scheduler, "sampler": options.sampler, "seed": seed, "trials": options.trials}
    )
    study = made.study(f"{scheduler}-{seed}", space, settings)
    outcome = run_study(study, StudyListener())
    return Run(sum(trial.epochs for trial in outcome.trials), _measured(study, made, outcome.leader))


def _measured(study: Study, made: Bench, trial: TrialOutcome) -> float:
    """The accuracy of a trial's head on the test pictures."""
    from imgcls_ray.training.checkpoint import load_variables
    from imgcls_ray.training.network import build_network

    context = study.context()
    network = build_network(context.job(trial.params), None)
    load_variables(context.weights_path(trial.number), network.variables)
    embeddings = made.data.embeddings
    if embeddings is None:
        raise RuntimeError("a bench has embeddings")
    features, labels = embeddings.load("test")
    return float((network.predict(features, verbose=0).argmax(-1) == labels).mean())


if __name__ == "__main__":
    main()

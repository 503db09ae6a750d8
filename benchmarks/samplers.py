"""TPE against random: the best of as many trials, on a table of heads that were all trained once.

    python benchmarks/samplers.py [--seeds 20] [--trials 60] [--concurrency 1] [--table FILE] [--quick]
    python benchmarks/samplers.py --record FILE --data DIR --weights FILE

The table has every setting of the space below and its validation accuracy; a trial is a look into it. Both samplers go
through `Proposals` as in a study: the defaults first, nothing twice, eight random trials before TPE's model is asked.
Given are the mean of the best so far, Wilcoxon's signed-rank test over the seeds (one-sided, of the best after all
trials), and how far each is from the limit, the best of the table. `--record` makes the table anew, by a study with the
sampler `grid` and no stopping; the one here is of flowers5 with 30 % of its training pictures for validation.
"""

import argparse
import csv
import warnings
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from _studies import BACKBONE, bench, local_ray, material, parser_of
from optuna.trial import TrialState
from scipy.stats import wilcoxon

from imgcls_ray.config import SearchSettings, TrialSettings
from imgcls_ray.search.listener import StudyListener, TrialOutcome
from imgcls_ray.search.parameters import Choice, Fixed, Float, Int
from imgcls_ray.search.proposals import Proposals, key
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.search.study import run_study

TABLE = Path(__file__).with_name("samplers.csv")
RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]
SPACE = SearchSpace(
    parameters={
        "backbone": Fixed(value=BACKBONE),
        "head_layers": Int(type="int", low=0, high=2, default=0),
        "head_width": Choice(type="choice", values=[32, 128, 512], default=128, when={"head_layers": [1, 2]}),
        "dropout": Float(type="float", low=0, high=0.6, step=0.3, default=0.3),
        "optimizer": Choice(type="choice", values=["adam", "sgd"], default="adam"),
        "learning_rate": Choice(type="choice", values=RATES, default=1e-3),
        "batch_size": Choice(type="choice", values=[16, 64], default=64),
        "epochs": Fixed(value=8),
    }
)
"""588 settings."""
Table = dict[str, float]
"""Validation accuracy by the key of the settings."""


def main() -> None:
    """Measure and print, or record."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--concurrency", type=int, default=1, help="trials that are on their way when one is proposed")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--record", type=Path, help="train all settings and write the table there")
    options = parser.parse_args()
    if options.record:
        with material(parser, options) as folder, local_ray():
            record(options, folder)
    else:
        compare(options)


def record(options: argparse.Namespace, folder: Path) -> None:
    """Train every setting once."""
    made = bench(options.data[0], options.weights, folder, options.quick, val_fraction=0.3)
    settings = SearchSettings(sampler="grid", scheduler="none", trials=10_000)
    outcome = run_study(made.study("table", SPACE, settings), StudyListener())
    write(options.record, outcome.trials)


def write(path: Path, trials: Sequence[TrialOutcome]) -> None:
    """The table of trials that ended; one that diverged has 0, which is what a sampler is told."""
    names = SPACE.searched()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "val_accuracy"])
        for trial in sorted(trials, key=lambda one: key(one.params)):
            chosen = trial.params.model_dump(include=trial.params.model_fields_set)
            value = 0.0 if trial.state == "failed" else trial.metrics["val_accuracy"]
            writer.writerow([*(chosen.get(name, "") for name in names), round(value, 4)])


def read(path: Path) -> Table:
    """The table in a file."""
    table = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            value = float(row.pop("val_accuracy"))
            chosen: dict[str, Any] = {name: text for name, text in row.items() if text}
            fixed = {name: one.value for name, one in SPACE.parameters.items() if isinstance(one, Fixed)}
            table[key(TrialSettings(**fixed, **chosen))] = value
    return table


def course(table: Table, trials: int, concurrency: int, run: tuple[str, int]) -> np.ndarray:
    """Best so far (trials,) of a sampler with a seed."""
    sampler, seed = run
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    settings = SearchSettings.model_validate({"sampler": sampler, "seed": seed, "trials": trials})
    proposals = Proposals(study, SPACE, settings, concurrency)
    waiting: deque[tuple[optuna.Trial, float]] = deque()
    values = []
    for _ in range(trials):
        if len(waiting) == concurrency:
            _tell(proposals, *waiting.popleft())
        proposal = proposals.next()
        if proposal is None:
            raise RuntimeError(f"the space has fewer than {trials} settings")
        trial, chosen = proposal
        values.append(table[key(chosen)])
        waiting.append((trial, values[-1]))
    return np.maximum.accumulate(values)


def _tell(proposals: Proposals, trial: optuna.Trial, value: float) -> None:
    proposals.report(trial, value, 1)
    proposals.tell(trial, TrialState.COMPLETE, value)


def compare(options: argparse.Namespace) -> None:
    """Both samplers with each seed."""
    table = read(options.table)
    seeds, trials = (2, 14) if options.quick else (options.seeds, options.trials)
    runs = [(sampler, seed) for sampler in ("tpe", "random") for seed in range(seeds)]
    with ProcessPoolExecutor() as pool:
        courses = list(pool.map(partial(course, table, trials, options.concurrency), runs))
    ours, rival = np.array(courses[:seeds]), np.array(courses[seeds:])
    limit = max(table.values())
    print(f"best validation accuracy so far: {len(table)} settings, {seeds} seeds, {options.concurrency} at once")
    print("after trial    ours (TPE)   random   TPE better, worse, equal")
    for at in sorted({10, 15, 20, 30, 40, 60, 80, 100, trials}):
        if at <= trials:
            mine, theirs = ours[:, at - 1], rival[:, at - 1]
            better, worse = int((mine > theirs).sum()), int((mine < theirs).sum())
            print(f"{at:11}    {mine.mean():10.4f}   {theirs.mean():.4f}   {better}, {worse}, {seeds - better - worse}")
    mine, theirs = ours[:, -1], rival[:, -1]
    reached = np.flatnonzero(ours.mean(0) >= theirs.mean())
    soon = f"TPE has after {reached[0] + 1}" if len(reached) else "TPE has not"
    print(f"limit, the best of all     {limit:.4f}; what random has after {trials} trials {soon}")
    ratio = (limit - theirs.mean()) / max(limit - mine.mean(), 1e-9)
    print(f"distance from the limit    ours {limit - mine.mean():.4f}, random {ratio:.1f} times ours")
    if (mine != theirs).any():
        print(
            f"Wilcoxon's signed-rank test, TPE better: p = {wilcoxon(mine, theirs, alternative='greater').pvalue:.2g}"
        )


if __name__ == "__main__":
    main()

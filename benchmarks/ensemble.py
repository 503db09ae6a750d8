"""Ensembles of a study's trials against its best trial on test pictures: accuracy, calibration, what serving costs.

    python benchmarks/ensemble.py --data DIR [DIR ...] --weights FILE [--seeds 5] [--trials 30] [--quick]

Heads on embeddings, the space `probe` with one view of each picture. `ours` is what `imgcls run` would register with
`--ensemble auto`: the ensemble where it passes the rule on the validation pictures, else the trial to use. The rivals
are that trial alone, and the plain mean of the five trials with the highest validation accuracy (soft vote). Each is
calibrated on the validation pictures; the test pictures are looked at once. The limit of what serving may cost is the
one network.

Each seed splits the pictures anew. Of the few test pictures of one split the expected calibration error is mostly
chance, so it is told for the answers of all splits together too, where pictures of several test splits count again.
"""

import argparse
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from _studies import Bench, bench, local_ray, material, parser_of, probe_space

from imgcls_ray.config import SearchSettings
from imgcls_ray.evaluation.ensemble import Ensemble, Member
from imgcls_ray.evaluation.metrics import Metrics, score
from imgcls_ray.evaluation.reliability import (
    debiased_error,
    error_by_chance,
    expected_calibration_error,
    reliability,
)
from imgcls_ray.search.listener import StudyListener, StudyOutcome, TrialOutcome
from imgcls_ray.search.study import Study, run_study

if TYPE_CHECKING:
    from imgcls_ray.pipeline.ensembling import Ensembling

VOTERS = 5


class Told(NamedTuple):
    """Calibrated answers (n, K) to test pictures, and their classes (n,)."""

    probabilities: np.ndarray
    labels: np.ndarray


class Run(NamedTuple):
    """What a study came to, on the test pictures."""

    told: Told
    """What ours says."""
    ours: Metrics
    single: Metrics
    vote: Metrics
    ensemble: Ensemble
    ratio: float
    """Milliseconds a picture of what we register, times those of the single network."""


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=30)
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.trials = 1, 6
    runs: list[Run] = []
    print(f"{options.trials} trials            test accuracy                 test log loss")
    print("                     ours  single  vote of 5      ours  single  vote of 5   members  ms ratio")
    with material(parser, options) as folder, local_ray():
        for number, pictures in enumerate(options.data):
            for seed in range(options.seeds):
                place = folder / f"{number}-{seed}"
                made = bench(pictures, options.weights, place, options.quick, views=1, split_seed=seed)
                one = run(made, seed, options)
                runs.append(one)
                used = len(one.ensemble.members) if one.ensemble.accepted else 1
                print(
                    f"{pictures.name:10} seed {seed}  {one.ours.accuracy:.4f}  {one.single.accuracy:.4f}     "
                    f"{one.vote.accuracy:.4f}    {one.ours.loss:.4f}  {one.single.loss:.4f}     {one.vote.loss:.4f}   "
                    f"{used:7}   {one.ratio:7.2f}"
                )
                print(f"           {one.ensemble.sentence}", flush=True)
            report(pictures.name, runs[-options.seeds :])
    if len(options.data) > 1:
        report("all", runs)


def report(name: str, runs: list[Run]) -> None:
    """The means over seeds."""

    def mean(field: str, who: str) -> float:
        return statistics.fmean(getattr(getattr(one, who), field) for one in runs)

    gap = 100 * (mean("accuracy", "ours") - mean("accuracy", "single"))
    print(f"\n{name}, mean of {len(runs)}            ours    single  vote of 5")
    for field, words in (
        ("accuracy", "test accuracy"),
        ("loss", "test log loss"),
        ("calibration_error", "ECE in 15 bins"),
        ("calibration_error_by_chance", "  by chance alone"),
        ("calibration_error_debiased", "  without chance"),
    ):
        print(f"{words:22} {mean(field, 'ours'):9.4f} {mean(field, 'single'):9.4f}  {mean(field, 'vote'):9.4f}")
    print(f"ours - single  {gap:+8.2f} points (asked: at least 0)")
    error = mean("calibration_error_debiased", "ours")
    print(f"ours, calibration error {error:.4f} without chance, mean of the splits (asked: at most 0.03)")
    if len({one.told.probabilities.shape[1] for one in runs}) == 1:
        together = Told(*(np.concatenate(parts) for parts in zip(*(one.told for one in runs), strict=True)))
        error = expected_calibration_error(reliability(*together))
        chance = error_by_chance(together.probabilities)
        print(
            f"  in 15 bins, the {len(together.labels)} answers of all splits together: {error:.4f}, "
            f"by chance alone {chance:.4f}, without chance {debiased_error(*together):.4f} (asked: at most 0.03)"
        )
    ratio = statistics.fmean(one.ratio for one in runs)
    print(f"limit, one network 1.00 of its ms a picture, ours {ratio:.2f}: {1 / ratio:.2f} times ours\n", flush=True)


def run(made: Bench, seed: int, options: argparse.Namespace) -> Run:
    """One study."""
    from imgcls_ray.pipeline.ensembling import Ensembling
    from imgcls_ray.pipeline.standing import Answers

    space = probe_space(views=1, epochs=4 if options.quick else 15)
    settings = SearchSettings.model_validate({"seed": seed, "trials": options.trials})
    study = made.study(f"{seed}", space, settings)
    outcome = run_study(study, StudyListener())
    answers = Answers(study, outcome)
    ensembling = Ensembling(outcome, answers, "auto")
    ensemble = ensembling.consider()
    voters = [trial for trial in answers.trials if answers.kept(trial)][:VOTERS]
    single = _told(made, study, [(outcome.best, 1.0, 1.0)])
    vote = _told(made, study, [(trial, 1 / len(voters), 1.0) for trial in voters])
    names = made.prepared.index.labels.names
    alone, voted = score(*single, names), score(*vote, names)
    if not ensemble.accepted:
        return Run(single, alone, alone, voted, ensemble, 1.0)
    trials = {trial.number: trial for trial in outcome.trials}
    members = [(trials[one.trial], one.weight, one.temperature) for one in ensemble.members]
    told = _told(made, study, members)
    return Run(told, score(*told, names), alone, voted, ensemble, _ratio(ensembling, ensemble, outcome))


def _told(made: Bench, study: Study, members: list[tuple[TrialOutcome, float, float]]) -> Told:
    """Trials with their weights and temperatures, calibrated on the validation pictures, on the test pictures."""
    from imgcls_ray.evaluation.calibration import calibrate
    from imgcls_ray.inference.calibration import Calibration
    from imgcls_ray.training.predictions import predict
    from imgcls_ray.training.warm import Warm

    context, warm, names = study.context(), Warm(), made.prepared.index.labels.names
    found = {}
    for split in ("val", "test"):
        mean = np.zeros(())
        for trial, weight, temperature in members:
            path = context.weights_path(trial.number)
            given, labels = predict(context.job(trial.params), path, split, warm)  # type: ignore[arg-type]
            mean = mean + weight * Calibration(temperature).apply(given)
        found[split] = mean, labels
    calibration = calibrate(*found["val"], names)
    probabilities, labels = found["test"]
    return Told(calibration.apply(probabilities), labels)


def _ratio(ensembling: "Ensembling", ensemble: Ensemble, outcome: StudyOutcome) -> float:
    """Milliseconds a picture on TensorFlow, ensemble by single."""
    from imgcls_ray.inference.engine import load_engine
    from imgcls_ray.inference.latency import latency_ms

    alone = replace(ensemble, members=(Member(outcome.best.number, 1.0, 1.0),))
    networks = [ensembling.network(one, "measured") for one in (ensemble, alone)]
    shape = tuple(networks[0].input_shape[1:])
    ours, single = (latency_ms(load_engine(network), shape) for network in networks)
    return ours / single


if __name__ == "__main__":
    main()

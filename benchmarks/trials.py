"""Trials a minute: ours, Ray's documented Tune with Train, and what a trial costs that does nothing.

    python benchmarks/trials.py --data DIR --weights FILE [--trials 300] [--views N] [--rival-trials 4] [--quick]

Heads on embeddings, the space `probe`, TPE and ASHA, from the first suggestion to the last report: actors that start
and load TensorFlow are in it, embedding is not. The rival is Tune over a Trainer as Ray's guide writes it
(docs.ray.io/en/latest/train/user-guides/hyperparameter-optimization.html): each trial a function that launches a
`TensorflowTrainer` with one worker. It trains the same heads on the same arrays with Keras' `fit`, each for as many
epochs as ours did: what differs is what is around them. The limit is the epochs of ours alone.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from _studies import BACKBONE, Bench, bench, local_ray, material, parser_of, probe_space

from imgcls_ray.config import SearchSettings
from imgcls_ray.search.listener import StudyListener, StudyOutcome
from imgcls_ray.search.parameters import Fixed, Float
from imgcls_ray.search.space import SearchSpace
from imgcls_ray.search.study import run_study
from imgcls_ray.search.trainable import TrialContext, TrialTrainable
from imgcls_ray.training.job import TrialJob
from imgcls_ray.training.runner import Runner

CPUS = 2
MOST_VIEWS = 3


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--trials", type=int, default=300, help="of ours")
    parser.add_argument("--views", type=int, help=f"fix the views of each picture, 0 to {MOST_VIEWS}; else searched")
    parser.add_argument("--rival-trials", type=int, default=4)
    options = parser.parse_args()
    with material(parser, options) as folder, local_ray(CPUS):
        made = bench(options.data[0], options.weights, folder, options.quick, MOST_VIEWS)
        probes(made, options)
        nothing(made, 3 if options.quick else 100)
        sleeping(made, 2 if options.quick else 20, 0.1 if options.quick else 2.0)


class _Epochs(StudyListener):
    """Adds up the seconds of all epochs."""

    seconds = 0.0

    def epoch_ended(self, number: int, epoch: int, metrics: dict[str, float]) -> None:  # noqa: ARG002
        self.seconds += metrics["seconds"]


def probes(made: Bench, options: argparse.Namespace) -> None:
    """Ours, then the rival with some of our trials."""
    trials, rivals = (4, 1) if options.quick else (options.trials, options.rival_trials)
    fixed = {} if options.views is None else {"views": options.views}
    epochs = _Epochs()
    settings = SearchSettings(space="probe", trials=trials)
    outcome = run_study(made.study("probes", probe_space(**fixed), settings), epochs)
    mine = 60 * trials / outcome.seconds
    limit = 60 * trials * CPUS / epochs.seconds
    theirs = 60 * rivals / rival(made, outcome, rivals)
    total = sum(trial.epochs for trial in outcome.trials)
    print(f"{trials} probe trials with {total} epochs on {made.prepared.index.rows('train')} pictures, {CPUS} CPUs")
    print(f"ours                       {mine:8.1f} trials a minute (asked: 120)")
    print(f"Tune with Train, {rivals:3} trials {theirs:7.1f} trials a minute   ours {mine / theirs:6.1f} (asked: 30)")
    print(f"limit, the epochs alone    {limit:8.1f} trials a minute   {limit / mine:6.2f} times ours")


def rival(made: Bench, outcome: StudyOutcome, trials: int) -> float:
    """Seconds of as many of our trials in Ray's pattern, two at once."""
    import numpy as np
    import ray.train
    from ray import tune
    from ray.train.tensorflow import TensorflowTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    embeddings = made.data.embeddings
    if embeddings is None:
        raise RuntimeError("a bench has embeddings")
    arrays = {}
    for views in range(MOST_VIEWS + 1):
        arrays[f"x{views}"], arrays[f"y{views}"] = embeddings.load("train", views)
    arrays["x_val"], arrays["y_val"] = embeddings.load("val")
    file, storage = str(made.folder / "arrays.npz"), str(made.folder / "rival")
    np.savez(file, **arrays)

    def driver(config: dict[str, Any]) -> None:
        run = ray.train.RunConfig(
            name=f"train-{tune.get_context().get_trial_id()}",
            storage_path=storage,
            callbacks=[TuneReportCallback()],
        )
        scaling = ray.train.ScalingConfig(num_workers=1)
        TensorflowTrainer(_train, train_loop_config=config, scaling_config=scaling, run_config=run).fit()

    chosen = [{"settings": one.params.model_dump(), "epochs": one.epochs, "arrays": file} for one in outcome.trials]
    tuner = tune.Tuner(
        # The function only waits: without a CPU of its own (one byte, as it must ask for something) two run at once.
        tune.with_resources(driver, tune.PlacementGroupFactory([{"CPU": 0.0, "memory": 1.0}])),
        param_space={"trial": tune.grid_search(list(range(trials))), "chosen": chosen[:trials]},
        tune_config=tune.TuneConfig(max_concurrent_trials=CPUS),
        run_config=tune.RunConfig(storage_path=storage, verbose=0),
    )
    started = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - started
    if results.num_errors:
        raise results.errors[0]
    return seconds


def _train(config: dict[str, Any]) -> None:
    """What a worker of the rival does. (Its `tf.keras` would be Keras 2, which is not installed.)"""
    import keras
    import numpy as np
    import ray.train

    from imgcls_ray.config import TrialSettings
    from imgcls_ray.models.network import build_head

    mine = config["chosen"][config["trial"]]
    settings = TrialSettings(**mine["settings"])
    with np.load(mine["arrays"]) as arrays:
        x, y = arrays[f"x{settings.views}"], arrays[f"y{settings.views}"]
        validation = arrays["x_val"], arrays["y_val"]
    model = build_head(settings, x.shape[1], int(y.max()) + 1)
    optimizer = keras.optimizers.get(settings.optimizer)
    optimizer.learning_rate = settings.learning_rate
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    report = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ray.train.report({"epoch": epoch, **logs}))
    model.fit(
        x,
        y,
        validation_data=validation,
        epochs=mine["epochs"],
        batch_size=settings.batch_size,
        verbose=0,
        callbacks=[report],
    )


class _Nothing(Runner):
    """Reports a figure after a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def start_trial(self, job: TrialJob) -> None:
        """There is nothing to build."""

    def train_epoch(self) -> dict[str, float]:
        """Sleep."""
        time.sleep(self._seconds)
        return dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"), 0.5)

    def save(self, path: Path) -> None:
        """There is no state."""

    def load(self, path: Path) -> None:
        """There is no state."""

    def save_weights(self, path: Path) -> None:
        """There are none."""

    def close(self) -> None:
        """Nothing is held."""


class _Idle(TrialTrainable):
    """A trial that costs nothing, or the seconds that stand in its learning rate."""

    def setup(self, config: dict[str, Any], context: TrialContext) -> None:
        self._context, self._runner = context, _Nothing(float(config["settings"]["learning_rate"]))
        self._take(config)


def _idle(made: Bench, name: str, trials: int, seconds: float, concurrency: int) -> float:
    space = SearchSpace(
        parameters={
            "backbone": Fixed(value=BACKBONE),
            "dropout": Float(type="float", low=0, high=0.5, default=0),
            "learning_rate": Fixed(value=seconds),
            "epochs": Fixed(value=1),
        }
    )
    settings = SearchSettings(trials=trials, concurrency=concurrency)
    return run_study(made.study(name, space, settings, _Idle), StudyListener()).seconds


def nothing(made: Bench, trials: int) -> None:
    """What is around a trial."""
    each = _idle(made, "nothing", trials, 1e-6, 1) / trials
    print(
        f"an empty trial, one at once {each:7.3f} s (asked: at most 0.2; {trials} trials with the start of their actor)"
    )


def sleeping(made: Bench, trials: int, seconds: float) -> None:
    """One actor against two."""
    one, two = (_idle(made, f"sleeping-{actors}", trials, seconds, actors) for actors in (1, 2))
    print(
        f"{trials} trials that sleep {seconds:g} s: 2 actors {one / two:.2f} times as fast as 1 (asked: 1.8; limit: 2)"
    )


if __name__ == "__main__":
    main()

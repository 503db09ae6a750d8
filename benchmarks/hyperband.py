"""Time to accuracy from raw pictures: ours and KerasTuner's Hyperband, with the same weights, size and pictures.

    python benchmarks/hyperband.py --data DIR --weights FILE [--minutes 10] [--space NAME] [--curves FILE] [--quick]

Each starts as a process of its own with the folder of pictures and ends with a model, which is measured on the test
pictures; both have our splits. The rival is written as its guide has it (keras.io/keras_tuner, "Hyperband"), on
`image_dataset_from_directory` with a cache, its network as in Keras' guide to transfer learning: rescaling, the
backbone with batch normalisation in inference mode, a head; it searches the head, dropout, the learning rate, whether
pictures are augmented and whether the backbone is trained too. It searches for all of its time: what loading its best
model takes is not counted. Ours is `imgcls run` with the time budget that is left when starting, preprocessing,
embedding, measuring and registering are taken off.

Ours runs twice: for `--seconds`, to compare test accuracies of a short search with the rival's whole one, and for as
long as the rival. `--curves` keeps seconds and validation accuracy of every epoch.
"""

import argparse
import csv
import json
import multiprocessing
import time
import warnings
from pathlib import Path
from typing import Any

from _studies import BACKBONE, QUICK_SIZE, SIZE, material, parser_of

from imgcls_ray import quiet
from imgcls_ray.config import PreprocessSettings, RunSettings, SearchSettings, Size
from imgcls_ray.pipeline.job import RunListener

Curve = list[tuple[float, float]]
"""Seconds since the start and validation accuracy, epoch by epoch."""


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of the rival, and of our long run")
    parser.add_argument("--seconds", type=float, default=100, help="of our short run")
    parser.add_argument("--space", default="quick", help="search space of ours")
    parser.add_argument("--max-epochs", type=int, default=10, help="of a trial of the rival")
    parser.add_argument("--curves", type=Path, help="CSV file for the curves")
    options = parser.parse_args()
    with material(parser, options) as folder:
        if options.quick:
            options.minutes, options.seconds, options.max_epochs = 0.1, 30, 2
        _alone(_split, options, folder, time.time())
        rival = _measured(_rival, options, folder / "rival", 60 * options.minutes)
        short = _measured(_ours, options, folder / "short", options.seconds)
        long = short
        if not options.quick:
            options.overhead = short["total"] - short["search"]
            long = _measured(_ours, options, folder / "long", 60 * options.minutes)
        report(rival, short, long)
        if options.curves:
            _write_curves(options.curves, {"hyperband": rival, "ours, short": short, "ours, long": long})


def report(rival: dict[str, Any], short: dict[str, Any], long: dict[str, Any]) -> None:
    """The figures of all three."""
    print("                            seconds  epochs  validation   test")
    for name, one in (("ours, short", short), ("ours, long", long), ("KerasTuner's Hyperband", rival)):
        best = max(value for _, value in one["curve"])
        print(f"{name:26} {one['total']:8.1f} {len(one['curve']):7} {best:11.4f} {one['test']:6.4f}")
    best, at = _best(rival["curve"])
    reached = next((at for at, value in long["curve"] if value >= best), None)
    if reached is None:
        print(f"ours does not reach the {best:.4f} of validation that the rival has after {at:.0f} s")
    else:
        print(
            f"validation {best:.4f}: ours after {reached:.0f} s (asked: 100), the rival after {at:.0f} s, "
            f"{at / reached:.2f} times ours; limit, its whole time, {rival['total'] / reached:.1f} times ours"
        )
    print(f"test, ours short against the rival: {100 * (short['test'] - rival['test']):+.1f} points")
    print(f"test, after equal time:             {100 * (long['test'] - rival['test']):+.1f} points (asked: 2)")


def _best(curve: Curve) -> tuple[float, float]:
    """The highest value and when it was there first."""
    at, value = max(curve, key=lambda point: (point[1], -point[0]))
    return value, at


def _measured(work: Any, options: argparse.Namespace, folder: Path, seconds: float) -> dict[str, Any]:
    folder.mkdir()
    _alone(work, options, folder, seconds)
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    with (folder / "curve.csv").open(newline="") as file:
        result["curve"] = [(float(at), float(value)) for at, value in csv.reader(file)]
    return result


def _alone(work: Any, options: argparse.Namespace, folder: Path, seconds: float) -> None:
    """In a new process, which loads all it needs itself."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=(options, folder, seconds, time.time()))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{work.__name__} ended with {process.exitcode}")


def _note(folder: Path, started: float, value: float) -> None:
    # A file, as KerasTuner copies its callbacks.
    with (folder / "curve.csv").open("a", newline="") as file:
        csv.writer(file).writerow([round(time.time() - started, 2), round(value, 4)])


def _side(options: argparse.Namespace) -> int:
    return QUICK_SIZE if options.quick else SIZE


def _split(options: argparse.Namespace, folder: Path, _: float, __: float) -> None:
    """Our splits as folders of links, for the rival; nobody's time."""
    from imgcls_ray.data.manifest import read_manifest
    from imgcls_ray.data.preprocess import preprocess
    from imgcls_ray.data.sources import list_source
    from imgcls_ray.jobs.connection import cluster

    side = _side(options)
    with cluster("local"):
        found = preprocess(
            list_source(str(options.data[0])), folder / "set", PreprocessSettings(image_size=Size(side, side))
        )
    for row in read_manifest(found.path):
        if row.status == "used":
            place = folder / "split" / str(row.split) / row.label
            place.mkdir(parents=True, exist_ok=True)
            (place / row.path.replace("/", "-")).symlink_to((options.data[0] / row.path).resolve())


class _Noted(RunListener):
    def __init__(self, folder: Path, started: float) -> None:
        self._folder, self._started = folder, started

    def epoch_ended(self, number: int, epoch: int, metrics: dict[str, float]) -> None:  # noqa: ARG002
        _note(self._folder, self._started, metrics["val_accuracy"])


def _ours(options: argparse.Namespace, folder: Path, seconds: float, started: float) -> None:
    from imgcls_ray.pipeline.job import run

    side = _side(options)
    overhead = getattr(options, "overhead", 0.4 * seconds)
    search = SearchSettings(
        space=options.space,
        backbones=(BACKBONE,),
        image_size=Size(side, side),
        trials=2 if options.quick else 10_000,
        epochs=2 if options.quick else None,
        time_budget=max(seconds - overhead, 1),  # a busy machine may need all of it for the rest
    )
    settings = RunSettings(
        data=str(options.data[0]),
        storage=str(folder / "runs"),
        weights=(f"{BACKBONE}={options.weights}",),
        search=search,
    )
    found = run(settings, _Noted(folder, started))
    result = {"total": time.time() - started, "search": found.seconds.search, "test": found.test.accuracy}
    (folder / "result.json").write_text(json.dumps(result))


def _rival(options: argparse.Namespace, folder: Path, seconds: float, started: float) -> None:
    quiet.import_tensorflow()
    warnings.simplefilter("ignore")  # Keras', of what KerasTuner hands to it
    import keras
    import keras_tuner
    import tensorflow as tf

    size = (_side(options), _side(options))

    def pictures(split: str) -> Any:
        return keras.utils.image_dataset_from_directory(
            folder.parent / "split" / split, image_size=size, batch_size=32, shuffle=split == "train", verbose=False
        )

    parts = {split: pictures(split) for split in ("train", "val", "test")}
    classes = len(parts["train"].class_names)
    train = parts["train"].cache().shuffle(1000).prefetch(tf.data.AUTOTUNE)
    val, test = (parts[split].cache().prefetch(tf.data.AUTOTUNE) for split in ("val", "test"))

    def build(hp: Any) -> Any:
        inputs = keras.Input((*size, 3))
        x = inputs
        if hp.Boolean("augment"):
            x = keras.layers.RandomFlip("horizontal")(x)
            x = keras.layers.RandomRotation(0.1)(x)
        x = keras.layers.Rescaling(1 / 127.5, offset=-1)(x)
        backbone = keras.applications.MobileNetV2((*size, 3), alpha=0.35, include_top=False, weights=None)
        backbone.load_weights(options.weights)
        backbone.trainable = hp.Boolean("fine_tune")
        x = keras.layers.GlobalAveragePooling2D()(backbone(x, training=False))
        for number in range(hp.Int("layers", 0, 2)):
            x = keras.layers.Dense(hp.Int(f"units_{number}", 64, 512, sampling="log"), activation="relu")(x)
        x = keras.layers.Dropout(hp.Float("dropout", 0, 0.6, step=0.1))(x)
        model = keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))
        if backbone.trainable:
            rate = hp.Float("fine_tune_rate", 1e-5, 1e-3, sampling="log")
        else:
            rate = hp.Float("learning_rate", 3e-4, 1e-2, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    class Clock(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            _note(folder, started, logs["val_accuracy"])
            self.model.stop_training |= time.time() - started > seconds

    class Timed(keras_tuner.Hyperband):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            if time.time() - started > seconds and self.oracle.end_order:
                raise _Over
            return super().run_trial(trial, *args, **kwargs)

    tuner = Timed(
        build,
        objective="val_accuracy",
        max_epochs=options.max_epochs,
        factor=3,
        hyperband_iterations=1000,
        seed=0,
        directory=folder,
        project_name="hyperband",
    )
    stop_early = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5)
    try:
        tuner.search(train, validation_data=val, callbacks=[stop_early, Clock()], verbose=0)
    except _Over:
        total = time.time() - started
    best = tuner.get_best_models(1)[0]
    accuracy = best.evaluate(test, verbose=0)[1]
    (folder / "result.json").write_text(json.dumps({"total": total, "test": accuracy}))


class _Over(BaseException):
    """The time is; KerasTuner would take an exception for a failed trial."""


def _write_curves(path: Path, runs: dict[str, dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["who", "seconds", "val_accuracy"])
        writer.writerows([name, *point] for name, one in runs.items() for point in one["curve"])


if __name__ == "__main__":
    main()

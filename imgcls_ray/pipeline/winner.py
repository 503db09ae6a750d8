"""From a study's best trial, or an ensemble, to a bundle: measured once on the test split."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

import keras
import numpy as np

from imgcls_ray.bundle.bundle import Bundle, load_bundle, write_bundle
from imgcls_ray.bundle.card import Card, CardMember
from imgcls_ray.config import Size
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.shards import read_shard
from imgcls_ray.data.sources import Split
from imgcls_ray.evaluation.calibration import calibrate
from imgcls_ray.evaluation.drift import fit_reference
from imgcls_ray.evaluation.ensemble import Ensemble
from imgcls_ray.evaluation.metrics import Metrics, log_loss, score
from imgcls_ray.evaluation.predictions import Predictions
from imgcls_ray.evaluation.reliability import expected_calibration_error, reliability
from imgcls_ray.inference.calibration import Calibration
from imgcls_ray.inference.engine import Engine, load_engine
from imgcls_ray.inference.reference import Reference
from imgcls_ray.models.pooled import with_features
from imgcls_ray.pipeline.ensembling import Ensembling
from imgcls_ray.pipeline.plan import Plan
from imgcls_ray.search.listener import StudyOutcome, TrialOutcome
from imgcls_ray.search.study import Study
from imgcls_ray.search.trainable import TrialContext
from imgcls_ray.training.checkpoint import load_variables
from imgcls_ray.training.network import build_network, load_backbone, whole_network

GOLDEN = 8
"""Pictures that a bundle carries to check itself."""
_COMPARED = 20_000
"""Test pictures whose features are kept in memory for the reference statistics, at the most about twice as many."""


@dataclass(frozen=True)
class Winner:
    """A study's best trial, or an ensemble, as a model, and how good it is."""

    bundle: Bundle
    metrics: Metrics
    """On the test split."""
    predictions: Predictions
    """Its answers there, calibrated."""


def build_winner(
    plan: Plan,
    study: Study,
    outcome: StudyOutcome,
    sets: Mapping[Size, Preprocessed],
    ensemble: Ensemble | None,
    ensembling: Ensembling,
) -> Winner:
    """Write the bundle of the best trial, or of an ensemble that takes its place, and measure it on the test split.

    A study that is taken up may have a bundle already: of the same it stays, beside another's a new one is put.
    """
    best = outcome.best
    context = study.context()
    job = context.job(best.params)
    place = plan.storage.bundle(outcome.name)
    for number in count(2):
        if not place.exists():
            break
        written = load_bundle(place)
        if _is_of(written.card, best, ensemble):
            answers = predictions(written, sets[job.data.size], "test")
            return Winner(written, _scored(answers), answers)
        place = plan.storage.bundle(f"{outcome.name}-{number}")
    model = ensembling.network(ensemble, outcome.name) if ensemble else _rebuilt(context, best)
    found = sets[job.data.size]
    index = found.index
    engine = load_engine(with_features(model) or model)
    compared: list[np.ndarray] = []
    seen, before = predictions(engine, found, "val"), predictions(engine, found, "test", compared)
    # Before calibration: of a trial what it reported.
    joined = _scored(seen) if ensemble else None
    calibration = calibrate(seen.probabilities, seen.labels, seen.names)
    seen, answers = seen.calibrated(calibration), before.calibrated(calibration)
    metrics = _scored(answers)
    card = Card(
        name=plan.model_name,
        study=outcome.name,
        settings=best.params.model_dump(mode="json", exclude_unset=True),
        members=_members(ensemble, outcome),
        metrics={
            "val_accuracy": joined.accuracy if joined else best.metrics["val_accuracy"],
            "val_loss": log_loss(seen.probabilities, seen.labels),
            "val_loss_before": joined.loss if joined else best.metrics["val_loss"],  # before calibration
            "test_accuracy": metrics.accuracy,
            "test_f1_macro": metrics.f1_macro,
            "test_loss": metrics.loss,
            "test_loss_before": log_loss(before.probabilities, before.labels),
            "test_calibration_error": metrics.calibration_error,
            "test_calibration_error_by_chance": metrics.calibration_error_by_chance,
            "test_calibration_error_debiased": metrics.calibration_error_debiased,
            "test_calibration_error_before": expected_calibration_error(
                reliability(before.probabilities, before.labels)
            ),
        },
        data_name=index.name,
        data_fingerprint=index.fingerprint,
        counts=dataclasses.asdict(found.counts),
    )
    reference = _reference(np.concatenate(compared), len(index.labels), calibration)
    golden = _golden(found)
    bundle = write_bundle(place, model, index.labels, index.pixels, card, golden, calibration, reference, portable=True)
    return Winner(bundle, metrics, answers)


def measure_stages(
    study: Study, outcome: StudyOutcome, winner: Metrics | None, sets: Mapping[Size, Preprocessed]
) -> dict[str, tuple[TrialOutcome, Metrics]]:
    """The best trial of each stage, by its name, measured on the test split; empty for a study of one stage.

    It tells what fine-tuning brought; what to use has been chosen, and `winner` are its metrics where it is a trial.
    """
    probed, tuned = outcome.probed, outcome.tuned
    if probed is None or tuned is None:
        return {}
    context = study.context()
    if not all(context.weights_path(trial.number).is_file() for trial in (probed, tuned)):
        return {}  # of a study by an older version, which did not keep them

    def measured(trial: TrialOutcome) -> Metrics:
        if winner and trial.number == outcome.best.number:
            return winner
        found = sets[context.job(trial.params).data.size]
        return measure(load_engine(_rebuilt(context, trial)), found, "test")

    return {name: (trial, measured(trial)) for name, trial in (("probe", probed), ("finetune", tuned))}


def _rebuilt(context: TrialContext, trial: TrialOutcome) -> keras.Model:
    """The whole network of a trial, pixels in, with the weights that it left."""
    job = context.job(trial.params)
    backbone = load_backbone(job)
    network = build_network(job, backbone)
    load_variables(context.weights_path(trial.number), network.variables)
    return whole_network(job, backbone, network)


def _members(ensemble: Ensemble | None, outcome: StudyOutcome) -> tuple[CardMember, ...]:
    """An ensemble's trials as its card names them."""
    if ensemble is None:
        return ()
    settings = {trial.number: trial.params.model_dump(mode="json", exclude_unset=True) for trial in outcome.trials}
    return tuple(CardMember(**dataclasses.asdict(one), settings=settings[one.trial]) for one in ensemble.members)


def _is_of(card: Card, trial: TrialOutcome, ensemble: Ensemble | None) -> bool:
    """Whether a bundle was made of this ensemble, or of this trial alone."""
    if ensemble or card.members:
        weights = {member.trial: member.weight for member in card.members}
        return ensemble is not None and weights == {member.trial: member.weight for member in ensemble.members}
    return card.settings == trial.params.model_dump(mode="json", exclude_unset=True) and all(
        card.metrics.get(noted) == trial.metrics[name]
        for noted, name in (("val_accuracy", "val_accuracy"), ("val_loss_before", "val_loss"))
    )


def measure(model: Bundle | Engine, found: Preprocessed, split: Split) -> Metrics:
    """Score a model on one split of a preprocessed set."""
    return _scored(predictions(model, found, split))


def predictions(
    model: Bundle | Engine, found: Preprocessed, split: Split, compared: list[np.ndarray] | None = None
) -> Predictions:
    """A model's answers to a split, shard by shard.

    Behind the K probabilities an engine may give out features; to `compared` such rows (n, K + F) of the split are
    added, of a large one some in each shard.
    """
    probabilities, labels = [], []
    keys: list[str] = []
    entries = found.index.of(split)
    step = max(1, found.index.rows(split) // _COMPARED)
    for entry in entries:
        shard = read_shard(found.path, entry, found.index.format)
        rows = model.predict(shard.images)
        probabilities.append(np.ascontiguousarray(rows[:, : len(found.index.labels)]))
        if compared is not None:
            compared.append(np.array(rows[::step]))
        labels.append(shard.labels)
        keys += shard.keys
    return Predictions(tuple(keys), np.concatenate(labels), np.concatenate(probabilities), found.index.labels.names)


def _scored(answers: Predictions) -> Metrics:
    return score(answers.probabilities, answers.labels, answers.names)


def _reference(rows: np.ndarray, classes: int, calibration: Calibration) -> Reference | None:
    """The statistics of held-out rows (n, K + F), before calibration."""
    return fit_reference(calibration.apply(rows[:, :classes]), rows[:, classes:])


def _golden(found: Preprocessed) -> np.ndarray:
    """The first pictures of the validation split."""
    index = found.index
    return read_shard(found.path, index.of("val")[0], index.format).images[:GOLDEN]

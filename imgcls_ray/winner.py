"""From a study's best trial, or an ensemble, to a bundle: measured once on the test split."""

import dataclasses
from collections.abc import Mapping
from itertools import count

import keras
import numpy as np

from imgcls_ray.bundle.bundle import Bundle, load_bundle, write_bundle
from imgcls_ray.bundle.card import Card, CardMember
from imgcls_ray.config import Size
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.data.shards import read_shard
from imgcls_ray.data.sources import Split
from imgcls_ray.ensembling import Ensembling
from imgcls_ray.evaluation.calibration import calibrate
from imgcls_ray.evaluation.ensemble import Ensemble
from imgcls_ray.evaluation.metrics import Metrics, score
from imgcls_ray.evaluation.reliability import expected_calibration_error, reliability
from imgcls_ray.inference.engine import Engine, load_engine
from imgcls_ray.plan import Plan
from imgcls_ray.search.listener import StudyOutcome, TrialOutcome
from imgcls_ray.search.study import Study
from imgcls_ray.search.trainable import TrialContext
from imgcls_ray.training.checkpoint import load_variables
from imgcls_ray.training.network import build_network, load_backbone, whole_network

GOLDEN = 8
"""Pictures that a bundle carries to check itself."""


def build_winner(
    plan: Plan,
    study: Study,
    outcome: StudyOutcome,
    sets: Mapping[Size, Preprocessed],
    ensemble: Ensemble | None,
    ensembling: Ensembling,
) -> tuple[Bundle, Metrics]:
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
            return written, measure(written, sets[job.data.size], "test")
        place = plan.storage.bundle(f"{outcome.name}-{number}")
    model = ensembling.network(ensemble, outcome.name) if ensemble else _rebuilt(context, best)
    found = sets[job.data.size]
    index = found.index
    engine = load_engine(model)
    chosen_on = _answers(engine, found, "val")
    calibration = calibrate(*chosen_on, index.labels.names)
    # The search's own figures of its trial, where it is one.
    measured = score(*chosen_on, index.labels.names) if ensemble else None
    probabilities, truth = _answers(engine, found, "test")
    metrics = score(calibration.apply(probabilities), truth, index.labels.names)
    card = Card(
        name=plan.model_name,
        study=outcome.name,
        settings=best.params.model_dump(mode="json", exclude_unset=True),
        members=_members(ensemble, outcome),
        metrics={
            "val_accuracy": measured.accuracy if measured else best.metrics["val_accuracy"],
            "val_loss": measured.loss if measured else best.metrics["val_loss"],
            "test_accuracy": metrics.accuracy,
            "test_f1_macro": metrics.f1_macro,
            "test_loss": metrics.loss,
            "test_calibration_error": metrics.calibration_error,
            "test_calibration_error_before": expected_calibration_error(reliability(probabilities, truth)),
        },
        data_name=index.name,
        data_fingerprint=index.fingerprint,
        counts=dataclasses.asdict(found.counts),
    )
    bundle = write_bundle(place, model, index.labels, index.pixels, card, _golden(found), calibration)
    return bundle, metrics


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
        card.metrics[name] == trial.metrics[name] for name in ("val_accuracy", "val_loss")
    )


def measure(model: Bundle | Engine, found: Preprocessed, split: Split) -> Metrics:
    """Score a model on one split of a preprocessed set."""
    return score(*_answers(model, found, split), found.index.labels.names)


def _answers(model: Bundle | Engine, found: Preprocessed, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, K) and labels (n,) of a split, shard by shard."""
    probabilities, labels = [], []
    for entry in found.index.of(split):
        shard = read_shard(found.path, entry, found.index.format)
        probabilities.append(model.predict(shard.images))
        labels.append(shard.labels)
    return np.concatenate(probabilities), np.concatenate(labels)


def _golden(found: Preprocessed) -> np.ndarray:
    """The first pictures of the validation split."""
    index = found.index
    return read_shard(found.path, index.of("val")[0], index.format).images[:GOLDEN]

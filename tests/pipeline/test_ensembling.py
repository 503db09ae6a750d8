"""Ensembles of trials that were made by hand: who may join, what that costs, and the bundle that comes of it."""

from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from imgcls_ray.bundle.bundle import load_bundle, write_bundle
from imgcls_ray.bundle.card import Card, CardMember
from imgcls_ray.config import RunSettings, Size, TrialSettings, load_settings
from imgcls_ray.data.index import Index
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.pixels import PixelOps
from imgcls_ray.embeddings.store import Embeddings
from imgcls_ray.errors import SettingsError
from imgcls_ray.evaluation.calibration import calibrate
from imgcls_ray.inference.openvino import installed
from imgcls_ray.models import NO_WEIGHTS
from imgcls_ray.models.cost import multiply_adds
from imgcls_ray.models.features import build_features
from imgcls_ray.pipeline.ensembling import Ensembling
from imgcls_ray.search.listener import StudyOutcome, TrialOutcome
from imgcls_ray.search.trainable import TrialContext
from imgcls_ray.training.checkpoint import load_variables, save_variables
from imgcls_ray.training.cost import Costs
from imgcls_ray.training.job import TrialData, TrialJob
from imgcls_ray.training.network import build_network, load_backbone, whole_network

SIDE, CLASSES, PICTURES = 32, 3, 120
NAME = "mobilenet_v2_0.35"
LABELS = Labels(("a", "b", "c"))
SMALL: dict[str, Any] = {"backbone": "cnn", "cnn_blocks": 1, "cnn_width": 4}


def images() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (PICTURES, SIDE, SIDE, 3), dtype=np.uint8)


class MadeAnswers:
    """What the trials' own networks answer to random pictures; the labels are such that they are mostly right."""

    def __init__(self, context: TrialContext, trials: list[TrialOutcome]) -> None:
        self.context, self.trials = context, trials
        self._given = {trial.number: answers(whole(context, trial)) for trial in trials}
        mean = np.mean(list(self._given.values()), axis=0)
        self.labels = (mean * np.random.default_rng(0).uniform(0.98, 1.02, mean.shape)).argmax(axis=1)

    def kept(self, trial: TrialOutcome) -> bool:
        return self.context.weights_path(trial.number).is_file()

    def of(self, trial: TrialOutcome) -> tuple[np.ndarray, np.ndarray]:
        return self._given[trial.number], self.labels


def answers(model: keras.Model) -> np.ndarray:
    return np.asarray(model(images().astype(np.float32), training=False))


@cache
def frozen() -> keras.Model:
    return build_features(NAME, Size(SIDE, SIDE), 3, NO_WEIGHTS)


def whole(context: TrialContext, trial: TrialOutcome) -> keras.Model:
    job = context.job(trial.params)
    backbone = None if job.data.embeddings is None else frozen()
    network = build_network(job, backbone)
    load_variables(context.weights_path(trial.number), network.variables)
    return whole_network(job, backbone, network)


def data(path: Path, folder: Path, pretrained: bool = True) -> TrialData:
    pixels = PixelOps(SIDE, SIDE, "color")
    index = Index(LABELS, pixels, "hdf5", "f" * 64, "made", (), {}, "")
    embeddings = Embeddings(folder, index, NAME, NO_WEIGHTS, 1280, 0, 0, 0) if pretrained else None
    return TrialData(path, Size(SIDE, SIDE), 3, CLASSES, embeddings)


def context(folder: Path) -> TrialContext:
    places = {
        (NAME, "native"): data(folder / "set", folder),
        ("cnn", "native"): data(folder / "set", folder, pretrained=False),
        ("cnn", "64"): data(folder / "larger", folder, pretrained=False),
    }
    return TrialContext(folder, 0, places, 1, 1, 0, PICTURES)


def trial(context: TrialContext, number: int, **settings: Any) -> TrialOutcome:
    """A trial with random weights, kept as a search keeps them."""
    params = TrialSettings.model_validate({"backbone": NAME, **settings})
    job = context.job(params)
    keras.utils.set_random_seed(number)
    network = build_network(job, None)
    chance = np.random.default_rng(number)
    for layer in network.layers[-1:]:
        layer.set_weights([value + chance.normal(0, 0.5, value.shape) for value in layer.get_weights()])
    save_variables(context.weights_path(number), network.variables)
    return TrialOutcome(number, "complete", 0.5, params, 1, 1.0, {"val_accuracy": 0.5, "val_loss": 1.0})


def considered(context: TrialContext, trials: list[TrialOutcome], size: Any) -> tuple[Ensembling, MadeAnswers]:
    made = MadeAnswers(context, trials)
    outcome = StudyOutcome("made", tuple(trials), trials[0], trials[0], 1.0)
    return Ensembling(outcome, made, size), made  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> TrialContext:
    return context(tmp_path_factory.mktemp("study"))


def test_heads_on_one_backbone_become_one_bundle(shared: TrialContext, tmp_path: Path) -> None:
    trials = [trial(shared, number, dropout=number / 10) for number in range(4)]
    ensembling, made = considered(shared, trials, "auto")
    ensemble = ensembling.consider()
    assert len(ensemble.members) > 2
    assert ensemble.cost < 1.01

    model = ensembling.network(ensemble, "made")
    expected = np.zeros((PICTURES, CLASSES))
    for member in ensemble.members:
        logits = np.log(made.of(trials[member.trial])[0].astype(np.float64)) / member.temperature
        powers = np.exp(logits)
        expected += member.weight * powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers(model), expected, rtol=0, atol=1e-6)

    calibration = calibrate(answers(model), made.labels, LABELS.names)
    members = tuple(
        CardMember(trial=one.trial, weight=one.weight, temperature=one.temperature, settings={"dropout": one.trial})
        for one in ensemble.members
    )
    card = Card(
        name="made",
        study="made",
        settings={"backbone": NAME},
        members=members,
        metrics={"val_accuracy": 0.5},
        data_name="made",
        data_fingerprint="f" * 64,
        counts={"used": PICTURES},
    )
    pixels = PixelOps(SIDE, SIDE, "color")
    write_bundle(tmp_path / "bundle", model, LABELS, pixels, card, images()[:4], calibration)
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.card.members == members
    np.testing.assert_allclose(bundle.predict(images()), calibration.apply(answers(model)), rtol=0, atol=1e-6)
    page = (tmp_path / "bundle" / "card.md").read_text()
    assert f"those of {len(members)} trials" in page
    assert f"| {members[0].trial} | {members[0].weight:.4f} |" in page


@pytest.mark.skipif(not installed(), reason="openvino is not installed")
def test_openvino_reads_a_joined_network(shared: TrialContext) -> None:
    from imgcls_ray.inference.engine import load_engine

    trials = [trial(shared, number) for number in range(2)]
    ensembling, _ = considered(shared, trials, 2)
    ensemble = ensembling.consider()
    model = ensembling.network(ensemble, "made")
    given = load_engine(model, "openvino").predict(images())
    np.testing.assert_allclose(given, answers(model), rtol=0, atol=1e-5)


def test_auto_joins_no_second_network_and_a_number_does(shared: TrialContext) -> None:
    trials = [trial(shared, number, learning_rate=0.001 * (number + 1), **SMALL) for number in range(3)]
    ensembling, _ = considered(shared, trials, "auto")
    alone = ensembling.consider()
    assert not alone.accepted
    assert alone.sentence == (
        "no ensemble: no other trial can be joined with the one to use for at most 1.25 times its multiply-adds "
        "(--ensemble N allows more)"
    )
    ensembling, _ = considered(shared, trials, 2)
    pair = ensembling.consider()
    assert 1 <= len(pair.members) <= 2
    assert pair.cost == len(pair.members)


def test_only_trials_on_the_same_pictures_with_weights_may_join(shared: TrialContext) -> None:
    trials = [trial(shared, 0, **SMALL), trial(shared, 1, image_size="64", **SMALL), trial(shared, 2, **SMALL)]
    shared.weights_path(2).unlink()
    made = MadeAnswers(shared, trials[:2])
    made.trials = trials
    ensembling = Ensembling(StudyOutcome("made", tuple(trials), trials[0], trials[0], 1.0), made, 8)  # type: ignore[arg-type]
    found = ensembling.consider()
    assert not found.members
    assert "no weights of another trial on pictures of the same size were kept" in found.sentence


def test_nobody_is_asked_where_none_is_wanted_or_there_is_one_trial(shared: TrialContext) -> None:
    trials = [trial(shared, number, **SMALL) for number in range(2)]
    assert considered(shared, trials, "auto")[0].wanted
    assert not considered(shared, trials, "none")[0].wanted
    assert not considered(shared, trials[:1], "auto")[0].wanted


def test_what_a_joined_network_costs_is_known_before_it_is_joined(shared: TrialContext) -> None:
    from imgcls_ray.models.joining import join

    jobs = [
        TrialJob(TrialSettings(backbone=NAME, **settings), number, shared.data[NAME, "native"])
        for number, settings in enumerate(
            ({}, {"head_layers": 1, "head_width": 64}, {"unfrozen_layers": 3}, {"unfrozen_layers": 6})
        )
    ]
    members = []
    for job in jobs:
        backbone = load_backbone(job)
        network = build_network(job, backbone)
        for layer in network.layers:
            if layer.trainable and layer.weights:
                layer.set_weights([value + 0.01 * (job.seed + 1) for value in layer.get_weights()])
        members.append(whole_network(job, backbone, network))
    for chosen in ([0, 1], [2, 3], [0, 1, 2, 3]):
        joined = join([(members[place], 1 / len(chosen)) for place in chosen], "joined")
        assert Costs().together(jobs[place] for place in chosen) == multiply_adds(joined)


def test_the_size_of_an_ensemble_is_checked() -> None:
    def size(text: str) -> Any:
        return load_settings(RunSettings, overrides=[f"ensemble={text}"], flags={"data": "."}).ensemble

    assert [size("auto"), size("none"), size("4")] == ["auto", "none", 4]
    for wrong in ("1", "33", "some"):
        with pytest.raises(SettingsError, match="an ensemble is auto, none, or 2 to 32 trials; received"):
            size(wrong)


def test_a_few_validation_pictures_tell_nothing(shared: TrialContext, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [trial(shared, number, **SMALL) for number in range(2)]
    ensembling, made = considered(shared, trials, 2)
    monkeypatch.setattr(made, "of", lambda one: (made._given[one.number][:1], made.labels[:1]))
    found = ensembling.consider()
    assert not found.members
    assert found.sentence == "no ensemble: 1 validation pictures are too few to tell"


def test_of_an_interrupted_study_the_best_alone_are_asked(shared: TrialContext) -> None:
    trials = [trial(shared, number, **SMALL) for number in range(12)]
    made = MadeAnswers(shared, trials)
    asked = set()
    answers_of = made.of
    made.of = lambda one: asked.add(one.number) or answers_of(one)  # type: ignore[assignment, method-assign, func-returns-value]
    outcome = StudyOutcome("made", tuple(trials), trials[0], trials[0], 1.0, interrupted=True)
    Ensembling(outcome, made, 12).consider()  # type: ignore[arg-type]
    assert asked == set(range(8))

"""Selections counted by hand, and the rule that an ensemble has to pass."""

import math

import numpy as np
import pytest

from imgcls_ray.evaluation.ensemble import Ensemble, Member, Verdict
from imgcls_ray.evaluation.selection import bagged_selection, forward_selection, judge


def test_a_selection_counted_by_hand():
    # Losses alone: -ln 0.09 / 2 = 1.204, the same, and -ln 0.16 / 2 = 0.916: the third is first. With it in, the first
    # makes (0.65, 0.25) and the second (0.25, 0.65), -ln 0.1625 / 2 = 0.9085: the first of equals. Then the second:
    # (1.4, 1.4) / 3, 0.762. A fourth addition can't better that: (2.3, 1.5) / 4 gives 0.767.
    right = np.array([[0.9, 0.1], [0.1, 0.9], [0.4, 0.4]])
    assert forward_selection(right, 1).tolist() == [0, 0, 1]
    assert forward_selection(right, 2).tolist() == [0.5, 0, 0.5]
    np.testing.assert_allclose(forward_selection(right, 3), [1 / 3] * 3)
    np.testing.assert_allclose(forward_selection(right, 4), [1 / 3] * 3)


def test_a_selection_goes_back_to_the_best_average_on_its_way():
    right = np.array([[0.9, 0.9, 0.9], [0.2, 0.2, 0.3]])
    assert forward_selection(right, 10).tolist() == [1, 0]


def test_a_model_may_be_drawn_more_than_once():
    right = np.array([[0.9, 0.9, 0.2], [0.3, 0.3, 0.9]])
    first, second = forward_selection(right, 20)
    # The best share of all, found on a fine grid; the selection's are multiples of a twentieth at best.
    shares = np.linspace(0, 1, 10_001)
    losses = -np.log(shares[:, None] * right[0] + (1 - shares[:, None]) * right[1]).mean(axis=1)
    assert first == pytest.approx(shares[losses.argmin()], abs=0.05)
    assert first + second == pytest.approx(1)


def test_bags_agree_on_weights_that_sum_to_one_and_are_worth_a_network():
    right = np.random.default_rng(0).uniform(0.2, 0.9, (8, 60))
    weights = bagged_selection(right)
    assert weights.sum() == pytest.approx(1)
    assert weights[weights > 0].min() >= 0.05
    assert (weights > 0).sum() > 2
    assert bagged_selection(right).tolist() == weights.tolist()
    assert bagged_selection(right[:1]).tolist() == [1]


def answers(noise: float, models: int, same: bool, pictures: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (models, n, 3) of models whose logits are the truth and noise, each its own or all the same."""
    chance = np.random.default_rng(1)
    labels = chance.integers(3, size=pictures)
    errors = chance.normal(0, noise, (models, pictures, 3))
    logits = 2 * np.eye(3)[labels] + (errors[:1] if same else errors)
    powers = np.exp(logits)
    return powers / powers.sum(axis=2, keepdims=True), labels


def first(rows: np.ndarray) -> int:
    return 0


def test_models_with_errors_of_their_own_are_accepted():
    verdict = judge(*answers(1.5, 6, same=False), first)
    assert verdict.accepted
    assert verdict.gain > verdict.noise > 0
    assert verdict.accuracy_gap > 0
    assert sum(verdict.weights) == pytest.approx(1)
    assert verdict.sentence.startswith(f"an ensemble of {verdict.members} trials is accepted: log loss -")


def test_models_that_answer_the_same_are_rejected():
    verdict = judge(*answers(1.5, 6, same=True), first)
    assert not verdict.accepted
    assert verdict.gain == pytest.approx(0, abs=1e-12)


def test_the_single_one_is_chosen_anew_on_each_part_of_the_pictures():
    seen: list[np.ndarray] = []

    def note(rows: np.ndarray) -> int:
        seen.append(rows)
        return 0

    judge(*answers(1.0, 3, same=False, pictures=10), note)
    assert [len(rows) for rows in seen] == [8] * 5
    assert sorted(np.concatenate([np.setdiff1d(np.arange(10), rows) for rows in seen]).tolist()) == list(range(10))


def test_a_gain_within_the_noise_or_a_lower_accuracy_is_rejected():
    good = Verdict((0.5, 0.5), gain=0.02, noise=0.01, accuracy_gap=0.0, accuracy_noise=0.01, pictures=100)
    assert good.accepted
    for change in ({"gain": 0.01}, {"accuracy_gap": -0.02}, {"weights": (1.0, 0.0)}, {"gain": math.nan}):
        assert not Verdict(**{**good.__dict__, **change}).accepted


def test_an_ensemble_tells_its_members_and_its_cost():
    verdict = Verdict((0.25, 0.75), gain=0.02, noise=0.01, accuracy_gap=0.01, accuracy_noise=0.01, pictures=100)
    ensemble = Ensemble((Member(4, 0.75, 1.5), Member(0, 0.25, 1.0)), verdict, 1.031)
    document = ensemble.to_json()
    assert document["accepted"] is True
    assert document["members"][0] == {"trial": 4, "weight": 0.75, "temperature": 1.5}
    assert document["sentence"].endswith("; serving costs 1.03 times the multiply-adds")
    alone = Ensemble((), None, 1.0, "nothing else was kept")
    assert alone.to_json()["sentence"] == "no ensemble: nothing else was kept"
    assert alone.to_json()["accepted"] is False
    assert alone.to_json()["gain"] is None
    assert alone.to_json().keys() == document.keys()

"""What is called chance is chance, and what is none is found."""

import json

import numpy as np
import pytest

from imgcls_ray.evaluation.drift import LEAST, fit_reference
from imgcls_ray.inference.reference import KINDS, Reference, Summary

CLASSES, FEATURES = 4, 24
MIX = np.array([0.4, 0.3, 0.2, 0.1])


def answered(rng: np.random.Generator, count: int, mix: np.ndarray = MIX, dark: float = 1.0) -> tuple[np.ndarray, ...]:
    """Probabilities (n, K) and skewed, correlated features (n, F) of pictures whose classes are drawn from `mix`."""
    labels = rng.choice(CLASSES, count, p=mix)
    centres = np.random.default_rng(5).normal(0, 1, (CLASSES, FEATURES))
    noise = rng.normal(0, 1, (count, FEATURES)) + rng.normal(0, 1, (count, 1))
    features = np.maximum(0, dark * (centres[labels] + noise))
    logits = 2 * np.eye(CLASSES)[labels] + rng.normal(0, 1, (count, CLASSES))
    powers = np.exp(dark * logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), features.astype(np.float32)


def summed(reference: Reference, probabilities: np.ndarray, features: np.ndarray) -> Summary:
    bins = reference.bins(probabilities.max(axis=1))
    return Summary(
        len(probabilities),
        np.bincount(probabilities.argmax(axis=1), minlength=CLASSES),
        np.bincount(bins, minlength=len(reference.confidence)),
        features.mean(axis=0),
        features.std(axis=0),
    )


@pytest.fixture(scope="module")
def reference() -> Reference:
    found = fit_reference(*answered(np.random.default_rng(0), 400))
    assert found
    return found


def exceeded(reference: Reference, count: int, seed: int, **otherwise: object) -> set[str]:
    now = summed(reference, *answered(np.random.default_rng(seed), count, **otherwise))  # type: ignore[arg-type]
    return {kind for kind, value in reference.distances(now).items() if value > reference.limit(kind, count)}


@pytest.mark.parametrize("count", [50, 200, 1000])
def test_pictures_like_the_held_out_ones_are_hardly_ever_told(reference: Reference, count: int) -> None:
    told = [exceeded(reference, count, seed) for seed in range(1, 201)]
    # One of a thousand is meant; the reference is one sample of 400, shared by all of these windows.
    assert {kind: sum(kind in one for one in told) <= 4 for kind in KINDS} == dict.fromkeys(KINDS, True)


def test_another_mix_of_classes_is_told(reference: Reference) -> None:
    told = [exceeded(reference, 200, seed, mix=np.array([0.1, 0.2, 0.3, 0.4])) for seed in range(20)]
    assert all("labels" in one for one in told)


def test_darker_pictures_are_told(reference: Reference) -> None:
    told = [exceeded(reference, 200, seed, dark=0.6) for seed in range(20)]
    assert all({"embedding", "confidence"} <= one for one in told)


def test_it_is_the_same_after_a_file(reference: Reference) -> None:
    assert Reference.from_json(json.loads(json.dumps(reference.to_json()))) == reference
    assert reference.pictures == sum(reference.labels) == sum(reference.confidence) == 400
    assert max(reference.confidence) <= 50  # tenths


def test_few_pictures_say_nothing() -> None:
    assert fit_reference(*answered(np.random.default_rng(0), LEAST - 1)) is None


def test_features_that_never_differ_are_left_out() -> None:
    probabilities, features = answered(np.random.default_rng(0), 50)
    found = fit_reference(probabilities, np.ones_like(features))
    assert found
    assert (found.mean, found.kinds, set(found.limits)) == ((), ("labels", "confidence"), {"labels", "confidence"})


@pytest.mark.parametrize(
    "change",
    [
        {"pictures": 0},
        {"labels": [1, 2]},
        {"labels": 3},
        {"edges": [0.5]},
        {"mean": [float("nan")] * FEATURES},
        {"deviation": [1.0]},
        {"deviation": [-1.0] * FEATURES},
        {"limits": {"labels": 1.0}},
        {"more": 1},
    ],
)
def test_what_does_not_fit_is_refused(reference: Reference, change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="reference statistics"):
        Reference.from_json(reference.to_json() | change)

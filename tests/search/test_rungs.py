import pytest

from imgcls_ray.search.rungs import Rung, describe, expected_epochs, grace_period, rungs


@pytest.mark.parametrize(("epochs", "grace"), [(1, 1), (2, 2), (10, 2), (15, 2), (20, 2), (30, 3), (100, 10)])
def test_the_grace_period_is_a_tenth_and_at_least_two(epochs: int, grace: int) -> None:
    assert grace_period(epochs) == grace


def test_the_rungs_are_those_of_the_scheduler() -> None:
    from imgcls_ray.search.scheduler import Asha

    for epochs in (1, 2, 5, 6, 15, 18, 30, 100):
        known = sorted(rung[0] for rung in Asha(epochs)._brackets[0]._rungs)
        assert [rung.epochs for rung in rungs(epochs)] == [epoch for epoch in known if epoch < epochs]


def test_half_go_on_at_each() -> None:
    assert rungs(15) == [Rung(2, 1.0), Rung(4, 0.5), Rung(8, 0.25)]
    # 2 epochs of all, 2 of a half, 4 of a quarter, 7 of an eighth.
    assert expected_epochs(15) == pytest.approx(2 + 2 / 2 + 4 / 4 + 7 / 8)
    assert expected_epochs(2) == 2


def test_the_table_is_one_line_with_the_worst_case() -> None:
    line = describe(15, 30)
    assert "of 30 trials about 15 after epoch 2, 8 after epoch 4, 4 after epoch 8" in line
    assert "about 146 epochs, at most 450 epochs" in line
    assert "stops no trial" in describe(2, 30)

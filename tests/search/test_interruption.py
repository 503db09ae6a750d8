import os
import pickle
import signal

import pytest

from imgcls_ray.search.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_one_is_as_before(number: signal.Signals) -> None:
    heard = []
    before = signal.signal(number, lambda *_: heard.append(number))
    try:
        with Interruption() as interruption:
            assert not interruption.requested
            os.kill(os.getpid(), number)
            assert interruption.requested
            assert not interruption.impatient
            assert heard == []
            os.kill(os.getpid(), number)
            assert heard == [number]
    finally:
        signal.signal(number, before)


def test_afterwards_the_handlers_are_what_they_were() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_tune_can_pickle_it() -> None:
    with Interruption() as interruption:
        interruption.request()
        assert pickle.loads(pickle.dumps(interruption)).requested  # noqa: S301 - our own object

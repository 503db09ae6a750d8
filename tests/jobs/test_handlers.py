"""Whose handlers get a signal while Ray is used."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from imgcls_ray.jobs.handlers import Handlers


@pytest.fixture
def sigterm() -> Iterator[None]:
    """SIGTERM as a program finds it, and afterwards as the tests had it."""
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def test_sigterm_is_ctrl_c_meanwhile(sigterm: None) -> None:
    with Handlers() as handlers:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as Ray does
        handlers.put_back()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_handler_of_the_program_stays(sigterm: None) -> None:
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with Handlers() as handlers:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        handlers.put_back()
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM, signal.SIGTERM]


def test_other_threads_leave_handlers_alone(sigterm: None) -> None:
    def enter() -> str:
        with Handlers() as handlers:
            handlers.put_back()
            return str(signal.getsignal(signal.SIGTERM))

    with ThreadPoolExecutor() as pool:
        answer: Future[str] = pool.submit(enter)
        assert answer.result() == str(signal.SIG_DFL)

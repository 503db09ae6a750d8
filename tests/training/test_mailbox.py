"""Commands reach every worker in order; an error or the run's end is told to whoever waits."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from imgcls_ray.training.mailbox import RUN, Answer, Command, Mailbox


def run(talk: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(talk, 5))


def test_answers_come_in_the_order_of_the_ranks() -> None:
    async def talk() -> list[Answer]:
        mailbox = Mailbox(2)
        question = asyncio.create_task(mailbox.ask(None))
        await mailbox.answer(0, Answer(1, "b"))
        assert not question.done()
        await mailbox.answer(0, Answer(0, "a"))
        return await question

    assert [answer.result for answer in run(talk())] == ["a", "b"]


def test_each_worker_gets_each_command_once_and_waits_for_the_next() -> None:
    async def talk() -> Command:
        mailbox = Mailbox(1)
        waiting = asyncio.create_task(mailbox.tell(1))
        await asyncio.sleep(0)
        assert not waiting.done()
        asking = asyncio.create_task(mailbox.ask(Command("train_epoch")))
        command = await waiting
        await mailbox.answer(1, Answer(0))
        await asking
        return command

    assert run(talk()).verb == "train_epoch"


def test_the_first_error_ends_the_wait() -> None:
    async def talk() -> list[Answer]:
        mailbox = Mailbox(2)
        question = asyncio.create_task(mailbox.ask(Command("save")))
        await asyncio.sleep(0)
        await mailbox.answer(1, Answer(1, error="no space"))
        return await question

    assert run(talk()) == [Answer(1, error="no space")]


def test_the_end_of_the_run_ends_the_wait_and_is_remembered() -> None:
    async def talk() -> tuple[list[Answer], Answer]:
        mailbox, end = Mailbox(2), Answer(RUN, error="worker 0: its process died")
        question = asyncio.create_task(mailbox.ask(Command("train_epoch")))
        await asyncio.sleep(0)
        await mailbox.end(end)
        return await question, await mailbox.ended()

    answers, end = run(talk())
    assert answers == [end]

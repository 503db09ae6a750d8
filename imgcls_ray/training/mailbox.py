"""Where a gang's owner leaves its commands and the workers their answers."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

Verb = Literal["join", "start_trial", "train_epoch", "save", "save_weights", "load", "end_trial", "stop"]


RUN, NO_START = -1, -2
"""In the place of a rank: the run itself has ended; it has ended without workers."""


@dataclass(frozen=True)
class Command:
    """What every worker is to do next."""

    verb: Verb
    argument: Any = None
    """In a list, by reference: what is large, or needs imports that a mailbox has no use for, does not pass through."""


@dataclass(frozen=True)
class Answer:
    """What one worker (or the run) says of one command: its result, or in `error` why there is none."""

    rank: int
    result: Any = None
    error: str | None = None


class Mailbox:
    """An actor without CPUs. It dies with its owner, and by that the workers know that nobody needs them any more.

    Waiting costs nothing and a word arrives within milliseconds; Ray Train's own reports are read every other second.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._commands = [Command("join")]
        self._answers: list[dict[int, Answer]] = [{}]
        self._news = asyncio.Condition()
        self._end: Answer | None = None

    async def ask(self, command: Command | None = None) -> list[Answer]:
        """Give a command to all workers (None: wait for them to join). Answers by rank, or one error alone."""
        async with self._news:
            if command is not None:
                # Who asks again has all answers: what hangs on them, whole files of weights, is let go.
                self._commands[-1], self._answers[-1] = Command("join"), {}
                self._commands.append(command)
                self._answers.append({})
                self._news.notify_all()
            answers = self._answers[-1]
            await self._news.wait_for(lambda: len(answers) == self._workers or self._error(answers) is not None)
            if len(answers) == self._workers and all(answer.error is None for answer in answers.values()):
                return [answers[rank] for rank in range(self._workers)]
            error = self._error(answers)
            return [error] if error is not None else []

    async def tell(self, number: int) -> Command:
        """Command `number`, as soon as there is one; 1 is the first after joining."""
        async with self._news:
            await self._news.wait_for(lambda: len(self._commands) > number)
            return self._commands[number]

    async def answer(self, number: int, answer: Answer) -> None:
        """A worker's answer to command `number`."""
        async with self._news:
            self._answers[number][answer.rank] = answer
            self._news.notify_all()

    async def end(self, why: Answer) -> None:
        """The run has ended: whoever asks from now on is told why."""
        async with self._news:
            self._end = why
            self._news.notify_all()

    async def ended(self) -> Answer:
        """Why the run has ended, as soon as it has."""
        async with self._news:
            await self._news.wait_for(lambda: self._end is not None)
            return self._end or Answer(RUN)

    async def outlive(self) -> None:
        """Never returns: the call fails when the mailbox, and so the gang's owner, has died."""
        await asyncio.Event().wait()

    def _error(self, answers: dict[int, Answer]) -> Answer | None:
        failed = next((answer for answer in answers.values() if answer.error is not None), None)
        return failed or self._end

"""A gang's worker: it obeys one command after another until it is told to stop or its owner is gone."""

import contextlib
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray

from imgcls_ray import quiet
from imgcls_ray.errors import ImgclsError
from imgcls_ray.training.mailbox import Answer, Command

ORDERLY_SECONDS = 2.0
"""How long a worker without an owner may take to leave by itself."""
NEIGHBOUR_SECONDS = 2.0
"""How long a worker whose sums broke off stays: four of Ray Train's looks, which see a neighbour that died by then."""


def work(config: dict[str, Any]) -> None:
    """Ray Train's training function. `config`: `mailbox` (actor handle), `cpus` (threads for TensorFlow), `gpus`."""
    import ray.train

    mailbox, rank = config["mailbox"], ray.train.get_context().get_world_rank()
    threading.Thread(target=_leave_with_owner, args=(mailbox,), daemon=True).start()
    member: Member | None = None
    number, command = 0, Command("join")
    while command.verb != "stop":
        try:
            if member is None:
                member = Member(config["cpus"], config["gpus"])
                answer = Answer(rank, {"rank": member.rank, "pid": os.getpid()})
            else:
                answer = Answer(rank, member.obey(command))
        except Exception as error:
            ray.get(mailbox.answer.remote(number, Answer(rank, error=_first_line(error))))
            if not isinstance(error, ImgclsError):
                time.sleep(NEIGHBOUR_SECONDS)
            raise
        ray.get(mailbox.answer.remote(number, answer))
        number += 1
        command = ray.get(mailbox.tell.remote(number))
    ray.get(mailbox.answer.remote(number, Answer(rank)))


def _leave_with_owner(mailbox: Any) -> None:
    try:
        ray.get(mailbox.outlive.remote())
    except ray.exceptions.RayError:
        # A thread that waits for a command ends in good order by itself; one inside TensorFlow may stay for minutes,
        # and only the end of the process stops it.
        time.sleep(ORDERLY_SECONDS)
        os._exit(1)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return lines[0] if isinstance(error, ImgclsError) else f"{type(error).__name__}: {lines[0]}"


class Member:
    """This process's part of the gang. TensorFlow is loaded and the workers are joined here."""

    def __init__(self, cpus: float, gpus: float) -> None:
        with quiet.native_messages_hidden():
            import tensorflow as tf

            from imgcls_ray.inference.device import claim, without_gpus

            if not gpus:
                without_gpus()
            claim(cpus, training=True)
            import imgcls_ray.training.loop  # noqa: F401 - loads Keras, while messages are hidden
            from imgcls_ray.training.allreduce import RingAllReduce
            from imgcls_ray.training.runner import Solo

            tf.get_logger().setLevel("ERROR")
            reduce = RingAllReduce()
        self.rank = reduce.rank
        self._runner = Solo(reduce)

    def obey(self, command: Command) -> Any:
        """Do what is asked, and return what the owner is to know: metrics, or a file's bytes by reference."""
        match command.verb:
            case "start_trial":
                self._runner.start_trial(ray.get(command.argument[0]))
            case "train_epoch":
                metrics = self._runner.train_epoch()
                return {name: float(value) for name, value in metrics.items()} | {"weights_checksum": self._checksum()}
            case "save" | "save_weights":
                return self._file(command.verb) if self.rank == 0 else None
            case "load":
                with _temporary() as path:
                    path.write_bytes(ray.get(command.argument[0]))
                    self._runner.load(path)
            case "end_trial":
                self._runner.close()
        return None

    def _file(self, verb: str) -> list[Any]:
        """What `save` writes, as a reference in a list: the owner may live on another node than this worker."""
        with _temporary() as path:
            getattr(self._runner, verb)(path)
            return [ray.put(path.read_bytes())]

    def _checksum(self) -> float:
        """48 bits of the SHA-256 of all weights: as many as a float holds exactly."""
        digest = hashlib.sha256()
        for weight in self._runner.loop.weights():
            digest.update(weight.tobytes())
        return float(int.from_bytes(digest.digest()[:6], "big"))


@contextlib.contextmanager
def _temporary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="imgcls-gang-") as folder:
        yield Path(folder) / "state.npz"

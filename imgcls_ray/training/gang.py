"""A gang: workers that train one trial after another together, each on its share of every batch."""

import math
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import ray

from imgcls_ray.errors import ClusterError, TrainingError
from imgcls_ray.training.host import ENVIRONMENT, START_TIMEOUT, Host
from imgcls_ray.training.job import TrialJob
from imgcls_ray.training.mailbox import NO_START, RUN, Answer, Command, Mailbox
from imgcls_ray.training.runner import Runner

FAREWELL_SECONDS = 30.0
"""How long a run may take to end by itself."""
JOIN_SECONDS = 120.0
"""How long the workers may take to load TensorFlow and to find each other."""

TOO_LATE = Answer(RUN, error="the workers did not answer in time")


class Gang(Runner):
    """A Ray Train worker group that outlives its trials.

    The workers start with the first trial and stay until `close`. Where one fails, all are given up, the call raises
    TrainingError, and the next `start_trial` starts new ones. The group's resources come back in every case, also when
    the process that owns the gang is killed.
    """

    def __init__(
        self,
        workers: int,
        storage: Path,
        cpus_per_worker: float = 1,
        gpus_per_worker: float = 0,
        start_timeout: float = 180.0,
    ) -> None:
        """Check that the cluster can hold the gang; nothing is started yet. Ray must be initialised.

        Args:
            workers: How many, 2 or more.
            storage: Folder that all nodes see; Ray Train's notes are kept there while the gang runs.
            cpus_per_worker: CPUs of each, which are TensorFlow's threads too.
            gpus_per_worker: GPUs of each: 1 or 0.
            start_timeout: Seconds to wait at each start for the resources to come free.

        Raises:
            ClusterError: The nodes are too small or too few.
        """
        self.workers, self._timeout = workers, start_timeout
        self._storage = Path(storage).absolute()
        self._resources = {"CPU": float(cpus_per_worker)} | ({"GPU": float(gpus_per_worker)} if gpus_per_worker else {})
        self._folder = self._storage
        self._mailbox: Any = None
        self._host: Any = None
        self._run: Any = None
        self.pids: tuple[int, ...] = ()
        """The workers' process numbers by rank; empty while none run."""
        check_room(workers, self._resources)

    def start_trial(self, job: TrialJob) -> None:
        """Build the job's network on every worker, with the same weights.

        Raises:
            ClusterError: The workers did not start in time.
            TrainingError: A worker failed.
        """
        if self._mailbox is None:
            self._start()
        self._ask(Command("start_trial", [ray.put(job)]))

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch on all workers.

        Returns:
            The metrics of `Loop.train_epoch`, over all workers, and `weights_checksum` (an integer below 2^48).

        Raises:
            TrainingError: A worker failed, or the workers' weights have come apart.
        """
        answers = self._ask(Command("train_epoch"))
        sums = {answer.result["weights_checksum"] for answer in answers}
        if len(sums) > 1:
            self._give_up()
            raise TrainingError(
                f"After each epoch all workers must hold the same weights, but {self.workers} workers hold {len(sums)} "
                "different sets; the trial was given up, please report the settings it ran with."
            )
        metrics: dict[str, float] = answers[0].result
        return metrics

    def save(self, path: Path) -> None:
        """Write what `load` needs to go on after this epoch, from rank 0, as a file on the caller's node."""
        self._fetch(Command("save"), path)

    def save_weights(self, path: Path) -> None:
        """Write the network's weights alone, from rank 0, as a file on the caller's node."""
        self._fetch(Command("save_weights"), path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same job, on every worker."""
        self._ask(Command("load", [ray.put(path.read_bytes())]))

    def end_trial(self) -> None:
        """Drop the current network; the workers wait for the next trial."""
        if self._mailbox is not None:
            self._ask(Command("end_trial"))

    def close(self) -> None:
        """End the run and give all its resources back. May be called twice; `start_trial` would start anew."""
        if self._mailbox is not None:
            self._mailbox.ask.remote(Command("stop"))
            self._give_up()

    def _start(self) -> None:
        check_room(self.workers, self._resources)
        self._folder = self._storage / f"gang-{uuid.uuid4().hex[:12]}"
        self._storage.mkdir(parents=True, exist_ok=True)
        # DEFAULT keeps both out of the placement group of a Tune trial, which would take them along when it goes.
        plain = {"num_cpus": 0, "scheduling_strategy": "DEFAULT"}
        environment = {"env_vars": ENVIRONMENT | {START_TIMEOUT: str(self._timeout)}}
        self._mailbox = ray.remote(Mailbox).options(max_concurrency=2 * self.workers + 8, **plain).remote(self.workers)
        self._host = (
            ray.remote(Host).options(lifetime="detached", runtime_env=environment, **plain).remote(self._mailbox)
        )
        self._run = self._host.run.remote(self.workers, self._resources, self._folder)
        self.pids = tuple(answer.result["pid"] for answer in self._ask(None, self._timeout + JOIN_SECONDS))

    def _ask(self, command: Command | None, timeout: float | None = None) -> list[Answer]:
        """Give a command (None: wait for the workers to join) and wait for all answers, or for the run's end."""
        if self._mailbox is None:
            raise RuntimeError("start_trial comes first")
        question = self._mailbox.ask.remote(command)
        done, _ = ray.wait([question, self._run], timeout=timeout)
        patience = FAREWELL_SECONDS if done else 0
        try:
            answers = ray.get(question) if question in done else [self._end() if done else TOO_LATE]
        except ray.exceptions.RayError as error:
            answers = [Answer(RUN, error=f"the gang's mailbox is gone ({_line(error)})")]
            patience = 0
        if answers[0].error is None:
            return answers
        end = self._give_up(patience)
        if NO_START in (answers[0].rank, end.rank):
            raise ClusterError(
                f"A trial needs {_need(self.workers, self._resources)}, free within {self._timeout:g} s; they were "
                f"not: wait for what else runs on the cluster, or ask for fewer workers or trials at once."
            )
        raise TrainingError(
            f"Every worker of a trial must go through to its end, but {_why(answers[0], end)}; the next trial starts "
            "new workers."
        )

    def _end(self) -> Answer:
        """Why the run has ended."""
        try:
            end: Answer = ray.get(self._mailbox.ended.remote(), timeout=5)
        except ray.exceptions.RayError as error:
            end = Answer(RUN, error=f"the gang's host is gone ({_line(error)})")
        return end

    def _give_up(self, patience: float = FAREWELL_SECONDS) -> Answer:
        """Wait for the run's end and forget it; a run that does not end by itself loses its mailbox, which ends it."""
        done, _ = ray.wait([self._run], timeout=patience)
        end = self._end() if done else TOO_LATE
        ray.kill(self._mailbox)
        if not done:
            ray.wait([self._run], timeout=FAREWELL_SECONDS)
        self._mailbox = self._host = self._run = None
        self.pids = ()
        shutil.rmtree(self._folder, ignore_errors=True)
        return end

    def _fetch(self, command: Command, path: Path) -> None:
        """Put a file of rank 0 at `path`, under a temporary name first."""
        data = ray.get(self._ask(command)[0].result[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def check_room(workers: int, resources: dict[str, float]) -> None:
    """Check that the cluster's nodes, empty, hold `workers` workers; each stays on one node.

    Raises:
        ClusterError: They do not, with the arithmetic.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    held = sum(
        min(math.floor(node.get(name, 0) / amount + 1e-9) for name, amount in resources.items()) for node in nodes
    )
    if held < workers:
        have = "; ".join(", ".join(f"{node.get(name, 0):g} {name}" for name in resources) for node in nodes)
        raise ClusterError(
            f"{workers} workers need {_need(workers, resources)}, each worker on one node; the cluster's nodes have "
            f"{have}, room for {held}: ask for fewer workers, or add nodes."
        )


def _need(workers: int, resources: dict[str, float]) -> str:
    return ", ".join(f"{workers} x {amount:g} = {workers * amount:g} {name}" for name, amount in resources.items())


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def _why(answer: Answer, end: Answer) -> str:
    """The cause: a worker that died, rather than what the others say of it."""
    if "died" in str(end.error):
        return str(end.error)
    where = f"worker {answer.rank}: " if answer.rank >= 0 else ""
    return f"{where}{answer.error}".rstrip(".")

"""Who runs a gang's Ray Train run, and sees it through to its end."""

import contextlib
import os
import threading
from pathlib import Path
from typing import Any

import ray

from imgcls_ray.training.mailbox import NO_START, RUN, Answer

ENVIRONMENT = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # 2 by default: the time a dead worker goes unseen
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean the same everywhere
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # one process less; a lost node ends the gang all the same
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
"""Set in this actor and its workers alone; nobody else's environment is touched."""

START_TIMEOUT = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"
"""Ray Train's name for the seconds that a run waits for its resources."""

DIED = "its process died"
"""What is said of a worker that was killed."""

CALL_SECONDS = 10.0
"""How long a call of `run` may be on its way."""


class Host:
    """A detached actor without CPUs: `run` starts the workers, waits for the run's end, gives all back, and leaves.

    It outlives the gang's owner on purpose. Ray Train frees its placement group only when its controller ends in good
    order; a controller that dies with a killed or stopped trial keeps the group's CPUs for good unless Ray's dashboard
    runs (https://github.com/ray-project/ray/issues/54305). When the owner dies the workers see it and leave, the run
    fails, and its controller, alive in this actor's keeping, cleans up.
    """

    def __init__(self, mailbox: Any) -> None:
        self._mailbox, self._called = mailbox, threading.Event()
        threading.Thread(target=self._leave_uncalled, daemon=True).start()

    def _leave_uncalled(self) -> None:
        """An owner that dies before its call of `run` is on the way must not leave this actor behind."""
        try:
            ray.get(self._mailbox.outlive.remote())
        except ray.exceptions.RayError:
            if not self._called.wait(CALL_SECONDS):
                os._exit(0)

    def run(self, workers: int, resources: dict[str, float], folder: Path) -> None:
        """Run the gang to its end, leave the reason in the mailbox and end this actor.

        `resources` are each worker's CPU and GPU; `folder` is where Ray Train keeps its notes of this run.
        """
        self._called.set()
        from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig

        from imgcls_ray.training.backend import ClusterBackendConfig
        from imgcls_ray.training.member import work

        trainer = _trainer_class()(
            work,
            train_loop_config={"mailbox": self._mailbox, "cpus": resources["CPU"], "gpus": resources.get("GPU", 0)},
            backend_config=ClusterBackendConfig(),
            scaling_config=ScalingConfig(
                num_workers=workers, use_gpu="GPU" in resources, resources_per_worker=resources
            ),
            run_config=RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                # No second try: the trial is lost with its workers, and the gang's owner decides what comes next.
                failure_config=FailureConfig(max_failures=0, controller_failure_limit=0, max_preemption_failures=0),
                worker_runtime_env={"env_vars": ENVIRONMENT},
                logging_config=LoggingConfig(log_level="CRITICAL"),
            ),
        )
        end = Answer(RUN, error="it was told to stop")
        try:
            trainer.fit()
        except Exception as error:  # noqa: BLE001 - it is told to the owner, and this actor must end in any case
            end = _verdict(error)
        # A mailbox that is gone means that nobody is left who wants to know.
        with contextlib.suppress(ray.exceptions.RayError):
            ray.get(self._mailbox.end.remote(end))
        ray.actor.exit_actor()


def _trainer_class() -> type[Any]:
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    class GangTrainer(DataParallelTrainer):
        """Without Ray Train's own cleaner: this actor does its work, and it writes a warning every second and stays
        for good where the dashboard is off. A Ray that has no such hook starts the cleaner, and nothing else changes.
        """

        def _create_default_callbacks(self) -> list[Any]:
            callbacks = super()._create_default_callbacks()
            return [each for each in callbacks if type(each).__name__ != "PlacementGroupCleanerCallback"]

    return GangTrainer


def _verdict(error: Exception) -> Answer:
    """Why a run failed, in a line."""
    from ray.train import ControllerError, WorkerGroupError

    if isinstance(error, WorkerGroupError):
        return Answer(RUN, error="; ".join(f"worker {rank}: {_line(e)}" for rank, e in error.worker_failures.items()))
    if isinstance(error, ControllerError):
        cause = error.controller_failure
        return Answer(NO_START if type(cause).__name__ == "WorkerGroupStartupTimeoutError" else RUN, error=_line(cause))
    return Answer(RUN, error=_line(error))


def _line(failure: Exception) -> str:
    if type(failure).__name__ == "WorkerHealthCheckFailedError":
        return DIED
    lines = str(failure).strip().splitlines()
    return lines[-1] if lines else type(failure).__name__

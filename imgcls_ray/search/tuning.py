"""Tune, as a study uses it: warm actors, our sampler and scheduler, none of its own output and state."""

import logging
import os
import time

from ray import tune
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.stopper import Stopper

from imgcls_ray.search.interruption import Interruption
from imgcls_ray.search.resources import TrialResources
from imgcls_ray.search.sampler import OptunaSampler
from imgcls_ray.search.trainable import LIVES, TrialContext, TrialTrainable


def run_tune(
    trainable: type[TrialTrainable],
    context: TrialContext,
    share: TrialResources,
    sampler: OptunaSampler,
    scheduler: TrialScheduler,
    stopper: Stopper,
) -> None:
    """Run the trials that `sampler` gives out, each with its share of the cluster, until it has no more."""
    # Tune's own reporter and warnings would drown ours; the listener tells everything.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    # Its handler of Ctrl-C would wait for running epochs for as long as they take; see `Interruption`.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    # One pending trial, Tune's default, is too few for `Asha.choose_trial_to_run`; the sampler is the bound.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(share.concurrency)
    # The trial that drives a gang takes no CPU: its workers do.
    # (A placement group must ask for something: one byte.)
    own = {"CPU": 0, "memory": 1} if share.workers > 1 else {"CPU": share.cpus, "GPU": share.gpus}
    shared = tune.with_resources(
        tune.with_parameters(trainable, context=context),
        PlacementGroupFactory([{name: float(amount) for name, amount in own.items() if amount or name == "CPU"}]),
    )
    tuner = tune.Tuner(
        shared,
        tune_config=tune.TuneConfig(
            search_alg=sampler,
            scheduler=scheduler,
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            # A folder of its own for each start: Tune's state is not what a study is taken up from.
            name=f"tune-{int(time.time())}",
            storage_path=str(context.folder.resolve()),
            verbose=0,
            stop=stopper,
            failure_config=tune.FailureConfig(max_failures=LIVES),
        ),
    )
    tuner.fit()


def _trial_name(trial: Trial) -> str:
    return f"trial-{trial.config['number']:04}"


class End(Stopper):
    """Ends every trial at its next epoch once time is over or Ctrl-C came; epochs that take too long, at once."""

    def __init__(self, deadline: float, interruption: Interruption) -> None:
        self._deadline, self._interruption = deadline, interruption

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:  # noqa: ARG002 - Tune's signature
        return self._interruption.requested or time.monotonic() > self._deadline

    def stop_all(self) -> bool:
        return self._interruption.impatient

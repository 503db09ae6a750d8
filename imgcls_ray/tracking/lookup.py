"""From the id of a trial's run in MLflow back to the trial."""

from pathlib import Path

from imgcls_ray.errors import SettingsError
from imgcls_ray.search.listener import TRIAL_FORMS
from imgcls_ray.tracking.client import connect, quiet, told
from imgcls_ray.tracking.location import hide, resolve_uri
from imgcls_ray.tracking.record import PARENT, STUDY, TRIAL


def trial_of(run: str, storage: Path, uri: str | None = None) -> str:
    """`STUDY/NUMBER` of the trial that the run with this id records.

    Raises:
        SettingsError: there is no such run, or it is no trial's.
        ClusterError, StorageError: MLflow does not answer, or nothing is recorded yet.
    """
    from mlflow.exceptions import MlflowException

    address = resolve_uri(storage, uri)
    client = connect(address, create=False)
    with told(address), quiet():
        try:
            tags = client.get_run(run).data.tags
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise SettingsError(f"There is no run '{run}' at {hide(address)}: {TRIAL_FORMS}.") from error
        if TRIAL not in tags or PARENT not in tags:
            raise SettingsError(f"The run '{run}' at {hide(address)} is no trial's: {TRIAL_FORMS}.")
        study = client.get_run(tags[PARENT]).data.tags[STUDY]
    return f"{study}/{tags[TRIAL]}"

"""The way to MLflow: import it, open the store, hand out a client. Nothing else in the project imports it."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls_ray.config.saving import without_users
from imgcls_ray.errors import ClusterError, ImgclsError, SettingsError, StorageError
from imgcls_ray.tracking.location import ARTIFACTS, check_reachable, hide, is_server, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "imgcls"
"""All studies are runs of this one MLflow experiment, so that they can be compared."""


def connect(uri: str, *, create: bool = True, retries: int = 1) -> "MlflowClient":
    """A client of the resolved address `uri`; it changes no setting of MLflow that other code would see.

    A SQLite database is created here (1 to 2 seconds) and not by the first of many writers. With `create=False` a
    missing one is an error and nothing is written. `retries` is how often MLflow itself asks a server again.

    Raises:
        StorageError: the SQLite file is missing, can't be written or is no MLflow database.
        ClusterError: the server or database does not answer.
        SettingsError: the database's driver is not installed.
    """
    file = sqlite_file(uri)
    if file and not file.exists():
        if not create:
            raise StorageError(
                f"Nothing is recorded at {file}; `imgcls run DATA` records there, --storage names its root."
            )
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"MLflow's database can't be created at {file}: {error.strerror}.") from error
    check_reachable(uri)
    prepare_environment(uri, retries)
    with told(uri), quiet(), _alone(file if create else None):
        from mlflow import MlflowClient

        if not is_server(uri):
            _open_once(uri)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)  # opens the store; a new database gets its tables here
    return client


@contextmanager
def _alone(file: Path | None) -> Iterator[None]:
    """One process at a time opens the database `file`: two that make its tables at once both fail, lock of MLflow or
    not. The lock is a file beside it, let go by the system when a process ends."""
    if file is None:
        yield
        return
    try:
        lock = file.with_name(f".{file.name}.lock").open("a")
    except OSError as error:
        raise StorageError(f"MLflow's database can't be written at {file}: {error.strerror}.") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def experiment_id(client: "MlflowClient", uri: str, storage: Path) -> str:
    """The id of our experiment, made when it is missing: artifacts lie under `storage`, or where a server keeps them.

    Raises:
        ClusterError, StorageError: as `connect`.
    """
    from mlflow.exceptions import MlflowException

    with told(uri):
        known = client.get_experiment_by_name(EXPERIMENT)
        if known is not None:
            if known.lifecycle_stage == "deleted":
                client.restore_experiment(known.experiment_id)
            return str(known.experiment_id)
        place = None if is_server(uri) else str(storage.absolute() / ARTIFACTS)
        # Without this tag the UI opens on its pages for language models.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        try:
            return str(client.create_experiment(EXPERIMENT, artifact_location=place, tags=tags))
        except MlflowException:
            made = client.get_experiment_by_name(EXPERIMENT)  # by another study that began at the same time
            if made is None:
                raise
            return str(made.experiment_id)


def _open_once(uri: str) -> None:
    """Open the database and list its tables: MLflow would try ten times over 100 seconds before it told why not."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    try:
        with engine.connect() as connection:
            sqlalchemy.inspect(connection).get_table_names()
    finally:
        engine.dispose()


def prepare_environment(uri: str, retries: int = 1) -> dict[str, str]:
    """Settings MLflow takes from the environment only, put there unless the user did: what was set is returned."""
    wanted = {
        "MLFLOW_DISABLE_TELEMETRY": "true",  # MLflow reports its use to its makers otherwise
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines per run, on the standard output of --json
    }
    if is_server(uri):
        # By default one call to a dead server tries 7 times over minutes; who needs patience here has their own.
        wanted |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries), "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
    return {name: os.environ.setdefault(name, value) for name, value in wanted.items()}


@contextmanager
def told(uri: str) -> Iterator[None]:
    """Turn what MLflow and SQLAlchemy raise into one sentence about `uri`."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ImgclsError:
        raise
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{hide(uri)} needs the Python package {error.name}, which is not installed: `pip install` a driver for it."
        ) from error
    except (MlflowException, SQLAlchemyError) as error:
        kind: Any = StorageError if sqlite_file(uri) else ClusterError
        raise kind(f"MLflow can't use {hide(uri)}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first sentence of a library's message, without passwords: the rest is a traceback or SQL."""
    text = str(without_users(str(error))).strip().splitlines()
    return (text[0] if text else type(error).__name__).strip()[:300]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the lines of MLflow and its libraries off the user's terminal: what goes wrong is raised as well."""
    import mlflow  # noqa: F401 - sets its loggers' levels while it is imported

    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic", "urllib3.connectionpool")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)

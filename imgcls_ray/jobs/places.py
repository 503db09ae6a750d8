"""Which places a job may name."""

from pathlib import Path

from imgcls_ray.errors import SettingsError
from imgcls_ray.jobs.connection import inside_job


def check_absolute(name: str, given: str | Path | None, way: str = "write it out") -> None:
    """Inside a job, `given` must be an absolute path or an address; elsewhere anything will do.

    A job's own folder is a copy that Ray makes and deletes: data is not read from there, and no result is kept. `name`
    is what is to be there, for the message, and `way` how to mend it. None is no place.

    Raises:
        SettingsError: it is relative, or None.
    """
    text = str(given or "")
    if not inside_job() or "://" in text or Path(text).expanduser().is_absolute():
        return
    raise SettingsError(
        f"Inside a Ray job the {name} must be named as an absolute path that every node sees; received "
        f"{'none' if given is None else repr(text)}: {way}."
    )

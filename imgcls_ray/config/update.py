"""The settings of an update."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from imgcls_ray.config.base import Settings
from imgcls_ray.config.gates import GateSettings
from imgcls_ray.config.settings import parse_duration


class UpdateSettings(Settings):
    """What `imgcls update` is told; all else is as in the study that it goes on from."""

    data: str
    storage: str = "./imgcls-runs"
    continue_from: str | None = None
    """The study that it goes on from; by default the newest finished one of this data."""
    trials: int = Field(8, ge=1, le=100_000)
    """The defaults, the best three of before, and the rest new."""
    time_budget: Annotated[float, BeforeValidator(parse_duration)] | None = None
    """Seconds of the search."""
    concurrency: int | None = Field(None, ge=1, le=1024)
    """Trials at once; by default as in the study before."""
    address: str | None = None
    """Ray cluster to join; by default RAY_ADDRESS, else a local Ray is started."""
    tracking_uri: str | None = None
    """By default that of the study before."""
    promote: bool = True
    """Whether the new model takes the champion's place when it passes the gates."""
    gates: GateSettings = GateSettings()

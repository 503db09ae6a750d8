"""The settings of the REST service."""

from pydantic import Field

from imgcls_ray.config import Settings


class ServeSettings(Settings):
    """What is served and within which limits. Also the arguments of `serve.deployment:build`."""

    model: str
    """A bundle's folder, or `models:/NAME@ALIAS` or `models:/NAME/VERSION`."""
    storage: str = "./imgcls-runs"
    """Where the model registry's database lies; not used when `model` is a folder."""
    tracking_uri: str | None = None
    """An MLflow server or database instead of the one under `storage`."""
    cpus: int = Field(default=1, ge=1, le=256)
    """CPUs of a replica: what it reserves from Ray, and how many threads TensorFlow gets for one prediction."""
    gpus: float = Field(default=0, ge=0, le=64)
    """GPUs of a replica."""
    max_body_bytes: int = Field(default=10_000_000, ge=1_000)
    """A request's body above this is refused with 413, before or while it is read."""
    max_pixels: int = Field(default=50_000_000, ge=64)
    """Width x height above which a picture is refused with 413 before it is decoded."""
    max_waiting: int = Field(default=64, ge=1, le=10_000)
    """Requests in work or waiting in a replica; the next is refused with 503. It bounds memory too."""

"""The settings of the REST service."""

from pydantic import Field

from imgcls_ray.config import Settings


class ServeSettings(Settings):
    """What is served and within which limits. Also the arguments of `serve.deployment:build`."""

    model: str
    """A bundle's folder, or `models:/NAME@ALIAS` or `models:/NAME/VERSION`."""
    version: str | None = None
    """What answers call the model's version; by default its number in the registry."""
    follow_seconds: float = Field(default=10, ge=0, le=86_400)
    """How often replicas look where the alias in `model` is now; 0: never."""
    canary: str | None = None
    """Another bundle, alias or version, written as `model`, that answers a share of the requests."""
    canary_weight: float = Field(default=0.1, ge=0, le=1)
    """That share. A request's id decides, so the same id gets the same version."""
    shadow: str | None = None
    """Another one that is asked too, unheard, and compared in the figures."""
    shadow_share: float = Field(default=1.0, ge=0, le=1)
    """Share of the requests that it is asked."""
    storage: str = "./imgcls-runs"
    """Where the model registry's database lies; not used when `model` is a folder."""
    tracking_uri: str | None = None
    """An MLflow server or database instead of the one under `storage`."""
    cpus: int = Field(default=1, ge=1, le=256)
    """CPUs of a replica: what it reserves from Ray, and how many threads TensorFlow gets for one prediction."""
    gpus: float = Field(default=0, ge=0, le=64)
    """GPUs of a replica."""
    min_replicas: int = Field(default=1, ge=1, le=1_000)
    """Replicas that are always there."""
    max_replicas: int = Field(default=1, ge=1, le=1_000)
    """Replicas that a load may start; each reserves `cpus` and `gpus`."""
    max_body_bytes: int = Field(default=10_000_000, ge=1_000)
    """A request's body above this is refused with 413, before or while it is read."""
    max_pixels: int = Field(default=50_000_000, ge=64)
    """Width x height above which a picture is refused with 413 before it is decoded."""
    max_pictures: int = Field(default=32, ge=1, le=1_000)
    """Pictures in one request; with more it is refused with 422."""
    allow_urls: bool = False
    """Whether JSON may name a picture by its `url`, which a replica then fetches: https from public addresses only."""
    url_seconds: float = Field(default=10, gt=0, le=60)
    """From looking up the host's name to the last byte; after that the request is refused with 504."""
    explain: bool = True
    """Whether heat maps are drawn, by a process of its own that starts with the first request for one."""
    max_waiting: int = Field(default=64, ge=1, le=10_000)
    """Requests in work or waiting in a replica; the next is refused with 503. It bounds memory too."""
    auth: bool = False
    """Whether a request needs an API key. The keys are never settings: those show in Ray's dashboard."""
    api_keys: str | None = None
    """A file with a key a line, on each node; by default the keys are in IMGCLS_API_KEYS."""
    rate_limit: float | None = Field(default=None, gt=0)
    """Requests a second that a replica answers for each key, or each address without keys; others get 429."""
    cors: tuple[str, ...] = ()
    """Origins (`https://example.org`, or `*`) whose pages may ask from a browser."""
    drift_window: int = Field(default=1_000, ge=50, le=100_000)
    """Newest pictures that GET /drift compares with the bundle's reference statistics, in each replica."""
    keep: str | None = None
    """A folder on the replica's node that keeps answered pictures with a table to label them in; none by default."""
    keep_share: float = Field(default=1.0, gt=0, le=1)
    """Share of the answered pictures that is kept, drawn by chance."""
    keep_unsure: bool = False
    """Whether only those are kept whose answer is `unsure`."""
    keep_pictures: int = Field(default=10_000, ge=1, le=10_000_000)
    """Pictures in that folder above which no more are kept."""
    keep_megabytes: int = Field(default=1_000, ge=1)
    """The same in 10^6 bytes."""
    request_log: str | None = None
    """A file on the replica's node that gets a line of JSON for each request; none by default."""

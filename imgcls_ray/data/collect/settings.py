"""The settings of collecting."""

from typing import Annotated

from pydantic import AfterValidator, Field

from imgcls_ray.config.base import Settings

OPENVERSE = "https://api.openverse.org/v1/images/"
"""Openverse's image search."""


def _printable(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError(
            f"it goes into the User-Agent header, so it is plain ASCII without line ends; received {text!r}"
        )
    return text


class CollectSettings(Settings):
    """How politely and how much is fetched."""

    contact: Annotated[str, AfterValidator(_printable)] | None = None
    """A mail address or page by which a server's owner reaches you; part of the User-Agent."""
    rate: float = Field(2.0, gt=0, le=100)
    """Requests a second at most, to each host."""
    threads: int = Field(4, ge=1, le=32)
    """Downloads at once, over all hosts."""
    timeout: float = Field(60.0, gt=0, le=3600)
    """Seconds that one request may take in all, redirects and the whole picture included."""
    retries: int = Field(3, ge=0, le=10)
    """How often a request is repeated after 429, 5xx, a cut or a time-out."""
    max_wait: float = Field(120.0, ge=0, le=3600)
    """Seconds that a server may ask us to wait (Retry-After); one that asks for more is left alone in this run."""
    max_mb: float = Field(20.0, gt=0, le=1000)
    """Bytes of one picture, in 10^6, above which it is refused."""
    max_pixels: int = Field(50_000_000, ge=64)
    """Width x height above which a picture is refused before it is decoded."""
    min_side: int = Field(16, ge=1)
    """Pixels that each side has at least: smaller ones are icons and counters of visits."""
    max_redirects: int = Field(5, ge=0, le=20)
    allow_private: bool = False
    """Whether addresses of this machine and its network may be asked; else a list could reach what only you can."""

"""How a request ends badly."""

from enum import Enum

from imgcls_ray.errors import ImgclsError


class Again(Enum):
    """When it makes sense to ask again."""

    NOW = "now"
    """The server or the network may do better in a moment."""
    LATER = "later"
    """In another run, perhaps with other settings."""
    NEVER = "never"
    """The answer will be the same."""


class FetchError(ImgclsError):
    """An address gave no usable picture. Before " (" the reason is the cause that is counted."""

    def __init__(self, reason: str, again: Again, wait: float | None = None) -> None:
        """`wait`: the seconds that the server asked for."""
        super().__init__(f"The address can't be fetched: {reason}.")
        self.reason = reason
        self.again = again
        self.wait = wait


class Stopped(ImgclsError):
    """The run is ending, so nothing more is asked."""

"""Requests that are refused."""

from imgcls_ray.errors import InputError


class RequestRefused(InputError):
    """A request breaks a rule; `http_status` is the answer's status, the message its sentence."""

    def __init__(self, http_status: int, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status


def too_large(max_bytes: int) -> RequestRefused:
    """The refusal of a body of more than `max_bytes` bytes."""
    return RequestRefused(413, f"The request's body may have at most {max_bytes:,} bytes; send a smaller picture.")


def too_slow(received: int) -> RequestRefused:
    """The refusal of a body that did not come in time."""
    return RequestRefused(408, f"The request's body came too slowly: {received:,} bytes are here; send it again.")

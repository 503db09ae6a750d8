"""Whether a Ray cluster answers, told within seconds."""

from imgcls_ray.errors import ClusterError

SECONDS = 5.0
"""How long the head may take to answer."""

_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"


def check_reachable(address: str) -> None:
    """Ask the head at `address` (HOST:PORT) whether it is alive and takes our token.

    `ray.init` itself tries for 20 seconds with a wrong token and for minutes where nothing answers, with lines of its
    own on the terminal. `auto` (the cluster that runs on this machine) is left to Ray, which knows at once.

    Raises:
        ClusterError: no address of a head, nothing answers as Ray does, or the cluster asks for its token.
    """
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if "://" in address or not (host and colon and port.isdecimal() and int(port) < 1 << 16):
        raise ClusterError(
            f"The address of a Ray cluster is its head's HOST:PORT, as 'ray start --head' prints it; received "
            f"'{address}': give that with --address or RAY_ADDRESS, or hand the command to 'ray job submit'."
        )
    import grpc  # type: ignore[import-untyped]
    from ray._private.grpc_utils import init_grpc_channel

    # Ray's own connections take no proxy either.
    with init_grpc_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(_ALIVE)(b"", timeout=SECONDS)
        except grpc.RpcError as error:
            raise _told(address, error.code().name) from error


def _told(address: str, status: str) -> ClusterError:
    if status == "UNAUTHENTICATED":
        return ClusterError(
            f"The Ray cluster at '{address}' asks for its token: set RAY_AUTH_MODE=token, and have the head's "
            "~/.ray/auth_token on this machine."
        )
    why = {
        "UNAVAILABLE": "nothing answers there",
        "DEADLINE_EXCEEDED": f"no answer within {SECONDS:g} seconds",
    }.get(status, "what answers there is no head of a Ray cluster")
    return ClusterError(
        f"The Ray cluster at '{address}' can't be reached ({why}): give the HOST:PORT that 'ray start --head' printed, "
        "or leave --address and RAY_ADDRESS out for a local Ray."
    )

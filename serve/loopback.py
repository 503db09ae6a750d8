"""Keeping a local service off the network."""

import ipaddress
from typing import Any


def keep_replica_on_loopback() -> None:
    """On a node whose address is loopback, let this replica's gRPC port be bound there. Call it in the constructor.

    Serve 2.60 binds that port to all interfaces whatever the node's address is (`Replica._on_initialized`) and has no
    setting for it; what arrives there is unpickled. On a real cluster the port must be reachable, so nothing changes.
    """
    import ray
    from ray.serve._private import replica

    address = ray.util.get_node_ip_address()
    if not ipaddress.ip_address(address).is_loopback:
        return
    bind = replica.add_port_to_grpc_server

    def on_loopback(server: Any, target: str) -> int:
        return int(bind(server, target.replace("[::]", address)))

    replica.add_port_to_grpc_server = on_loopback

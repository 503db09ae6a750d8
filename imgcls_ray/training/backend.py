"""The Ray Train backend of this project: it tells TensorFlow who the workers are, and nothing else.

Ray's own `TensorflowConfig` also sets TF_USE_LEGACY_KERAS, which puts Keras 2 in the place of Keras 3.
"""

import json
import os
import socket
from dataclasses import dataclass
from typing import Any

import ray
from ray.train.backend import Backend, BackendConfig


class ClusterBackend(Backend):
    """Gives every worker the TF_CONFIG that `tf.distribute` reads."""

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:  # noqa: ARG002 - Ray's signature
        """Called once all workers are there and before the training function starts in them."""
        addresses = worker_group.execute(_address)
        ray.get(
            [worker_group.execute_single_async(rank, _set_tf_config, addresses, rank) for rank in range(len(addresses))]
        )


@dataclass
class ClusterBackendConfig(BackendConfig):
    """Chooses `ClusterBackend`; there is nothing to set."""

    @property
    def backend_cls(self) -> type[Backend]:
        """The backend's class."""
        return ClusterBackend


def _address() -> str:
    """This node's address and a port that is free now, as host:port."""
    host = ray.util.get_node_ip_address()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    return f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"


def _set_tf_config(addresses: list[str], rank: int) -> None:
    task = {"type": "worker", "index": rank}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})

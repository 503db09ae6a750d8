"""What Serve's controller would tell the user that is meant for a cluster of many nodes."""

import logging

CALLBACK = f"{__name__}.quieten"
"""For RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH: called when the controller starts."""


def quieten() -> None:
    """Drop the warning that HAProxy on other nodes can't reach a replica on loopback: that it can't is what we want."""
    logging.getLogger("ray.serve").addFilter(lambda record: "HTTPOptions.host=" not in record.getMessage())

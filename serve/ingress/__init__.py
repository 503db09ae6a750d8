"""What stands before the replicas: HAProxy, closed to the network, or Ray Serve's own proxy; and one request id."""

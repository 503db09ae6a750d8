"""The HTTP layer: routes, the forms of requests, the shapes of answers."""

"""A bundle's network for other runtimes: each export is checked against the bundle before it counts."""

"""The REST service of one model: Ray Serve runs it, FastAPI speaks HTTP.

`run` holds it in the foreground, `deployment.build` is the builder for `serve deploy`. A request goes through `record`
(its id, its line in the log) and `guard` (keys, limits) to `web` (its form, the shape of its answer) and to `model`.
"""

"""The REST service of one model: Ray Serve runs it, FastAPI speaks HTTP.

`run` holds it in the foreground, `deployment.build` is the builder for `serve deploy`, `app` is the HTTP layer alone.
"""

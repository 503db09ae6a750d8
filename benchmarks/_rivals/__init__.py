"""Servers that others' guides lead to, each a program of its own: the rivals in benchmarks/serve.py.

MODEL in the environment is a Keras file from pixels 0-255 to probabilities; each answers POST /classify with a form.
"""

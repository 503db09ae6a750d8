"""Frozen features of a preprocessed set: computed once on the cluster, kept by content."""

from imgcls_ray.embeddings.compute import embed
from imgcls_ray.embeddings.store import Embeddings

__all__ = ["Embeddings", "embed"]

"""Collecting pictures from the internet, politely and with their licences, into folders that preprocess reads."""

from imgcls_ray.data.collect.base import Candidate, Page, Provider, Row
from imgcls_ray.data.collect.client import Client
from imgcls_ray.data.collect.collector import collect
from imgcls_ray.data.collect.openverse import Openverse
from imgcls_ray.data.collect.report import Collected, CollectListener
from imgcls_ray.data.collect.rows import Wanted, read_rows
from imgcls_ray.data.collect.settings import OPENVERSE, CollectSettings
from imgcls_ray.data.collect.urls import UrlLists

__all__ = [
    "OPENVERSE",
    "Candidate",
    "Client",
    "CollectListener",
    "CollectSettings",
    "Collected",
    "Openverse",
    "Page",
    "Provider",
    "Row",
    "UrlLists",
    "Wanted",
    "collect",
    "read_rows",
]

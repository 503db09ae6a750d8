from pathlib import Path

import numpy as np
import pytest

from imgcls_ray.config import PreprocessSettings, Size, TrialSettings
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.training.feed import Feed, MemoryFeed, PartsFeed, open_feed
from imgcls_ray.training.job import TrialData, TrialJob
from tests.conftest import ingested


@pytest.fixture(scope="module")
def preprocessed(ray_local: None, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Preprocessed:
    settings = PreprocessSettings(image_size=Size(8, 8), shard_mb=0.002)
    return ingested(pictures, tmp_path_factory.mktemp("sets"), settings)


def train_feed(preprocessed: Preprocessed, **options: int) -> Feed:
    data = TrialData(preprocessed.path, Size(8, 8), 3, 3)
    return open_feed(TrialJob(TrialSettings(), 0, data), "train", **options)


def seen(feed: Feed, seed: int | None) -> list[tuple[int, bytes]]:
    found = []
    for chunk in feed.chunks(seed):
        images, labels = chunk.samples.numpy(), chunk.labels.numpy()
        found += [(int(labels[i]), images[i].tobytes()) for i in chunk.order]
    return found


def test_shards_read_one_by_one_give_what_memory_gives(preprocessed: Preprocessed) -> None:
    whole, parts = train_feed(preprocessed), train_feed(preprocessed, chunk_bytes=2000)
    assert isinstance(whole, MemoryFeed)
    assert isinstance(parts, PartsFeed)
    assert len(list(parts.chunks(0))) > 1
    assert parts.rows == whole.rows == preprocessed.index.rows("train")
    assert sorted(seen(parts, 3)) == sorted(seen(whole, None))


def test_a_seed_shuffles_and_is_repeated(preprocessed: Preprocessed) -> None:
    feed = train_feed(preprocessed, chunk_bytes=2000)
    assert seen(feed, 1) == seen(feed, 1)
    assert seen(feed, 1) != seen(feed, 2)
    chunk = next(feed.chunks(None))
    np.testing.assert_array_equal(chunk.order, np.arange(len(chunk.order)))

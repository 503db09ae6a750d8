"""Which pictures an export is made with and judged on."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcls_ray.bundle.bundle import Bundle, load_bundle, write_bundle
from imgcls_ray.config import PreprocessSettings, Size
from imgcls_ray.data.index import read_index
from imgcls_ray.data.preprocess import Preprocessed
from imgcls_ray.errors import DataError, SettingsError
from imgcls_ray.search.record import RECORD, RESULT
from imgcls_ray.use.exporting import Given, export, gather
from tests.bundle.conftest import CARD, golden, made, tiny_model  # noqa: F401 - a fixture
from tests.conftest import ingested, picture


@pytest.fixture(scope="module")
def found(ray_local: None, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Preprocessed:
    """A set in a storage."""
    storage = tmp_path_factory.mktemp("storage")
    return ingested(pictures, storage / "data" / "pets", PreprocessSettings(image_size=Size(16, 24)))


@pytest.fixture(scope="module")
def bundle(found: Preprocessed, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model of that set."""
    card = CARD.model_copy(update={"data_fingerprint": found.index.fingerprint})
    path = tmp_path_factory.mktemp("bundles") / "pets"
    return write_bundle(path, tiny_model(), found.index.labels, found.index.pixels, card, golden())


def test_the_set_of_the_model_is_found_in_its_storage(bundle: Bundle, found: Preprocessed) -> None:
    by_name, by_itself = (
        gather(bundle, given) for given in (Given(data=found.path), Given(storage=found.path.parents[1]))
    )
    assert len(by_name.fitting) == found.index.rows("train")
    assert len(by_name.judging) == found.index.rows("val") + found.index.rows("test")
    assert np.array_equal(by_name.judging, by_itself.judging) and np.array_equal(by_name.fitting, by_itself.fitting)
    assert by_itself.held_out and by_itself.source.endswith(f"held-out pictures of the set {found.index.name}")


def test_a_set_that_its_study_made_elsewhere_and_that_grew_is_found(
    bundle: Bundle, found: Preprocessed, tmp_path: Path
) -> None:
    card = bundle.card.model_copy(update={"data_fingerprint": "of fewer pictures", "study": "pets-1"})
    folder = tmp_path / "studies" / "pets-1"
    folder.mkdir(parents=True)
    (folder / RECORD).write_text("{}")
    (folder / RESULT).write_text(json.dumps({"data": str(found.path)}))
    assert gather(replace(bundle, card=card), Given(storage=tmp_path)).held_out


def test_without_a_set_it_is_judged_on_the_golden_pictures_alone(bundle: Bundle, tmp_path: Path) -> None:
    alone = gather(bundle, Given(storage=tmp_path))
    assert np.array_equal(alone.fitting, golden()) and not len(alone.judging) and not alone.held_out
    done = export(bundle, "keras", tmp_path / "pets.keras", Given(storage=tmp_path))
    assert f"judged on the bundle's {len(golden())} golden pictures alone" in done.warnings[0]


def test_a_set_that_does_not_fit_is_refused(found: Preprocessed, made: Path) -> None:  # noqa: F811
    with pytest.raises(DataError, match=r"classes and pixel operations; .* has others"):
        gather(load_bundle(made), Given(data=found.path))


def test_a_damaged_set_is_refused(bundle: Bundle, found: Preprocessed, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(found.path, tmp_path / "data" / "copy"))
    (entry, *_) = read_index(copy).of("test")
    (copy / entry.file).write_bytes(b"x")
    with pytest.raises(DataError, match=f"{entry.file} is not the file that was written"):
        gather(bundle, Given(data=copy))
    assert not gather(bundle, Given(storage=tmp_path)).held_out, "one that is only looked for is passed over"


def test_decoders_are_compared_on_what_the_graph_reads(bundle: Bundle, tmp_path: Path) -> None:
    image, turned = Image.fromarray(picture(0, 0)), Image.Exif()
    turned[0x0112] = 6
    image.save(tmp_path / "a.jpg")
    image.save(tmp_path / "b.png")
    image.save(tmp_path / "c.jpg", exif=turned)
    image.save(tmp_path / "d.jpg", progressive=True)
    image.save(tmp_path / "e.webp")
    (tmp_path / "f.txt").write_text("no picture")
    encoded = gather(bundle, Given(pictures=tmp_path)).encoded
    assert encoded == tuple((tmp_path / name).read_bytes() for name in ("a.jpg", "b.png"))
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no baseline JPEG"):
        gather(bundle, Given(pictures=tmp_path / "none"))
    with pytest.raises(DataError, match=r"'.*a\.jpg', which is none"):
        gather(bundle, Given(pictures=tmp_path / "a.jpg"))


def test_pictures_are_refused_for_a_format_without_a_decoder(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'keras' takes decoded ones: leave --pictures out"):
        export(bundle, "keras", tmp_path / "pets.keras", Given(pictures=tmp_path))
    assert not list(tmp_path.iterdir())

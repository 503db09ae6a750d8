"""The table of architectures, from journals and cards alone."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from imgcls_ray.bundle.card import CardMember
from imgcls_ray.config import TrialSettings
from imgcls_ray.errors import StorageError
from imgcls_ray.search.journal import ASKED, RESULT, note_study, open_journal
from imgcls_ray.search.record import StudyRecord
from imgcls_ray.use.comparison import compare, head_of
from tests.bundle.conftest import CARD, LABELS, PIXELS, golden, tiny_model
from tests.cli.conftest import Said, imgcls  # noqa: F401 - a fixture
from tests.reports.studies import finished, made

Program = Callable[..., Said]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies on the same data, and a bundle on other data."""
    from imgcls_ray.bundle.bundle import write_bundle

    root = tmp_path_factory.mktemp("runs")
    finished(made(12, failed=1, name="first", storage=open_journal(root / "studies" / "first")))
    made(3, name="second", storage=open_journal(root / "studies" / "second"))
    card = CARD.model_copy(update={"metrics": {"val_accuracy": 0.95, "val_loss": 0.2, "test_accuracy": 0.9}})
    write_bundle(root / "bundles" / "pets", tiny_model(), LABELS, PIXELS, card, golden())
    return root


def test_the_best_trial_of_each_architecture_is_listed_the_best_first(storage: Path) -> None:
    found = compare([], storage)
    everything = compare([], storage, every=True)
    assert len(everything.rows) == 11 + 3
    places = [(row.architecture, row.fingerprint) for row in found.rows]
    assert sorted(places) == sorted({(row.architecture, row.fingerprint) for row in everything.rows})
    assert len(places) >= 2
    for table in (found, everything):
        values = [row.val_accuracy for row in table.rows]
        assert values == sorted(values, reverse=True)
    for row in found.rows:
        same = [other for other in everything.rows if other.architecture == row.architecture]
        assert row.val_accuracy == max(other.val_accuracy for other in same)
    assert found.warning is None


def test_parameters_are_those_of_the_network(storage: Path) -> None:
    from imgcls_ray.config import Size
    from imgcls_ray.models.network import build_scratch

    noted, found = (
        {row.trial: row for row in compare([name], storage, every=True).rows} for name in ("first", "second")
    )
    settings = TrialSettings(backbone="cnn", cnn_width=32, dropout=0.2)
    assert found[0].parameters == build_scratch(settings, Size(32, 32), 3, 2).count_params()
    assert found[0].size_mb == pytest.approx(4e-6 * found[0].parameters)
    assert noted[0].parameters == 8_000_000, "as it was counted when the study ended"
    assert noted[0].test_accuracy == 0.8123
    assert all(row.test_accuracy is None for row in noted.values() if row.trial)


def test_a_model_stands_beside_studies_and_other_data_is_told(storage: Path) -> None:
    bundle = str(storage / "bundles" / "pets")
    found = compare([bundle, "second"], storage)
    row = found.rows[0]
    assert (row.source, row.trial, row.val_accuracy, row.test_accuracy) == (bundle, None, 0.95, 0.9)
    assert row.parameters == tiny_model().count_params()
    assert found.warning is not None
    assert "different pictures" in found.warning
    assert f"pets ffffffff ({bundle})" in found.warning


def test_the_ensemble_of_a_study_has_its_line(storage: Path, tmp_path: Path) -> None:
    from imgcls_ray.bundle.bundle import write_bundle

    root = tmp_path / "runs"
    study = finished(made(3, name="third", storage=open_journal(root / "studies" / "third")))
    note_study(study, RESULT, {**study.user_attrs[RESULT], "ensemble": {"accepted": True}})
    assert all(row.test_accuracy is None for row in compare(["third"], root, every=True).rows)
    members = tuple(CardMember(trial=number, weight=0.5, temperature=1, settings={}) for number in (0, 2))
    metrics = {"val_accuracy": 0.99, "val_loss": 0.2, "val_loss_before": 0.3, "test_accuracy": 0.9}
    card = CARD.model_copy(update={"metrics": metrics, "members": members})
    write_bundle(root / "bundles" / "third", tiny_model(), LABELS, PIXELS, card, golden())
    row = compare(["third"], root).rows[0]
    assert (row.source, row.trial, row.head) == ("third", None, "2 heads averaged")
    assert (row.val_accuracy, row.val_loss, row.test_accuracy) == (0.99, 0.3, 0.9)
    # The study was taken up, and what it came to then lies beside the first bundle.
    newer = card.model_copy(update={"metrics": {**metrics, "val_accuracy": 0.995}})
    write_bundle(root / "bundles" / "third-2", tiny_model(), LABELS, PIXELS, newer, golden())
    assert compare(["third"], root).rows[0].val_accuracy == 0.99
    note_study(study, RESULT, {**study.user_attrs[RESULT], "bundle": "third-2"})
    assert compare(["third"], root).rows[0].val_accuracy == 0.995


def test_networks_from_scratch_on_gray_pictures_of_classes_with_commas_are_counted_as_they_are(tmp_path: Path) -> None:
    from imgcls_ray.config import Size
    from imgcls_ray.models.network import build_scratch

    study = made(1, name="gray", storage=open_journal(tmp_path / "studies" / "gray"))
    asked = study.user_attrs[ASKED]
    data = {**asked["data"], "classes": "cat, tame, cat, wild", "class_count": "2", "channels": "1"}
    note_study(study, ASKED, {**asked, "data": data})
    settings = TrialSettings(backbone="cnn", cnn_width=32, dropout=0.2)
    expected = build_scratch(settings, Size(32, 32), 1, 2).count_params()
    assert [row.parameters for row in compare(["gray"], tmp_path).rows] == [expected]


def test_a_study_that_can_not_be_read_is_told_and_left_out(storage: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(storage, tmp_path / "runs"))
    (root / "studies" / "third").mkdir()
    (root / "studies" / "third" / "journal.log").touch()
    found = compare([], root)
    assert found.rows == compare([], storage).rows
    assert found.warning == "Left out, as they can't be read: third."
    with pytest.raises(StorageError, match="third"):
        compare(["third"], root)


def test_other_orders(storage: Path) -> None:
    for order in ("val_loss", "parameters", "seconds"):
        values = [getattr(row, order) for row in compare([], storage, every=True, order=order).rows]  # type: ignore[arg-type]
        assert values == sorted(values)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "softmax alone"),
        ({"head": "light"}, "light"),
        (
            {"head_layers": 2, "head_width": 64, "batch_norm": True, "dropout": 0.3},
            "2 x 64 relu, batch norm, dropout 0.3",
        ),
    ],
)
def test_a_head_in_words(settings: dict[str, object], words: str) -> None:
    assert head_of(TrialSettings.model_validate(settings)) == words


def test_the_verb_prints_a_table_json_and_csv(imgcls: Program, storage: Path, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "table.csv"
    said = imgcls("compare", "first", "second", "--storage", storage, "--csv", file)
    assert said.code == 0
    head, first, *_ = said.out.splitlines()
    assert head.split()[:3] == ["architecture", "head", "parameters"]
    document = json.loads(imgcls("compare", "first", "second", "--storage", storage, "--json").out)
    best = document["rows"][0]
    assert best["architecture"] in first and f"{best['parameters']:,}" in first
    assert document["warning"] is None
    with file.open() as opened:
        rows = list(csv.DictReader(opened))
    assert [row["source"] for row in rows] == [row["source"] for row in document["rows"]]
    assert float(rows[0]["val_accuracy"]) == best["val_accuracy"]


def test_what_is_no_study_and_no_model_is_refused(imgcls: Program, storage: Path, tmp_path: Path) -> None:  # noqa: F811
    sentence = imgcls("compare", "fist", "--storage", storage).sentence
    assert "neither by the name 'fist'" in sentence and "first" in sentence
    assert "--sort is one of" in imgcls("compare", "--sort", "accuracy", "--storage", storage).sentence
    StudyRecord("third", "/data", 3, {}).write(tmp_path / "studies" / "third")
    with pytest.raises(StorageError, match="'third' has no trial with a score to compare yet"):
        compare(["third"], tmp_path)
    with pytest.raises(StorageError, match="There is no study in"):
        compare([], tmp_path)

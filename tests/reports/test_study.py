"""The report of a study: all of it comes from the journal, for studies of every kind."""

import json
import re
from pathlib import Path

import optuna
import pytest

from imgcls_ray.config import TrialSettings
from imgcls_ray.reports.study.facts import LEAST, study_report
from imgcls_ray.reports.study.page import PLOTS, study_page, write_study_report
from imgcls_ray.reports.study.plots import draw_plots
from imgcls_ray.reports.study.shown import shown
from imgcls_ray.search.journal import ASKED, RESULT, note_outcome, note_study, note_value
from imgcls_ray.search.listener import TrialOutcome
from imgcls_ray.search.space import FROM
from tests.reports.studies import EPOCHS, INTERVAL, SPACE, finished, made
from tests.reports.test_layout import NASTY, Page


def page_of(study: optuna.Study) -> tuple[str, Page]:
    report = study_report(study)
    text = study_page(report, draw_plots(study, report))
    return text, Page(text)


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    return finished(made(40, failed=2))


def test_the_facts_are_those_of_the_journal(study: optuna.Study) -> None:
    report = study_report(study)
    assert sum(report.states.values()) == report.total == 40
    assert (report.states["failed"], report.scored) == (2, 38)
    assert report.rungs == (2, 4, 8, 16)
    assert [(one.text, one.trials) for one in report.reasons] == [("the loss is no longer a number", 2)]
    assert report.leader == report.board[0]
    values = [row.value or 0 for row in report.board]
    assert values == sorted(values, reverse=True)
    assert len(values) == 15
    by_name = {one.name: one for one in report.parameters}
    assert by_name["learning_rate"].range == "0.0001 to 0.1, log"
    assert by_name["dropout"].range == "0 to 0.5 in steps of 0.1"
    assert by_name["backbone"].range == "cnn, mobilenet_v2_1.0"
    assert by_name["head_layers"].trials + by_name["cnn_width"].trials == 40
    assert (by_name["cnn_width"].default, by_name["head_layers"].default) == (32, None)
    assert report.fixed == {"epochs": EPOCHS}


def test_the_parameter_that_decides_is_the_most_important_one() -> None:
    report = study_report(made(100))
    assert report.parameters[0].name == "learning_rate"
    assert sum(one.importance or 0 for one in report.parameters) == pytest.approx(1)


def test_a_page_of_a_whole_study_has_all_sections_and_needs_nothing_else(study: optuna.Study) -> None:
    text, page = page_of(study)
    ids = [value for name, value in page.values if name == "id"]
    assert len(ids) == len(set(ids))
    assert {"result", "searched", "history", "importance", "board"} <= set(ids)
    assert "The search found nothing better than the defaults beyond the noise: trial 2 has +0.0200" in page.text
    assert "is optimistic" in page.text
    assert "0.8123" in page.text
    assert "pets & <b>more</b>" in page.text
    assert "script" not in page.tags
    loaded = [
        value for name, value in page.values if name in ("src", "href", "xlink:href") and not value.startswith("#")
    ]
    assert loaded == []
    assert not re.findall(r"url\((?!#)", text)
    assert len(text) < 300_000
    assert "the defaults stay unless" in page.text


def test_drawings_have_the_pages_colours_in_the_page_and_their_own_in_a_file(study: optuna.Study) -> None:
    plots = {plot.name: plot for plot in draw_plots(study, study_report(study))}
    assert list(plots)[:4] == ["history", "curves", "cost", "size"]
    assert set(plots) >= {f"slice-{name}" for name in SPACE.parameters if name != "epochs"}
    for plot in plots.values():
        assert "var(--" in plot.inline
        assert "var(" not in plot.svg
        assert plot.svg.startswith("<svg ")
        # Without a size of its own a file would be nothing in MLflow's pages; in the report it is as wide as there.
        assert re.search(r'width="[\d.]+pt" height="[\d.]+pt"', plot.svg)
        assert 'pt"' not in plot.inline
    # Those that were stopped early as well, which Optuna would leave out, but none that failed.
    assert len(re.findall(r"<use ", plots["history"].svg)) >= 38
    assert "rung 8" in plots["curves"].svg
    assert len(re.findall(r"<use ", plots["size"].svg)) >= 38


def test_a_study_that_has_not_ended_is_not_drawn_against_sizes() -> None:
    study = made(12)
    assert "size" not in {plot.name for plot in draw_plots(study, study_report(study))}


@pytest.mark.parametrize(("trials", "failed"), [(0, 0), (1, 0), (5, 5), (12, 10)])
def test_studies_with_little_in_them_have_a_page(trials: int, failed: int) -> None:
    _, page = page_of(made(trials, failed))
    assert "Study report" in page.text
    assert ("no trial has a value" in page.text) == (trials == failed)


def test_few_trials_tell_no_importance() -> None:
    report = study_report(made(LEAST - 1))
    assert report.importance_note == f"It is told from {LEAST} trials with a value on; there are {LEAST - 1}."
    assert {one.importance for one in report.parameters} == {None}
    assert study_report(made(LEAST)).importance_note is None


def test_a_parameter_that_no_trial_with_a_value_has_gets_no_importance() -> None:
    study = made(LEAST)
    for state in ("running", "failed"):
        trial = study.ask()
        trial.suggest_float(f"of_one_that_{state}", 0, 1)
        if state == "failed":
            outcome = TrialOutcome(trial.number, "failed", None, TrialSettings(), 0, 1.0, {}, "no memory")
            note_outcome(trial, outcome, 0.0)
            study.tell(trial, 0.0)
    report = study_report(study)
    by_name = {one.name: one.importance for one in report.parameters}
    assert by_name["of_one_that_running"] is by_name["of_one_that_failed"] is None
    assert sum(value or 0 for value in by_name.values()) == pytest.approx(1)
    page_of(study)


def test_a_trial_that_is_trained_again_is_not_called_the_defaults() -> None:
    study = finished(made(1))
    asked = study.user_attrs[ASKED]
    note_study(study, ASKED, {**asked, "settings": {**asked["settings"], "from_trial": "pets-1/7"}})
    alone = {"trial": 0, "value": INTERVAL, "gap": None}
    certainty = {"figure": "accuracy", "pictures": 131, "trials": [alone], "defaults": alone}
    note_study(study, RESULT, {**study.user_attrs[RESULT], "certainty": certainty})
    report = study_report(study)
    assert (report.repeats, report.defaults) == ("pets-1/7", None)
    assert report.leader and report.leader.number == 0
    _, page = page_of(study)
    assert "defaults" not in page.text
    assert "The model is made of trial pets-1/7 again." in page.text
    assert "There is one trial, and nothing to compare it with" in page.text
    assert "gives it an accuracy" in page.text


def test_a_loss_is_better_when_it_is_lower() -> None:
    report = study_report(made(30, direction="minimize"))
    assert report.words == "validation loss"
    assert report.leader
    assert report.leader.value == min(row.value for row in report.board if row.value is not None)
    _, page = page_of(made(30, direction="minimize"))
    assert "lowest validation loss" in page.text


def test_a_trial_that_runs_has_a_curve_and_no_point() -> None:
    study = made(3)
    trial = study.ask()
    SPACE.suggest(trial)
    trial.report(0.99, 1)
    report = study_report(study)
    assert (report.states["running"], report.total) == (1, 4)
    assert report.leader
    assert report.leader.number != 3
    assert [one.value is None for one in shown(study).trials] == [False, False, False, True]
    assert "not ended" in page_of(study)[1].text


def test_a_second_stage_has_its_own_parameters() -> None:
    study = made(12)
    for rate in (1e-3, 2e-3):
        trial = study.ask()
        trial.suggest_categorical(FROM, [3, 5])
        trial.suggest_float("finetune.learning_rate", 5e-4, 5e-3, log=True)
        trial.report(0.95 + rate, 1)
        value, settings = 0.95 + rate, TrialSettings(from_trial=3, learning_rate=rate, epochs=1)
        metrics = {"val_accuracy": value, "val_loss": 1 - value}
        note_outcome(trial, TrialOutcome(trial.number, "complete", value, settings, 1, 1.0, metrics), value)
        study.tell(trial, value)
    report = study_report(study)
    by_name = {one.name: one for one in report.parameters}
    assert report.tuned == 2
    assert report.leader
    assert report.leader.number == 13
    assert by_name["finetune.learning_rate"].default == study.trials[12].params["finetune.learning_rate"]
    assert by_name["finetune.learning_rate"].best == study.trials[13].params["finetune.learning_rate"]
    assert (by_name["learning_rate"].default, by_name["learning_rate"].best) == (1e-3, None)
    _, page = page_of(study)
    assert "Two stages: 12 trials trained heads on frozen layers, 2 trials the last layers" in page.text


def test_two_objectives_have_a_front() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], study_name="pair")
    settings = made(0).user_attrs[ASKED]["settings"] | {"search.second_objective": "size_mb"}
    note_study(study, ASKED, {"settings": settings, "data": {}, "trials": 4, "epochs": [1]})
    for value, size in ((0.7, 2.0), (0.8, 3.0), (0.6, 2.5), (0.9, 9.0)):
        trial = study.ask()
        chosen = TrialSettings(learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-2))
        note_value(trial, value / 2, 1)
        note_value(trial, value, 2)
        metrics = {"val_accuracy": value, "val_loss": 1 - value}
        outcome = TrialOutcome(trial.number, "complete", value, chosen, 1, 1.0, metrics, second=size)
        note_outcome(trial, outcome, [value, size])
        study.tell(trial, [value, size])
    report = study_report(study)
    assert report.second == "size, MB"
    assert [row.number for row in report.front] == [0, 1, 3]
    text, page = page_of(study)
    assert "0 (0.7000 at 2), 1 (0.8000 at 3), 3 (0.9000 at 9)." in page.text
    assert 'id="front-figure_1"' in text
    assert 'id="curves-figure_1"' in text


def test_an_ensemble_is_what_the_model_is_made_of() -> None:
    study = finished(made(6))
    members = [{"trial": 2, "weight": 0.6, "temperature": 1.0}, {"trial": 5, "weight": 0.4, "temperature": 1.0}]
    result = study.user_attrs[RESULT]
    decided = {"accepted": True, "sentence": "an ensemble of 2 trials is accepted: log loss -0.02", "members": members}
    note_study(study, RESULT, {**result, "ensemble": decided})
    assert study_report(study).joined == (2, 5)
    text, _ = page_of(study)
    assert "The model is made of trials 2, 5 together." in text
    assert "gives the ensemble an accuracy" in text
    assert "An ensemble of 2 trials is accepted" in text
    note_study(study, RESULT, {**result, "ensemble": {**decided, "accepted": False, "sentence": "no ensemble: none"}})
    text, _ = page_of(study)
    assert "The model is made of the defaults" in text
    assert "gives trial 0 an accuracy" in text
    assert "No ensemble: none." in text


def test_names_of_others_are_text() -> None:
    study = made(3, name=NASTY)
    asked = study.user_attrs["imgcls.asked"]
    note_study(study, "imgcls.asked", {**asked, "data": {**asked["data"], "name": NASTY, "classes": NASTY}})
    text, page = page_of(study)
    assert "<script" not in text
    assert NASTY in page.text


def test_a_class_may_have_a_comma_in_its_name() -> None:
    study = made(1)
    asked = study.user_attrs[ASKED]
    assert "<b>more</b>: 2 classes;" in page_of(study)[1].text  # of a journal that notes no number
    data = {**asked["data"], "classes": "cat, tame, cat, wild, dog", "class_count": "3"}
    note_study(study, ASKED, {**asked, "data": data})
    assert "<b>more</b>: 3 classes;" in page_of(study)[1].text


def test_files_are_written_and_again_equal(tmp_path: Path, study: optuna.Study) -> None:
    (tmp_path / PLOTS).mkdir()
    (tmp_path / PLOTS / "slice-gone.svg").write_text("of an earlier start")
    page, document, plots = write_study_report(tmp_path, study)
    first = {path: path.read_bytes() for path in (page, document, *plots.iterdir())}
    assert write_study_report(tmp_path, study) == [page, document, plots]
    assert {path: path.read_bytes() for path in (page, document, *plots.iterdir())} == first
    read = json.loads(document.read_bytes())
    assert read["certainty"]["sentence"] in page.read_text()
    assert read["states"]["failed"] == 2
    assert not (plots / "slice-gone.svg").exists()
    assert (plots / "history.svg").is_file()

"""The table at the end of the main job."""

import shlex

from rich.text import Text

from imgcls_ray.cli.output import Output
from imgcls_ray.pipeline.result import RunResult
from imgcls_ray.search.listener import StudyOutcome
from imgcls_ray.search.objective import ACCURACY


def print_summary(out: Output, result: RunResult) -> None:
    """Best settings, figures against the defaults, where things are, what to type next."""
    print_rows(out, f"Study {result.study.name}", _rows(result), result)


def print_rows(out: Output, title: str, rows: list[tuple[str, str, str]], result: RunResult) -> None:
    """Rows of name, value and what else there is to say of it, then what to type next."""
    width = max(len(name) for name, _, _ in rows)
    out.console.print(Text(f"\n{title}", style="bold"), soft_wrap=True)
    for name, value, more in rows:
        style = "bold" if more and not name.startswith(" ") else ""
        line = Text.assemble((f"{name:<{width}}  ", "dim"), (value, style), f"   {more}" if more else "")
        line.rstrip()
        out.console.print(line, soft_wrap=True)
    out.console.print("\n[bold]Next[/]")
    storage, model = shlex.quote(result.storage), result.model or shlex.quote(result.bundle)
    for command in (
        f"imgcls classify PICTURE --model {model} --storage {storage}",
        f"imgcls serve --model {model} --storage {storage}",
        f"imgcls ui --storage {storage}",
    ):
        out.console.print(Text(f"  {command}"), soft_wrap=True)


def registered_rows(result: RunResult) -> list[tuple[str, str, str]]:
    """The model's version, or what became of it."""
    known = [("registered", str(result.model), f"version {result.model.version}")] if result.model else []
    return known + ([("not recorded", result.unsent, "")] if result.unsent else [])


def _rows(result: RunResult) -> list[tuple[str, str, str]]:
    """Name, value, what else there is to say of it."""
    best, defaults, trials = result.study.best, result.study.defaults, result.study.trials
    of = "the defaults" if best.number == 0 else f"trial {best.number}"
    against = f"defaults {defaults.value:.4f}" if defaults and defaults.value is not None else "defaults not measured"
    leader = result.study.leader
    by_chance = f"trial {leader.number}, no better than the defaults but by chance ({result.study.noise:.4f})"
    states: list[str] = [trial.state for trial in trials]
    ended = [f"{states.count(state)} {word}" for state, word in (("pruned", "stopped early"), ("failed", "failed"))]
    seconds = result.seconds
    joined = result.ensemble is not None and result.ensemble.accepted
    whose = "of the ensemble, " if joined else ""
    steps = [(name, getattr(seconds, name)) for name in ("preprocess", "embed", "search", "evaluate")]
    return [
        (result.study.objective.words, f"{best.value:.4f}", f"{against}, best is {of}"),
        *([("", f"{leader.value:.4f}", by_chance)] if leader != best else []),
        *([("verdict", result.certainty.sentence, "")] if result.certainty else []),
        *([("ensemble", result.ensemble.sentence, "")] if result.ensemble else []),
        (
            "test accuracy",
            f"{result.test.accuracy:.4f}",
            f"{whose}macro F1 {result.test.f1_macro:.4f}, {result.test.images} pictures",
        ),
        *_front(result.study),
        *_stages(result),
        ("best settings", "", "of the best trial alone" if joined else ""),
        *(
            (f"  {name}", f"{value:.4g}" if isinstance(value, float) else str(value), "")
            for name, value in best.params.model_dump(mode="json", exclude_unset=True).items()
        ),
        ("trials", str(len(trials)), ", ".join(ended)),
        ("seconds", f"{seconds.total:.1f}", ", ".join(f"{name} {value:.1f}" for name, value in steps if value >= 0.05)),
        ("report", result.report, ""),
        ("model report", result.model_report, ""),
        ("bundle", result.bundle, ""),
        *registered_rows(result),
    ]


def _front(study: StudyOutcome) -> list[tuple[str, str, str]]:
    """The trials that no other beats in both objectives, a line each."""
    if study.second is None:
        return []
    rows = [
        (f"  trial {trial.number}", f"{trial.value:.4f}", study.second.shown(trial.second or 0.0))
        for trial in study.front
    ]
    return [("front", f"not beaten in both {study.objective.words} and {study.second.words}", ""), *rows]


def _stages(result: RunResult) -> list[tuple[str, str, str]]:
    """What each of two stages came to, and what the second one brought; where that may be chance, so it says."""
    if not result.stages:
        return []
    probe, tuned = result.stages["probe"], result.stages["finetune"]
    gain, noise = tuned.test.accuracy - probe.test.accuracy, ACCURACY.noise(probe.test.accuracy, probe.test.images)
    began = f"trial {tuned.trial.number} from trial {tuned.trial.params.from_trial}"
    rows = [
        (
            "best probe",
            f"{probe.trial.value:.4f}",
            f"trial {probe.trial.number}, test accuracy {probe.test.accuracy:.4f}",
        ),
        (
            "best fine-tuned",
            f"{tuned.trial.value:.4f}",
            f"{began}, test accuracy {tuned.test.accuracy:.4f} ({100 * gain:+.1f} points)",
        ),
    ]
    if gain <= noise:
        rows.append(
            (
                "",
                "",
                f"no more than chance brings on {probe.test.images} pictures ({100 * noise:.1f} points): fine-tuning "
                "may need more trials (search.finetune_share), views or layers, or there is no more to learn",
            )
        )
    return rows

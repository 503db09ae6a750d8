"""Who proposes settings: Optuna's samplers by name, each seeded, and the spaces that they can't take."""

import importlib.util
import warnings

import optuna

from imgcls_ray.config import SearchSettings
from imgcls_ray.errors import SettingsError
from imgcls_ray.search.grid import MOST, endless, listed
from imgcls_ray.search.parameters import Choice
from imgcls_ray.search.space import SearchSpace

PACKAGES = {"cmaes": ("cmaes", "pip install cmaes"), "gp": ("torch", "pip install torch")}
"""What a sampler needs beside Optuna: a module, and how to get it."""


def check_sampler(settings: SearchSettings, space: SearchSpace) -> None:
    """Whether the sampler can take each stage of the space, and the objectives.

    Raises:
        SettingsError: it can't, or its package is missing.
    """
    name = settings.sampler
    if name == "cmaes" and settings.second_objective != "none":
        raise SettingsError(
            "The sampler 'cmaes' takes one objective; received search.second_objective="
            f"{settings.second_objective}: leave that out, or use --sampler tpe."
        )
    if name in PACKAGES and importlib.util.find_spec(PACKAGES[name][0]) is None:
        package, line = PACKAGES[name]
        raise SettingsError(f"The sampler '{name}' needs the package {package}, which is not installed: {line}.")
    if name == "cmaes" and space.finetune:
        raise SettingsError(
            "The sampler 'cmaes' takes numbers only, and which probe trial fine-tuning starts from is a choice: use "
            "--sampler tpe, or a space without the section 'finetune'."
        )
    for stage in space.stages:
        _check_stage(name, stage)


def _check_stage(name: str, space: SearchSpace) -> None:
    if name == "grid":
        _check_grid(space)
    elif name in ("cmaes", "gp"):
        for searched in space.searched():
            if space.takes_part(searched) == "sometimes":
                raise SettingsError(
                    f"The sampler '{name}' takes no conditions, and '{searched}' takes part only where its conditions "
                    "hold: fix what it depends on, or use --sampler tpe."
                )
    if name == "cmaes":
        _check_numbers(space)


def _check_grid(space: SearchSpace) -> None:
    name = endless(space)
    if name is not None:
        raise SettingsError(
            f"The sampler 'grid' goes through finite spaces only, and there is no end to the values of '{name}': give "
            "it a step, make it a choice, or use --sampler random."
        )
    if listed(space, 0) is None:
        raise SettingsError(
            f"The sampler 'grid' goes through at most {MOST:,} settings, and the space has more: give its ranges a "
            "larger step, or use --sampler random."
        )


def _check_numbers(space: SearchSpace) -> None:
    searched = space.searched()
    choice = next((name for name in searched if isinstance(space.parameters[name], Choice)), None)
    if choice is not None:
        raise SettingsError(
            f"The sampler 'cmaes' takes numbers only, and '{choice}' is a choice: fix it, or use --sampler tpe."
        )
    if len(searched) < 2:
        raise SettingsError(
            f"The sampler 'cmaes' needs at least two parameters to search; the space has {len(searched)}: use "
            "--sampler tpe."
        )


def build_sampler(settings: SearchSettings, concurrency: int) -> optuna.samplers.BaseSampler:
    """The sampler that the settings name.

    `tpe` (Bergstra et al., 2011) takes parameters together and running trials as bad ones; its random start grows with
    the concurrency: else most of it would still run when its model is first asked. `cmaes` (Hansen and Ostermeier,
    2001) starts from the middle of the space and learns from stopped trials too. `gp` is a Gaussian process with
    expected improvement. `grid` is gone through by `Proposals`; Optuna has nothing to say in it.
    """
    seed = settings.seed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match settings.sampler:
            case "tpe":
                return optuna.samplers.TPESampler(
                    seed=seed,
                    multivariate=True,
                    group=True,
                    constant_liar=True,
                    n_startup_trials=max(8, 2 * concurrency),
                )
            case "cmaes":
                return optuna.samplers.CmaEsSampler(
                    seed=seed,
                    consider_pruned_trials=True,
                    # The first trials are drawn without it; what is said of them in the log would be said of each.
                    warn_independent_sampling=False,
                )
            case "gp":
                return optuna.samplers.GPSampler(
                    seed=seed, n_startup_trials=max(8, 2 * concurrency), warn_independent_sampling=False
                )
            case "random" | "grid":
                return optuna.samplers.RandomSampler(seed=seed)

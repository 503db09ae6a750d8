"""The kinds of parameters a search space is made of."""

import math
from typing import Annotated, Any, Literal

import optuna
from pydantic import Field, model_validator

from imgcls_ray.config import Settings

Value = bool | int | float | str


class Parameter(Settings):
    """Common to all kinds: when it takes part."""

    when: dict[str, Value | list[Value]] = Field(default_factory=dict)
    """Other parameters and the value (or values) that they must have; empty means always."""

    unless: dict[str, Value | list[Value]] = Field(default_factory=dict)
    """Other parameters and the value (or values) that none of them may have."""

    def applies(self, chosen: dict[str, Any]) -> bool:
        """Whether all conditions hold for what was chosen so far; a parameter that takes no part has no value."""

        def has(name: str, values: Value | list[Value]) -> bool:
            return name in chosen and chosen[name] in (values if isinstance(values, list) else [values])

        return all(has(*condition) for condition in self.when.items()) and not any(
            has(*condition) for condition in self.unless.items()
        )


class Fixed(Parameter):
    """Not searched."""

    type: Literal["fixed"] = "fixed"
    value: Value

    @property
    def default(self) -> Value:
        """Its one value."""
        return self.value

    def suggest(self, trial: optuna.Trial, name: str) -> Value:  # noqa: ARG002 - the kinds share one signature
        """Its one value; the sampler hears nothing of it."""
        return self.value


class Choice(Parameter):
    """One of some values."""

    type: Literal["choice"]
    values: list[Value] = Field(min_length=1)
    default: Value

    @model_validator(mode="after")
    def _check(self) -> "Choice":
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"a value stands twice in {self.values}")
        if self.default not in self.values:
            raise ValueError(f"the default {self.default!r} is none of {self.values}")
        return self

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        """Ask the sampler."""
        value: Value = trial.suggest_categorical(name, self.values)  # type: ignore[assignment]
        return value


class _Range(Parameter):
    low: float
    high: float
    log: bool = False
    step: float | None = Field(None, gt=0)
    default: float

    @model_validator(mode="after")
    def _check(self) -> "_Range":
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"low must not be above high; received {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a log scale needs low above 0; received {self.low}")
        if self.log and self.step is not None:
            raise ValueError("log and step do not go together")
        if not self.low <= self.default <= self.high:
            raise ValueError(f"the default {self.default} is not within {self.low} to {self.high}")
        return self


class Float(_Range):
    """A number."""

    type: Literal["float"]

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        """Ask the sampler."""
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)


class Int(_Range):
    """A whole number."""

    type: Literal["int"]
    low: int
    high: int
    step: int | None = Field(None, ge=1)
    default: int

    def suggest(self, trial: optuna.Trial, name: str) -> int:
        """Ask the sampler."""
        return trial.suggest_int(name, self.low, self.high, step=self.step or 1, log=self.log)


AnyParameter = Annotated[Fixed | Choice | Float | Int, Field(discriminator="type")]

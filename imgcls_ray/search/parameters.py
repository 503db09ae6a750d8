"""The kinds of parameters a search space is made of."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from optuna.trial import BaseTrial
from pydantic import Field, model_validator

from imgcls_ray.config import Settings

Value = bool | int | float | str


class Parameter(Settings):
    """Common to all kinds: when it takes part."""

    when: dict[str, Value | list[Value]] = Field(default_factory=dict)
    """Other parameters and the value (or values) that they must have; empty means always."""

    unless: dict[str, Value | list[Value]] = Field(default_factory=dict)
    """Other parameters and the value (or values) that none of them may have."""

    @property
    def conditions(self) -> list[str]:
        """The other parameters that it depends on."""
        return [*self.when, *self.unless]

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

    @property
    def options(self) -> Sequence[Value]:
        """Its one value."""
        return [self.value]

    def suggest(self, trial: BaseTrial, name: str) -> Value:  # noqa: ARG002 - the kinds share one signature
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

    @property
    def options(self) -> Sequence[Value]:
        """The values."""
        return self.values

    def suggest(self, trial: BaseTrial, name: str) -> Value:
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
        for name, value in (("high", self.high), ("default", self.default)):
            if self.step and (_decimal(value) - _decimal(self.low)) % _decimal(self.step):
                raise ValueError(f"{name} must be low plus a number of steps of {self.step}; received {value}")
        return self


class Float(_Range):
    """A number."""

    type: Literal["float"]

    @property
    def options(self) -> Sequence[Value] | None:
        """Each value, in order; None where there is no end of them."""
        if self.low == self.high:
            return [self.low]
        if self.step is None:
            return None
        steps = (_decimal(self.high) - _decimal(self.low)) // _decimal(self.step)
        return [self._at(number) for number in range(int(steps) + 1)]

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """Ask the sampler."""
        value = trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)
        # Optuna's 0.1 + 2 x 0.1 is 0.30000000000000004, and would be another setting than 0.3.
        return value if self.step is None else self._at(round((value - self.low) / self.step))

    def _at(self, number: int) -> float:
        return float(_decimal(self.low) + number * _decimal(self.step or 0))


class Int(_Range):
    """A whole number."""

    type: Literal["int"]
    low: int
    high: int
    step: int | None = Field(None, ge=1)
    default: int

    @property
    def options(self) -> Sequence[Value]:
        """Each value, in order."""
        return range(self.low, self.high + 1, self.step or 1)

    def suggest(self, trial: BaseTrial, name: str) -> int:
        """Ask the sampler."""
        return trial.suggest_int(name, self.low, self.high, step=self.step or 1, log=self.log)


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))


AnyParameter = Annotated[Fixed | Choice | Float | Int, Field(discriminator="type")]

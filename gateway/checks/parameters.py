"""What every parameter of a check is made of: strict, finite, and nothing that is not known."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.units import parse_value

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


def in_unit(unit: str) -> BeforeValidator:
    """Lets a parameter also be a text with its unit, such as ``"0.4 kV"``.

    Args:
        unit: UCUM code of what the number is kept in.
    """
    return BeforeValidator(
        lambda given: parse_value(given, unit) if isinstance(given, str) else given
    )


class Settings(BaseModel):
    """The parameters of one check, in canonical units; durations are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class NoSettings(Settings):
    """A check without parameters."""


class Limits(Settings):
    """Physical limits in the quantity's canonical unit, both included."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("give `low`, `high` or both")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("`low` must be below `high`")
        return self

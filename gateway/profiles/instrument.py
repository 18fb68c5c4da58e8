"""What the head of a profile says: title, instrument, type approval, plate, validity."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gateway.profiles.notation import check_moment

Moment = Annotated[str, AfterValidator(check_moment)]


class Model(BaseModel):
    """Base: unknown keys are faults, values are not coerced silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False
    )


class Title(Model):
    """A text in both languages of the console."""

    en: str
    zh: str


class Ratings(Model):
    """Limits of the instrument's plate, with their units: what it can show when it works.

    Flow rates of ISO 4064 (``q1`` to ``q4``) or of gas and fuel (``q_min``, ``q_max``), currents of
    IEC 62053 (``i_st`` to ``i_max``), and the largest power.
    """

    q1: str | None = None
    q2: str | None = None
    q3: str | None = None
    q4: str | None = None
    q_min: str | None = None
    q_max: str | None = None
    i_st: str | None = None
    i_min: str | None = None
    i_tr: str | None = None
    i_max: str | None = None
    p_max: str | None = None


class Caveat(Model):
    """A sentence for whoever evaluates the readings, with where more is to be found."""

    text: str
    link: str | None = None


def _check_date(value: str) -> str:
    try:
        dt.date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"expected a date such as '2026-01-31', got {value!r}") from None
    return value


Date = Annotated[str, AfterValidator(_check_date)]


class TypeApproval(Model):
    """The type approval of the model: its number, who gave it, and from when until when."""

    number: str
    authority: str | None = None
    issued: Date | None = None
    until: Date | None = None
    link: str | None = None


class Instrument(Model):
    """What the profile is for: maker, model and the data of its type approval."""

    vendor: str | None = None
    model: str | None = None
    models: list[str] = []
    accuracy_class: str | None = None
    type_approval: str | TypeApproval | None = None
    standard: str | None = None
    firmware: str | None = None
    link: str | None = None
    ratings: Ratings = Ratings()


class Valid(Model):
    """When the profile holds: for messages received ``from`` a time on, and before ``until``."""

    from_: Moment | None = Field(default=None, alias="from")
    until: Moment | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ is None and self.until is None:
            raise ValueError("say 'from' or 'until', or both")
        if self.from_ and self.until:
            since, until = self.span
            if since >= until:
                raise ValueError(f"from ({self.from_}) must be before until ({self.until})")
        return self

    @property
    def span(self) -> tuple[int, int]:
        """The first nanosecond of 1970 UTC at which it holds, and the first at which it no more."""
        return (
            0 if self.from_ is None else _nanoseconds(self.from_),
            _FOREVER if self.until is None else _nanoseconds(self.until),
        )


def _nanoseconds(text: str) -> int:
    since = dt.datetime.fromisoformat(text) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return since // dt.timedelta(microseconds=1) * 1000


_FOREVER = 2**63

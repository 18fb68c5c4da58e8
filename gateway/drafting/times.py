"""The instrument's time in unknown messages: its place, its form, and the zone of its clock."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.drafting.fields import Field
from gateway.drafting.guess import span_words, time_words
from gateway.errors import DecodeError
from gateway.moments import from_pattern, moment

PATTERNS: Final = (
    "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S",
    "%d.%m.%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%Y%m%d%H%M%S", "%y%m%d%H%M%S", "%Y%m%d %H%M%S",
    "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M", "%d-%m-%Y %H:%M",
    "%Y%m%d%H%M", "%y%m%d%H%M", "%Y-%m-%dT%H:%M", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ",
    "%Y年%m月%d日 %H:%M:%S", "%Y年%m月%d日 %H时%M分%S秒", "%y-%m-%d %H:%M:%S", "%d.%m.%y %H:%M:%S",
    "%b %d %Y %H:%M:%S", "%d %b %Y %H:%M:%S",
)  # fmt: skip
_EPOCHS: Final = {"epoch_s": 1.0, "epoch_ms": 1e3, "epoch_us": 1e6, "epoch_ns": 1e9}
_ZONES: Final = (
    "UTC", "Asia/Shanghai", "Europe/Berlin", "Europe/London", "Asia/Kolkata", "Asia/Tokyo",
    "America/New_York", "America/Chicago", "America/Los_Angeles", "America/Sao_Paulo",
    "Europe/Moscow", "Asia/Dubai", "Asia/Bangkok", "Australia/Sydney", "Africa/Johannesburg",
)  # fmt: skip
_DATE: Final = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|20\d{6}")
_CLOCK: Final = re.compile(r"\d{1,2}:\d\d(:\d\d)?|[0-2]\d[0-5]\d[0-5]\d")
_NEAR_S: Final = 600
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Form:
    """How a place tells a time.

    Attributes:
        word: the form, as a profile says it.
        text: an epoch that comes as text.
        local: it tells no offset from UTC.
        away: how far the times are from those of receipt, in seconds (median).
    """

    word: str
    text: bool
    local: bool
    away: float


def form_of(each: Field, received: Sequence[int]) -> Form | None:
    """The form of time that all values have, the one nearest to receipt; None where they have none.

    Args:
        each: a place.
        received: when each value's message was received, nanoseconds; as many as values, or none.
    """
    found = [form for form in _forms(each.values, received) if form is not None]
    return min(found, key=lambda form: form.away) if found else None


def _forms(values: Sequence[Any], received: Sequence[int]) -> Iterator[Form | None]:
    if not values or any(isinstance(value, bool) for value in values):
        return
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) == len(values) or all(re.fullmatch(r"\d{9,19}(\.\d+)?", t) for t in texts):
        seconds = [float(value) for value in values]
        for word, per_second in _EPOCHS.items():
            moments = [s / per_second for s in seconds]
            if all(1.2e9 < s < 4.1e9 for s in moments):
                away = _away([int(s * 1e9) for s in moments], received)
                yield Form(word, bool(texts), local=False, away=away)
    if len(texts) < len(values):
        return
    yield _read(texts, received, "iso")
    for pattern in PATTERNS:
        yield _read(texts, received, pattern)


def _read(texts: Sequence[str], received: Sequence[int], word: str) -> Form | None:
    read = []
    for text in texts:
        at = moment_of(text, word, dt.UTC)
        if at is None:
            return None
        read.append(at)
    local = not (word.endswith("Z") or (word == "iso" and all(map(_has_offset, texts))))
    return Form(word, text=False, local=local, away=_away(read, received))


def _has_offset(text: str) -> bool:
    return re.search(r"(Z|z|[+-]\d\d:?\d\d)$", text) is not None


def moment_of(text: str, word: str, zone: dt.tzinfo) -> int | None:
    """A text's moment in nanoseconds by a form; None where it does not fit."""
    try:
        return moment(text, zone) if word == "iso" else from_pattern(text, word, zone)
    except DecodeError:
        return None


def _away(moments: Sequence[int], received: Sequence[int]) -> float:
    pairs = list(zip(moments, received, strict=False))
    if not pairs:
        return 0.0
    return statistics.median(abs(at - came) / 1e9 for at, came in pairs)


def zone_of(each: Field, then: Field | None, form: str, received: Sequence[int]) -> str | None:
    """The time zone in which the clock agrees with the times of receipt; None where none does."""
    texts = [str(value) for value in each.values]
    if then is not None:
        texts = [f"{a} {b}" for a, b in zip(texts, then.values, strict=False)]
    best: tuple[float, str] | None = None
    for name in _ZONES:
        zone = ZoneInfo(name)
        moments = [moment_of(text, form, zone) for text in texts]
        read = [at for at in moments if at is not None]
        if len(read) < len(texts):
            continue
        away = _away(read, received)
        if away <= _NEAR_S and (best is None or away < best[0] - 1):
            best = away, name
    return best[1] if best else None


def pair_of(fields: Iterable[Field], received: Sequence[int]) -> tuple[Field, Field, Form] | None:
    """A date and a time of day that are two fields beside each other."""
    found = [each for each in fields if _is_text(each)]
    dates = [each for each in found if all(_DATE.fullmatch(value) for value in each.values)]
    clocks = [each for each in found if all(_CLOCK.fullmatch(value) for value in each.values)]
    for date, clock in itertools.product(dates, clocks):
        if date.path[:-1] != clock.path[:-1] or len(date.values) != len(clock.values):
            continue
        texts = [f"{a} {b}" for a, b in zip(date.values, clock.values, strict=True)]
        joined = Field(date.path, texts, date.owners)
        form = form_of(joined, received)
        if form is not None:
            return date, clock, form
    return None


def _is_text(each: Field) -> bool:
    return bool(each.values) and all(isinstance(value, str) for value in each.values)


def rank_of(each: Field, form: Form) -> float:
    """How likely a place is the instrument's time; the least is the likeliest, infinite is none."""
    words, span = time_words(each), span_words(each)
    later = {"started_at": 1000, "ended_at": 100}.get(span or "", 0)
    if words is not None or span is not None:
        return (words or 0) + later
    # A name that says nothing, but values of just the time of receipt.
    near = form.away < 2 * _DAY_S and form.word != "epoch_s"
    return 500.0 + later if near or form.away < _NEAR_S else float("inf")

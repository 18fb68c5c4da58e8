"""How values are written on paper: times on the wall clock, numbers, names of things."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.quantities import BY_NAME
from gateway.reports.formula import decimal, told
from gateway.reports.periods import ZONE
from gateway.times import SECOND, nanoseconds

if TYPE_CHECKING:
    from gateway.messages import Texts

_NANOSECONDS: Final = 10**15


def moment(at: int) -> str:
    """A time in ns as a wall clock says it, with its offset: ``2026-03-01 08:00:00 +08:00``."""
    return f"{wall(at)} {offset(at)}"


def wall(at: int) -> str:
    """The same without the offset, for a column whose head has it."""
    seconds, fraction = divmod(at, SECOND)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{dt.datetime.fromtimestamp(seconds, ZONE):%Y-%m-%d %H:%M:%S}{digits}"


def offset(at: int) -> str:
    """The offset from UTC of the wall clock at a time: ``+08:00``."""
    told = f"{dt.datetime.fromtimestamp(at // SECOND, ZONE):%z}"
    return f"{told[:3]}:{told[3:5]}"


def second(at: int) -> str:
    """A time without the fraction of its second."""
    return moment(at - at % SECOND)


def label(text: str) -> str:
    """A name as the beginning of a line; those of formulas stay as they are."""
    return text if "_" in text else text[:1].upper() + text[1:]


def moment_of(text: str) -> str:
    """An RFC 3339 text as `moment` writes it."""
    return moment(nanoseconds(text))


def value(name: str, given: Any) -> str:  # noqa: ANN401 - any JSON of evidence
    """A value of evidence: a time where the name says so, a number as short as it is."""
    at = _moment(name, given)
    if at is not None:
        return moment(at)
    if isinstance(given, str):
        return given
    number = decimal(given)
    if number is not None:
        return told(number)
    if isinstance(given, dict) and set(given) <= {"low", "high"} and given:
        low, high = (value(name, given[key]) if key in given else "…" for key in ("low", "high"))
        return low if low == high else f"{low} … {high}"
    return msgspec.json.encode(given).decode()


def _moment(name: str, given: object) -> int | None:
    """A time in ns, where the name says that it is one."""
    if not name.endswith(("_at", "from", "to", "until")):
        return None
    if isinstance(given, int) and given > _NANOSECONDS:
        return given
    try:
        return nanoseconds(given) if isinstance(given, str) else None
    except ValueError:
        return None


def flat(name: str, given: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - any JSON of evidence
    """Nested values with dotted names, as a formula names them."""
    if isinstance(given, dict) and given and not set(given) <= {"low", "high"}:
        return [pair for key, each in given.items() for pair in flat(f"{name}.{key}", each)]
    return [(name, given)]


def quantity(texts: Texts, name: str) -> str:
    """A quantity's name in the language, with the one that formulas use."""
    word = texts.word("quantity", name)
    return name if word == name.replace("_", " ") or word == name else f"{word} ({name})"


def unit_of(kind: str, name: str, currency: str | None = None) -> str:
    """The canonical unit of a quantity, empty where it has none."""
    known = BY_NAME.get(kind, {}).get(name)
    if known is None or known.unit == "1" or known.type in {"text", "flag", "time"}:
        return ""
    return known.unit.replace("CUR", currency or "CNY")


def told_number(given: object) -> str:
    """A number as it is, nothing where there is none."""
    number = decimal(given)
    return "" if number is None else told(number)

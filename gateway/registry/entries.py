"""One entry of a registry file: from named values to a checked record, with every fault at once.

A row is of one kind of record, which its ``record`` says: ``device`` (the default), ``site``,
``owner`` or ``certificate``.  Its other keys are the fields of that record.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from gateway.certificates import Document
from gateway.errors import ConfigError
from gateway.quantities import KINDS
from gateway.records import Certificate, Device, Owner, Site
from gateway.registry.codes import REGION, credit_code_fault, looks_like_credit_code, province
from gateway.times import nanoseconds, rfc3339

Record = Device | Site | Owner | Certificate
Key = tuple[str, ...]

RECORDS: Final[dict[str, type[Record]]] = {
    "device": Device, "site": Site, "owner": Owner, "certificate": Certificate,
}  # fmt: skip
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "device": ("device_id",),
    "site": ("site",),
    "owner": ("owner",),
    "certificate": ("device_id", "number"),
}
"""What names a record; `valid_from` tells its versions apart."""

TIMES: Final = (
    "commissioned_at", "verified_at", "verified_until", "issued_at", "valid_until", "valid_from",
)  # fmt: skip
DEGREES: Final = {"longitude": 180.0, "latitude": 90.0}
_RESULTS: Final = ("pass", "fail")
_SHOWN_FAULTS: Final = 50
_LONGEST: Final = 256
_CONTROL: Final = frozenset(map(chr, (*range(32), 127)))
_ORDER: Final = (("verified_at", "verified_until"), ("verified_at", "valid_until"))
_POINTS: Final = 1_000


class RegistryError(ConfigError):
    """A registry is wrong; the message lists every fault with file, line and field."""

    def __init__(self, faults: list[str]) -> None:
        shown = faults[:_SHOWN_FAULTS]
        if len(faults) > _SHOWN_FAULTS:
            shown.append(f"and {len(faults) - _SHOWN_FAULTS} more")
        super().__init__("\n".join(shown))
        self.faults = faults


class Entry(NamedTuple):
    """A record and where it stands: ``devices.csv:12``."""

    place: str
    record: Record


class Read(msgspec.Struct):
    """What files say: entries in their order, faults that forbid them, and what is only odd.

    ``documents`` are certificates whose devices are still to be found; ``refused`` are the ids of
    devices whose rows are faulty, so that nobody is told that they are not there.  ``digests`` are
    the SHA-256 of the files.
    """

    entries: list[Entry] = []
    documents: list[Document] = []
    faults: list[str] = []
    warnings: list[str] = []
    refused: set[str] = set()
    digests: dict[str, str] = {}


def kind_of(record: Record) -> str:
    """``device``, ``site``, ``owner`` or ``certificate``."""
    return type(record).__name__.lower()


def key_of(record: Record) -> Key:
    """The kind of a record and what names it among those of its kind."""
    return _KEY_OF[record.__class__](record)


_KEY_OF: Final[dict[type, Callable[[Any], Key]]] = {
    Device: lambda device: ("device", device.device_id),
    Site: lambda site: ("site", site.site),
    Owner: lambda owner: ("owner", owner.owner),
    Certificate: lambda one: ("certificate", one.device_id, one.number),
}


def as_line(record: Record) -> dict[str, Any]:
    """A record as a registry file has it: nothing absent, times as RFC 3339."""
    line: dict[str, Any] = {} if isinstance(record, Device) else {"record": kind_of(record)}
    for key, value in msgspec.structs.asdict(record).items():
        if value is not None and value not in ({}, []):
            line[key] = rfc3339(value) if key in TIMES else value
    return line


def take_row(row: dict[str, Any], place: str, read: Read) -> None:
    """Adds the record of one row, or its faults, and its oddities, with their place.

    Args:
        row: values by name, as JSON has them.
        place: file and line, for messages.
        read: what is added to.
    """
    kind = row.get("record", "device")
    if not isinstance(kind, str) or kind not in RECORDS:
        known = ", ".join(RECORDS)
        read.faults.append(
            f"{place}: record: unknown kind of record {kind!r:.60}; known are {known}"
        )
        return
    type_ = RECORDS[kind]
    names = _NAMES[kind]
    problems: list[str] = []
    fields: dict[str, Any] = {}
    for key, value in row.items():
        if key in names:
            try:
                fields[key] = _READERS.get(key, _other)(key, value)
            except ValueError as error:
                problems.append(f"{key}: {error}")
        elif key != "record":
            problems.append(unknown_key(key, kind))
    problems += [f"{key} is missing" for key in KEYS[kind] if key not in row]
    problems += _against_each_other(fields)
    if problems:
        read.faults += [f"{place}: {problem}" for problem in problems]
        if isinstance(row.get("device_id"), str):
            read.refused.add(row["device_id"])
        return
    read.warnings += [f"{place}: {oddity}" for oddity in _oddities(fields, kind)]
    read.entries.append(Entry(place, type_(**fields)))


def unknown_key(key: str, kind: str | None = None) -> str:
    """What to say of a field that no record has, or not one of this kind."""
    names = ["record", *(RECORDS[kind].__struct_fields__ if kind else ALL_FIELDS)]
    owners = [name for name, type_ in RECORDS.items() if key in type_.__struct_fields__]
    if owners and kind:
        return f"{key!r} is no field of a {kind}; a {' or '.join(owners)} has it ('record' says)"
    close = difflib.get_close_matches(key, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
    return f"unknown field {key[:60]!r}; {hint}"


ALL_FIELDS: Final = tuple(
    dict.fromkeys(name for type_ in RECORDS.values() for name in type_.__struct_fields__)
)


def _against_each_other(fields: dict[str, Any]) -> list[str]:
    problems = []
    for first, last in _ORDER:
        begin, end = fields.get(first), fields.get(last)
        if begin is not None and end is not None and end < begin:
            problems.append(f"{last} is before {first}")
    return problems


def _oddities(fields: dict[str, Any], kind: str) -> list[str]:
    """What is said but not refused: the owner of a device may be any text, or a foreign region."""
    found = []
    region = fields.get("region")
    if region is not None and province(region) is None:
        found.append(f"region: {region[:2]} is no province of GB/T 2260, in {region!r}")
    owner = fields.get("owner")
    if owner is not None and kind != "owner":
        fault = _owner_fault(owner)
        if fault is not None:
            found.append(f"owner: {fault}")
    return found


@lru_cache(maxsize=65536)
def _owner_fault(owner: str) -> str | None:
    return credit_code_fault(owner) if looks_like_credit_code(owner) else None


# Each reads one field and raises ValueError: which rule it breaks, and what was got.


def _other(key: str, value: object) -> str:
    """Kinds, vendors, owners, regions: the same few words stand in every row."""
    if key == "region" and value.__class__ is int:
        value = str(value)
    return _known_text(key, _a_text(value))


def _name(_key: str, value: object) -> str:
    """Names of one thing each, that no other row has."""
    return _text(_a_text(value))


def _time(_key: str, value: object) -> int:
    return _moment(_a_text(value))


def _object(_key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a JSON object, got {_shown(value)}")  # noqa: TRY004 - one type
    return value


def _degrees(key: str, value: object) -> float:
    limit = DEGREES[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"must be a number of degrees, got {_shown(value)}")  # noqa: TRY004 - as above
    if not -limit <= value <= limit:
        raise ValueError(f"must be between {-limit:g} and {limit:g}, got {value}")
    return float(value)


def _a_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, got {_shown(value)}")  # noqa: TRY004 - one type of fault
    return value


_moment = lru_cache(maxsize=65536)(nanoseconds)


def _text(value: str) -> str:
    if not value or value != value.strip() or not _CONTROL.isdisjoint(value):
        raise ValueError(
            f"must be text without control characters or blanks around it, got {value[:60]!r}"
        )
    if len(value) > _LONGEST:
        raise ValueError(f"must have at most {_LONGEST} characters, got {len(value)}")
    return value


@lru_cache(maxsize=65536)
def _known_text(key: str, value: str) -> str:
    _text(value)
    if key == "kind" and value not in KINDS:
        close = difflib.get_close_matches(value, KINDS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(KINDS)}"
        raise ValueError(f"unknown kind {value!r}; {hint}")
    if key == "region" and not REGION.fullmatch(value):
        raise ValueError(f"must be the six digits of a GB/T 2260 code, got {value!r}")
    if key == "credit_code" and (fault := credit_code_fault(value)) is not None:
        raise ValueError(fault)
    if key == "result" and value not in _RESULTS:
        raise ValueError(f"must be {' or '.join(_RESULTS)}, got {value!r}")
    return value


def _points(_key: str, value: object) -> list[dict[str, dict[str, Any]]]:
    """The points of an error curve, each with its ``error``."""
    example = (
        '[{"flow_rate": {"value": 30, "unit": "L/min"}, "error": {"value": 0.1, "unit": "%"}}]'
    )
    if not isinstance(value, list) or len(value) > _POINTS:
        raise ValueError(f"must be a list of at most {_POINTS} points, such as {example}")
    for number, point in enumerate(value, 1):
        good = isinstance(point, dict) and "error" in point and all(map(_is_amount, point.values()))
        if not good:
            raise ValueError(f"point {number} is not like {example}, got {_shown(point)}")
    return value


def _is_amount(quantity: object) -> bool:
    if not isinstance(quantity, dict):
        return False
    numbers = [quantity.get("value"), *(quantity[key] for key in _EXTRA if key in quantity)]
    return (
        quantity.keys() <= {"value", "unit", *_EXTRA}
        and isinstance(quantity.get("unit"), str)
        and all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
    )


_EXTRA: Final = ("uncertainty", "coverage_factor")


def _shown(value: object) -> str:
    return repr(value)[:60]


_READERS: Final[dict[str, Callable[[str, Any], Any]]] = {
    **dict.fromkeys(("device_id", "serial_number", "certificate", "number"), _name),
    **dict.fromkeys(TIMES, _time),
    **dict.fromkeys(("parameters", "source"), _object),
    **dict.fromkeys(DEGREES, _degrees),
    "errors": _points,
}
_NAMES: Final = {kind: frozenset(type_.__struct_fields__) for kind, type_ in RECORDS.items()}

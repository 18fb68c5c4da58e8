"""Reads device registries, JSON Lines or CSV, and reports every fault at once.

The columns are the fields of ``Device``.  In CSV an empty cell is absent; ``parameters`` is a cell
with a JSON object, or one column a parameter (``parameters.k_factor``).
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.errors import ConfigError
from gateway.quantities import KINDS
from gateway.records import Device
from gateway.times import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIELDS: Final = Device.__struct_fields__
_TIMES: Final = ("commissioned_at", "verified_at", "verified_until")
_DEGREES: Final = {"longitude": 180.0, "latitude": 90.0}
_SHOWN_FAULTS: Final = 50
_LONGEST: Final = 256
_REGION: Final = re.compile(r"[1-9]\d{5}", re.ASCII)  # GB/T 2260
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class RegistryError(ConfigError):
    """A registry is wrong; the message lists every fault with file, line and field."""

    def __init__(self, faults: list[str]) -> None:
        shown = faults[:_SHOWN_FAULTS]
        if len(faults) > _SHOWN_FAULTS:
            shown.append(f"and {len(faults) - _SHOWN_FAULTS} more")
        super().__init__("\n".join(shown))
        self.faults = faults


def read_registry(path: Path | None) -> list[Device]:
    """The devices of a file (``.csv``, else JSON Lines), or of standard input when None.

    Raises:
        RegistryError: with every fault of the file.
    """
    name = str(path) if path is not None else "<stdin>"
    try:
        raw = path.read_bytes() if path is not None else sys.stdin.buffer.read()
    except OSError as error:
        raise RegistryError([f"{name}: cannot be read: {error.strerror}"]) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RegistryError([f"{name}:{line}: not UTF-8; save the file as UTF-8"]) from None
    is_csv = path.suffix == ".csv" if path is not None else not text.lstrip().startswith("{")
    faults: list[str] = []
    devices: list[Device] = []
    lines_of: dict[str, int] = {}
    rows = _csv_rows(text, name, faults) if is_csv else _json_rows(text, name, faults)
    for line, row in rows:
        problems, device = _device(row)
        faults += [f"{name}:{line}: {problem}" for problem in problems]
        if device is None:
            continue
        earlier = lines_of.setdefault(device.device_id, line)
        if earlier != line:
            faults.append(
                f"{name}:{line}: device_id {device.device_id!r} is already on line {earlier}; "
                "one line a device"
            )
        devices.append(device)
    if faults:
        raise RegistryError(faults)
    return devices


def _json_rows(text: str, name: str, faults: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            faults.append(f"{name}:{number}: not a JSON object: {error}")
            continue
        yield number, {key: value for key, value in row.items() if value is not None}


def _csv_rows(text: str, name: str, faults: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        twice = sorted({column for column in header if header.count(column) > 1})
        problems = [f"column {column!r} is there twice" for column in twice]
        problems += _unknown_keys([column for column in header if not _is_parameter(column)])
        if problems:
            faults += [f"{name}:1: {problem}" for problem in problems]
            return
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(header):
                faults.append(
                    f"{name}:{reader.line_num}: {len(cells)} cells under a header of {len(header)}"
                )
                continue
            yield reader.line_num, _csv_row(header, cells)
    except csv.Error as error:
        faults.append(f"{name}:{reader.line_num}: not CSV: {error}")


def _is_parameter(column: str) -> bool:
    return column.startswith("parameters.") and len(column) > len("parameters.")


def _csv_row(header: list[str], cells: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for column, cell in zip(header, cells, strict=True):
        value = cell.strip()
        if not value:
            continue
        if _is_parameter(column):
            extra[column.removeprefix("parameters.")] = _scalar(value)
        elif column == "parameters" or column in _DEGREES:
            row[column] = _scalar(value)
        else:
            row[column] = value
    if extra:
        given = row.get("parameters", {})
        row["parameters"] = {**given, **extra} if isinstance(given, dict) else given
    return row


def _scalar(text: str) -> object:
    """JSON where it is JSON, else the text: 12.5 is a number, beijing-2013 and 0012 are text."""
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return text


def _unknown_keys(keys: list[str]) -> list[str]:
    problems = []
    for key in keys:
        if key in FIELDS:
            continue
        close = difflib.get_close_matches(key, FIELDS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(FIELDS)}"
        problems.append(f"unknown field {key[:60]!r}; {hint}")
    return problems


def _device(row: dict[str, Any]) -> tuple[list[str], Device | None]:
    """The faults of one row, or its device."""
    problems = _unknown_keys(list(row))
    fields: dict[str, Any] = {}
    for key, value in row.items():
        if key not in FIELDS:
            continue
        try:
            fields[key] = _field(key, value)
        except ValueError as error:
            problems.append(f"{key}: {error}")
    if "device_id" not in row:
        problems.append("device_id is missing")
    since, until = fields.get("verified_at"), fields.get("verified_until")
    if since is not None and until is not None and until < since:
        problems.append("verified_until is before verified_at")
    return problems, None if problems else Device(**fields)


def _field(key: str, value: object) -> object:
    """The checked value of one field.

    Raises:
        ValueError: which rule it breaks, and what was got.
    """
    if key == "parameters":
        if not isinstance(value, dict):
            raise ValueError(f"must be a JSON object, got {_shown(value)}")
        return value
    if key in _DEGREES:
        limit = _DEGREES[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"must be a number of degrees, got {_shown(value)}")
        if not -limit <= value <= limit:
            raise ValueError(f"must be between {-limit:g} and {limit:g}, got {value}")
        return float(value)
    if key == "region" and isinstance(value, int):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"must be text, got {_shown(value)}")  # noqa: TRY004 - one type of fault
    if key in _TIMES:
        return nanoseconds(value)
    return _text(key, value)


def _text(key: str, value: str) -> str:
    if not value or value != value.strip() or _CONTROL.search(value):
        raise ValueError(
            f"must be text without control characters or blanks around it, got {value[:60]!r}"
        )
    if len(value) > _LONGEST:
        raise ValueError(f"must have at most {_LONGEST} characters, got {len(value)}")
    if key == "kind" and value not in KINDS:
        close = difflib.get_close_matches(value, KINDS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(KINDS)}"
        raise ValueError(f"unknown kind {value!r}; {hint}")
    if key == "region" and not _REGION.fullmatch(value):
        raise ValueError(f"must be the six digits of a GB/T 2260 code, got {value!r}")
    return value


def _shown(value: object) -> str:
    return repr(value)[:60]

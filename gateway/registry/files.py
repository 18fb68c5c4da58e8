"""Reads registry files, JSON Lines, CSV and certificates in XML, and reports every fault at once.

The columns are the fields of the records.  In CSV an empty cell is absent; ``parameters`` is a cell
with a JSON object, or one column a parameter (``parameters.k_factor``).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sys
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.certificates import read_certificate
from gateway.records import Device
from gateway.registry.entries import (
    ALL_FIELDS,
    DEGREES,
    KEYS,
    Read,
    RegistryError,
    key_of,
    take_row,
    unknown_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from gateway.certificates import Period

_KEY_END: Final = re.compile(r'"[ \t\r\n]*:')
_JSON_CELLS: Final = frozenset(("parameters", "source", "errors", *DEGREES))


def read_registry(path: Path | None) -> list[Device]:
    """The devices of a file (``.csv``, else JSON Lines), or of standard input when None.

    Several versions of a device differ in ``valid_from``.  Records of sites, owners and
    certificates are judged, too, but not among the answer.

    Raises:
        RegistryError: with every fault of the file.
    """
    found = read_files([path])
    if found.faults:
        raise RegistryError(found.faults)
    return [each.record for each in found.entries if isinstance(each.record, Device)]


def read_files(
    paths: Sequence[Path | None], *, zone: tzinfo = UTC, valid_for: Period | None = None
) -> Read:
    """What registry files say, together: no record may be in two of them.

    Args:
        paths: certificates (``.xml``), tables (``.csv``), else JSON Lines; None is standard input,
            of which the first character tells.
        zone: of dates of certificates that say no offset.
        valid_for: how long a certificate holds that does not say it.
    """
    found = Read()
    for path in paths:
        _read_file(path, found, zone, valid_for)
    _once_only(found)
    return found


def _read_file(path: Path | None, found: Read, zone: tzinfo, valid_for: Period | None) -> None:
    name = str(path) if path is not None else "<stdin>"
    try:
        raw = path.read_bytes() if path is not None else sys.stdin.buffer.read()
    except OSError as error:
        found.faults.append(f"{name}: cannot be read: {error.strerror}")
        return
    found.digests[name] = hashlib.sha256(raw).hexdigest()
    suffix = path.suffix.lower() if path is not None else _SUFFIXES.get(_first(raw), ".csv")
    if suffix == ".xml":
        document = read_certificate(
            raw, name, found.faults, found.warnings, zone=zone, valid_for=valid_for
        )
        if document is not None:
            found.documents.append(document)
        return
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        found.faults.append(f"{name}:{line}: not UTF-8; save the file as UTF-8")
        return
    rows = (_csv_rows if suffix == ".csv" else _json_rows)(text, name, found.faults)
    for line, row in rows:
        take_row(row, f"{name}:{line}", found)


_SUFFIXES: Final = {b"<": ".xml", b"{": ".jsonl", b"": ".jsonl"}


def _first(raw: bytes) -> bytes:
    """The first byte that is no blank and no mark of the byte order."""
    return raw[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]


def _once_only(found: Read) -> None:
    """Two rows that say when the same record begins contradict each other, or say it twice."""
    places: dict[tuple[object, ...], str] = {}
    for place, record in found.entries:
        key = key_of(record)
        earlier = places.setdefault((*key, getattr(record, "valid_from", None)), place)
        if earlier == place:
            continue
        (file, _, line), kind = earlier.rpartition(":"), key[0]
        where = f"line {line}" if file == place.rpartition(":")[0] else earlier
        found.faults.append(
            f"{place}: {' '.join(KEYS[kind])} {' '.join(key[1:])!r} is already on {where}; one "
            f"line a {kind}"
            + ("" if kind == "certificate" else ", or one a version, by valid_from")
        )


def _json_rows(text: str, name: str, faults: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            continue
        try:
            row = decode(line)
        except (msgspec.MsgspecError, RecursionError) as error:
            faults.append(f"{name}:{number}: not a JSON object: {error}")
            continue
        twice = _keys_twice(line, row)
        if twice:
            faults += [f"{name}:{number}: {key} is there twice" for key in twice]
            continue
        yield number, {key: value for key, value in row.items() if value is not None}


def _keys_twice(text: str, value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    """Keys that stand twice in an object of a JSON text: the parser keeps the last and is silent.

    A nozzle that is named twice has two tanks, of which one would be forgotten.
    """
    # Each key ends with a quotation mark and a colon: as many as keys, and none was forgotten.
    if len(_KEY_END.findall(text)) == _count_keys(value):
        return []
    twice: dict[str, None] = {}

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [key for key, _ in pairs]
            twice.update((repr(key)[:80], None) for key in names if names.count(key) > 1)
        return made

    try:
        json.loads(text, object_pairs_hook=note)
    except (ValueError, RecursionError):
        return []  # what the faster parser took and this one does not is not about its keys
    return list(twice)


def _count_keys(value: object) -> int:
    if isinstance(value, dict):
        return len(value) + sum(_count_keys(v) for v in value.values() if v.__class__ in _NESTED)
    if isinstance(value, list):
        return sum(_count_keys(item) for item in value if item.__class__ in _NESTED)
    return 0


_NESTED: Final = (dict, list)


def _csv_rows(text: str, name: str, faults: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        twice = sorted({column for column in header if header.count(column) > 1})
        problems = [f"column {column!r} is there twice" for column in twice]
        problems += [
            unknown_key(column)
            for column in header
            if column not in _COLUMNS and not _is_parameter(column)
        ]
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
            row, problems = _csv_row(header, cells)
            if problems:
                faults += [f"{name}:{reader.line_num}: {problem}" for problem in problems]
                continue
            yield reader.line_num, row
    except csv.Error as error:
        faults.append(f"{name}:{reader.line_num}: not CSV: {error}")


_COLUMNS: Final = frozenset(("record", *ALL_FIELDS))


def _is_parameter(column: str) -> bool:
    return column.startswith("parameters.") and len(column) > len("parameters.")


def _csv_row(header: list[str], cells: list[str]) -> tuple[dict[str, Any], list[str]]:
    row: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    problems: list[str] = []
    for column, cell in zip(header, cells, strict=True):
        text = cell.strip()
        if not text:
            continue
        if column in _JSON_CELLS or column[:11] == "parameters.":
            value = _scalar(text)
            if value.__class__ in _NESTED:
                problems += [f"{column}: {key} is there twice" for key in _keys_twice(text, value)]
            if column in _JSON_CELLS:
                row[column] = value
            else:
                extra[column[11:]] = value
        else:
            row[column] = text
    if extra:
        given = row.get("parameters", {})
        row["parameters"] = {**given, **extra} if isinstance(given, dict) else given
    return row, problems


def _scalar(text: str) -> object:
    """JSON where it is JSON, else the text: 12.5 is a number, beijing-2013 and 0012 are text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return text

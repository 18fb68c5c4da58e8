"""Records into Arrow columns: the fast way into the embedded store (see DECISIONS.md, 1).

Money arrives as a float whose shortest decimal form is the amount.  Below a thousand million the
database's own cast to DECIMAL(18,6) gives that very decimal (the error of one multiplication by
10^6 stays far under half a unit); above, the decimal is built from the shortest form.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa
from msgspec.structs import astuple

from gateway.errors import StoreRefused
from gateway.quantities import BY_NAME, KINDS, Type
from gateway.records import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateway.records import Flag, Quarantined

PAYLOAD_KEPT: Final = 65536
"""Bytes of a quarantined payload that the store keeps; the ledger has the whole."""
_PAYLOADS_KEPT: Final = 8 * 1024 * 1024
_PAYLOAD_LEAST: Final = 256
"""Bytes of all payloads of a commit, and of each: of a flood the store keeps the heads only."""

# Small arrays, often: the C library's allocator is as fast as Arrow's own here and keeps 6 MB less.
pa.set_memory_pool(pa.system_memory_pool())

_NS: Final = pa.timestamp("ns")
_TEXT: Final = pa.string()
_INT: Final = pa.int64()
_MONEY: Final = pa.decimal128(18, 6)
_EXACT_BELOW: Final = 1e9

_FAULTS: Final = (pa.ArrowException, TypeError, ValueError, ArithmeticError, LookupError)

_ARROW: Final[dict[Type, pa.DataType]] = {
    "number": pa.float64(),
    "money": pa.float64(),
    "text": _TEXT,
    "flag": pa.bool_(),
    "time": _INT,
}


def reading_tables(readings: Sequence[Reading], first: int) -> Iterator[tuple[str, pa.Table]]:
    """Readings as one table a kind, in the given order, ``position`` counting from ``first``.

    A column that no reading of the kind has is left out: ``INSERT ... BY NAME`` fills it.

    Raises:
        StoreRefused: a value that its column cannot hold, an unknown kind or quantity.
    """
    count = len(readings)
    kinds = [reading.kind for reading in readings]
    if kinds.count(kinds[0]) == count:
        positions: Sequence[int] = range(first, first + count)
        yield kinds[0], _table(kinds[0], readings, positions)
        return
    groups: dict[str, list[int]] = {}
    for index, kind in enumerate(kinds):
        groups.setdefault(kind, []).append(index)
    for kind, indexes in groups.items():
        positions = [first + index for index in indexes]
        yield kind, _table(kind, [readings[index] for index in indexes], positions)


def joined(tables: Iterable[tuple[str, pa.Table]]) -> Iterator[tuple[str, pa.Table]]:
    """One table a kind, in the order given, which is that of positions; no value is copied."""
    groups: dict[str, list[pa.Table]] = {}
    for kind, table in tables:
        groups.setdefault(kind, []).append(table)
    for kind, parts in groups.items():
        # A part with amounts too large for a double's cast brings decimals: then all do.
        exact = {field.name for part in parts for field in part.schema if field.type == _MONEY}
        alike = [_with_decimals(part, exact) for part in parts] if exact else parts
        yield kind, pa.concat_tables(alike, promote_options="default")


def _with_decimals(table: pa.Table, names: set[str]) -> pa.Table:
    fields = [field.with_type(_MONEY) if field.name in names else field for field in table.schema]
    return table.cast(pa.schema(fields))


def _table(kind: str, readings: Sequence[Reading], positions: Sequence[int]) -> pa.Table:
    if kind not in KINDS:
        raise StoreRefused(f"store: kind {kind!r} is none of {', '.join(KINDS)}")
    try:
        fields = _fields(readings)
        columns = _fixed(fields, positions)
        names, values = fields["names"], fields["values"]
        if names.count(names[0]) == len(names):
            columns |= _one_layout(kind, names[0], values)
        else:
            columns |= _layouts(kind, names, values)
        return pa.table(columns)
    except _FAULTS as fault:
        raise _blame(kind, readings, fault) from fault


def _fields(readings: Sequence[Reading]) -> dict[str, tuple[Any, ...]]:
    """The fields of readings by name: one look at each reading, while it is in the cache."""
    columns = zip(*map(astuple, readings), strict=True)
    return dict(zip(Reading.__struct_fields__, columns, strict=True))


def _fixed(fields: dict[str, tuple[Any, ...]], positions: Sequence[int]) -> dict[str, pa.Array]:
    status = fields["status"]
    return {
        "position": pa.array(positions, _INT),
        "device_id": pa.array(fields["device_id"], _TEXT),
        "event": _text(fields["event"]),
        "channel": _text(fields["channel"]),
        "measured_at": pa.array(fields["measured_at"], _INT).view(_NS),
        "received_at": pa.array(fields["received_at"], _INT).view(_NS),
        "sequence": pa.array(fields["sequence"], _INT),
        "quality": _text(fields["quality"]),
        "status": _text([",".join(words) if words else None for words in status]),
        "currency": _text(fields["currency"]),
        "profile": _text(fields["profile"]),
        "ledger_offset": pa.array(fields["ledger_offset"], _INT),
    }


def _text(values: Sequence[Any]) -> pa.Array:
    """Text that is mostly the same word: comparing identities is cheaper than converting."""
    first = values[0]
    if values.count(first) == len(values):
        return pa.repeat(pa.scalar(first, _TEXT), len(values))
    return pa.array(values, _TEXT)


def _one_layout(
    kind: str, names: Sequence[str], values: Sequence[tuple[Any, ...]]
) -> dict[str, pa.Array]:
    types = BY_NAME[kind]
    # strict: a reading with fewer values than names must not be cut silently.
    return {
        name: _column(types[name].type, column)
        for name, column in zip(names, zip(*values, strict=True), strict=True)
    }


def _layouts(
    kind: str, names: Sequence[tuple[str, ...]], values: Sequence[tuple[Any, ...]]
) -> dict[str, pa.Array]:
    """Quantities of readings that have different ones: blocks padded, then put back in order."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, of_one in enumerate(names):
        groups.setdefault(of_one, []).append(index)
    blocks = [
        (
            len(indexes),
            _one_layout(kind, of_one, [values[index] for index in indexes]) if of_one else {},
        )
        for of_one, indexes in groups.items()
    ]
    order = [index for indexes in groups.values() for index in indexes]
    place = [0] * len(order)
    for at, index in enumerate(order):
        place[index] = at
    taken = pa.array(place, _INT)
    present = dict.fromkeys(name for _, block in blocks for name in block)
    columns = {}
    for name in present:
        found = [block[name] for _, block in blocks if name in block]
        # A block with amounts too large for a double's cast brings decimals: then all do.
        kind_of = next((array.type for array in found if array.type == _MONEY), found[0].type)
        parts = [
            block[name].cast(kind_of) if name in block else pa.nulls(size, kind_of)
            for size, block in blocks
        ]
        columns[name] = pa.concat_arrays(parts).take(taken)
    return columns


def _column(type_: Type, values: Sequence[Any]) -> pa.Array:
    array = pa.array(values, _ARROW[type_])
    if type_ == "time":
        return array.view(_NS)
    if type_ == "money":
        present = values if not array.null_count else [v for v in values if v is not None]
        if present and not -_EXACT_BELOW < min(present) <= max(present) < _EXACT_BELOW:
            return decimals(values)
    return array


def decimals(values: Sequence[float | None]) -> pa.Array:
    """Money as exact DECIMAL(18,6), from the shortest form of each float."""
    unit = Decimal("0.000001")
    return pa.array(
        [None if value is None else Decimal(repr(value)).quantize(unit) for value in values],
        _MONEY,
    )


def _blame(kind: str, readings: Sequence[Reading], fault: Exception) -> StoreRefused:
    """Finds the reading that its column cannot hold; only after a fault, so it may be slow."""
    for reading in readings:
        why = _why_not(kind, reading)
        if why is not None:
            offset = reading.ledger_offset
            where = f"store: reading of {reading.device_id!r} at ledger offset {offset}"
            return StoreRefused(f"{where}: {why}", offset)
    return StoreRefused(f"store: readings of {kind}: {fault}")


def _why_not(kind: str, reading: Reading) -> str | None:
    unknown = [name for name in reading.names if name not in BY_NAME[kind]]
    if unknown:
        return f"{kind} has no quantity {', '.join(unknown)}"
    if len(reading.names) != len(reading.values):
        return f"{len(reading.names)} names but {len(reading.values)} values"
    for name, value in zip(reading.names, reading.values, strict=True):
        type_ = BY_NAME[kind][name].type
        try:
            _column(type_, [value])
        except _FAULTS:
            return f"{name} should be a {type_}, got {value!r}"
    try:
        _fixed(_fields([reading]), [0])
    except _FAULTS as fault:
        return str(fault)
    return None


def flag_tables(flags: Sequence[Flag], number: int, most: int) -> Iterator[pa.Table]:
    """Flags as tables of at most so many; of several versions of one id only the last.

    Their changes are numbered from ``number`` on.

    Raises:
        StoreRefused: a value that its column cannot hold.
    """
    latest = list({flag.id: flag for flag in flags}.values())
    for first in range(0, len(latest), most):
        yield _flag_table(latest[first : first + most], number + first)


def _flag_table(latest: Sequence[Flag], number: int) -> pa.Table:
    times = ("measured_at", "since", "until")
    texts = ("id", "device_id", "kind", "channel", "code", "severity", "basis", "profile", "status")
    try:
        columns = {name: pa.array([getattr(f, name) for f in latest], _TEXT) for name in texts}
        columns |= {
            name: pa.array([getattr(f, name) for f in latest], _INT).view(_NS) for name in times
        }
        columns["ledger_offset"] = pa.array([flag.ledger_offset for flag in latest], _INT)
        columns["change"] = pa.array(range(number, number + len(latest)), _INT)
        columns["evidence"] = pa.array(
            [msgspec.json.encode(flag.evidence).decode() for flag in latest], _TEXT
        )
    except _FAULTS as fault:
        first = latest[0]
        raise StoreRefused(
            f"store: {len(latest)} flags, the first {first.code} of {first.device_id!r}: {fault}"
        ) from fault
    return pa.table(columns)


def quarantine_table(rows: Sequence[Quarantined]) -> pa.Table:
    """Quarantine rows as a table, payloads cut to what is kept.

    Text that is not valid Unicode is kept with its bad parts escaped: this table must take
    everything, since nothing else will.
    """
    texts = ("topic", "stage", "reason", "detail", "profile", "device_id")
    columns: dict[str, pa.Array] = {
        name: pa.array([_printable(getattr(row, name)) for row in rows], _TEXT) for name in texts
    }
    columns["ledger_offset"] = pa.array([row.ledger_offset for row in rows], _INT)
    columns["received_at"] = pa.array([row.received_at for row in rows], _INT).view(_NS)
    share = max(_PAYLOAD_LEAST, _PAYLOADS_KEPT // max(1, len(rows)))
    kept = min(PAYLOAD_KEPT, share)
    columns["payload"] = pa.array([row.payload[:kept] for row in rows], pa.binary())
    columns["payload_size"] = pa.array([len(row.payload) for row in rows], _INT)
    return pa.table(columns)


def _printable(text: str | None) -> str | None:
    return None if text is None else text.encode(errors="backslashreplace").decode()

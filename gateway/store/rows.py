"""Rows of the embedded store back into records."""
# ruff: noqa: S608 - the only names in these statements are our own tables

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.quantities import KINDS
from gateway.records import Flag, Quarantined, Reading
from gateway.store import DeviceSummary, QuarantinedRow
from gateway.store.schema import FIXED, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FIXED_COUNT: Final = len(FIXED)

FLAG_COLUMNS: Final = (
    "id, device_id, kind, channel, code, severity, epoch_ns(measured_at), epoch_ns(since), "
    "epoch_ns(until), evidence, basis, profile, ledger_offset, status"
)
QUARANTINE_COLUMNS: Final = (
    "ledger_offset, epoch_ns(received_at), topic, payload, stage, reason, detail, profile, "
    "device_id, payload_size"
)
REPROCESSING: Final = (
    "SELECT number, reached, decided, stored, duplicates, ignored, refused, readings "
    "FROM reprocessing"
)
_PER_KIND: Final = " UNION ALL ".join(
    f"SELECT device_id, '{kind}' AS kind, ledger_offset, profile, measured_at FROM {table(kind)}"
    for kind in KINDS
)
DEVICES: Final = f"""
SELECT device_id, kind, coalesce(r.profile, f.profile), epoch_ns(first), epoch_ns(last),
       coalesce(r.readings, 0), coalesce(f.flags, 0)
FROM (SELECT device_id, kind, arg_max(profile, ledger_offset) AS profile,
             min(measured_at) AS first, max(measured_at) AS last, count(*) AS readings
      FROM ({_PER_KIND}) GROUP BY ALL) r
FULL JOIN (SELECT device_id, kind, arg_max(profile, ledger_offset) AS profile, count(*) AS flags
      FROM flags WHERE status <> 'withdrawn' GROUP BY ALL) f USING (device_id, kind)
ORDER BY device_id, kind
"""


def readings(kind: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, Reading]]:
    """Each row of ``schema.selected(kind)`` as its position and the reading that was committed.

    ``names`` are those quantities that are present, in the order of the columns.
    """
    quantities = KINDS[kind]
    money = [index for index, quantity in enumerate(quantities) if quantity.type == "money"]
    known: dict[tuple[bool, ...], tuple[str, ...]] = {}
    for row in rows:
        (at, device, event, channel, measured, received, sequence, quality, status, currency,
         profile, offset) = row[:_FIXED_COUNT]  # fmt: skip
        values: list[Any] = list(row[_FIXED_COUNT:])
        for index in money:
            if values[index] is not None:
                values[index] = float(values[index])
        present = tuple([value is not None for value in values])
        names = known.get(present)
        if names is None:
            names = tuple(q.name for q, here in zip(quantities, present, strict=True) if here)
            known[present] = names
        words = tuple(status.split(",")) if status else ()
        kept = tuple([value for value in values if value is not None])
        yield (
            at,
            Reading(
                device, kind, event, channel, measured, received, sequence, quality, words,
                currency, profile, offset, names, kept,
            ),
        )  # fmt: skip


def flag(row: tuple[Any, ...]) -> Flag:
    """A row of FLAG_COLUMNS as the flag that was committed."""
    values = list(row)
    values[9] = msgspec.json.decode(values[9])
    return Flag(*values)


def quarantined(row: tuple[Any, ...]) -> QuarantinedRow:
    """A row of QUARANTINE_COLUMNS."""
    return QuarantinedRow(Quarantined(*row[:-1]), row[-1])


def device(row: tuple[Any, ...]) -> DeviceSummary:
    """A row of DEVICES."""
    return DeviceSummary(*row)


def where(conditions: dict[str, Any]) -> tuple[str, list[Any]]:
    """A WHERE clause of those conditions whose value is given, and its parameters.

    Keys are our own text with one ``?``; what a user gave is only ever a parameter.
    """
    given = {sql: value for sql, value in conditions.items() if value is not None}
    clause = " AND ".join(given)
    return (f" WHERE {clause}" if clause else ""), list(given.values())


def time_bound(column: str, comparison: str) -> str:
    """A comparison of a time column with a parameter in ns."""
    return f"{column} {comparison} make_timestamp_ns(?)"

"""The tables of the embedded store, from the one vocabulary of quantities.

Times are TIMESTAMP_NS in UTC: as small as microseconds, exact for instruments that send more,
and a point in a time-series database keeps its identity.  Money is DECIMAL(18,6).
"""
# ruff: noqa: S608 - the only names in these statements are our own tables

from __future__ import annotations

from typing import Final

from gateway.quantities import KINDS, Type

VERSION: Final = 3

FIXED: Final[dict[str, str]] = {
    "position": "BIGINT NOT NULL",
    "device_id": "VARCHAR NOT NULL",
    "event": "VARCHAR NOT NULL",
    "channel": "VARCHAR",
    "measured_at": "TIMESTAMP_NS NOT NULL",
    "received_at": "TIMESTAMP_NS NOT NULL",
    "sequence": "BIGINT",
    "quality": "VARCHAR NOT NULL",
    "status": "VARCHAR",
    "currency": "VARCHAR",
    "profile": "VARCHAR NOT NULL",
    "ledger_offset": "BIGINT NOT NULL",
}
"""Columns that every table of readings begins with; ``status`` is words joined by commas."""

_SQL_TYPE: Final[dict[Type, str]] = {
    "number": "DOUBLE",
    "money": "DECIMAL(18,6)",
    "text": "VARCHAR",
    "flag": "BOOLEAN",
    "time": "TIMESTAMP_NS",
}

_SELECT: Final[dict[Type, str]] = {
    "number": "{}",
    # Text, because the nearest double of the exact decimal is Python's to find, not a division's.
    "money": "{}::VARCHAR",
    "text": "{}",
    "flag": "{}",
    "time": "epoch_ns({})",
}

_REST: Final = """
CREATE TABLE flags (
    id VARCHAR PRIMARY KEY, device_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, channel VARCHAR,
    code VARCHAR NOT NULL, severity VARCHAR NOT NULL, measured_at TIMESTAMP_NS NOT NULL,
    since TIMESTAMP_NS NOT NULL, until TIMESTAMP_NS NOT NULL, evidence JSON NOT NULL,
    basis VARCHAR NOT NULL, profile VARCHAR NOT NULL, ledger_offset BIGINT NOT NULL,
    status VARCHAR NOT NULL, change BIGINT NOT NULL DEFAULT 0);
CREATE TABLE quarantine (
    ledger_offset BIGINT NOT NULL, received_at TIMESTAMP_NS NOT NULL, topic VARCHAR NOT NULL,
    payload BLOB NOT NULL, payload_size BIGINT NOT NULL, stage VARCHAR NOT NULL,
    reason VARCHAR NOT NULL, detail VARCHAR NOT NULL, profile VARCHAR, device_id VARCHAR);
CREATE TABLE checkpoint (
    next_offset BIGINT NOT NULL, position BIGINT NOT NULL, commits BIGINT NOT NULL,
    counters JSON NOT NULL);
INSERT INTO checkpoint VALUES (0, 0, 0, '{}');
CREATE TABLE snapshot (
    next_offset BIGINT NOT NULL, part INTEGER NOT NULL, state BLOB NOT NULL);
CREATE TABLE sinks (name VARCHAR NOT NULL, position BIGINT NOT NULL);
CREATE TABLE schema_version (version INTEGER NOT NULL);
"""

_SINCE_3: Final = """
CREATE TABLE retried (ledger_offset BIGINT NOT NULL, decided_at BIGINT NOT NULL);
CREATE TABLE reprocessing (
    number BIGINT NOT NULL, reached BIGINT NOT NULL, decided BIGINT NOT NULL,
    stored BIGINT NOT NULL, duplicates BIGINT NOT NULL, ignored BIGINT NOT NULL,
    refused BIGINT NOT NULL, readings BIGINT NOT NULL);
CREATE TABLE removed (
    kind VARCHAR NOT NULL, before BIGINT NOT NULL, amount BIGINT NOT NULL,
    total BIGINT NOT NULL, told BOOLEAN NOT NULL);
"""


UPGRADES: Final = {
    1: (
        "ALTER TABLE flags ADD COLUMN change BIGINT DEFAULT 0; "
        "UPDATE flags SET change = rowid + 1; UPDATE schema_version SET version = 2"
    ),
    2: _SINCE_3 + "UPDATE schema_version SET version = 3",
}
"""What makes a layout the next one, to be run in one transaction, by the layout's version."""


def table(kind: str) -> str:
    """The table of one kind's readings."""
    return f"readings_{kind}"


def statements() -> str:
    """What makes an empty store, to be run in one transaction."""
    made = []
    for kind, quantities in KINDS.items():
        columns = [f"{name} {sql}" for name, sql in FIXED.items()]
        columns += [f"{quantity.name} {_SQL_TYPE[quantity.type]}" for quantity in quantities]
        made.append(f"CREATE TABLE {table(kind)} ({', '.join(columns)});")
    return "".join(made) + _REST + _SINCE_3 + f"INSERT INTO schema_version VALUES ({VERSION});"


def selected(kind: str) -> str:
    """The columns of a reading as plain Python values: times as ns, money as exact text."""
    times = ("measured_at", "received_at")
    columns = [f"epoch_ns({name})" if name in times else name for name in FIXED]
    columns += [_SELECT[quantity.type].format(quantity.name) for quantity in KINDS[kind]]
    return ", ".join(columns)

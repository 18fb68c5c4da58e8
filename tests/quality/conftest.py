"""A store with a few days of readings whose quality is known by counting on fingers."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from gateway.records import Flag, Quarantined, Reading
from gateway.store.duckdb import DuckDBStore
from tests.store.made import results

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZONE = ZoneInfo("Asia/Shanghai")
SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
FIRST = dt.date(2026, 3, 1)
BEGIN = 1_772_294_400 * SECOND
"""Midnight of the first of March in Shanghai."""


def reading(device: str, at: int, **fields: object) -> Reading:
    """A periodic reading of a water meter, ``at`` ns after the beginning, received 5 s later."""
    measured = BEGIN + at
    values = {
        "device_id": device, "kind": "water_meter", "event": "periodic", "channel": None,
        "measured_at": measured, "received_at": measured + 5 * SECOND, "sequence": None,
        "quality": "raw", "status": (), "currency": None, "profile": "water@1.0.0",
        "ledger_offset": 0, "names": ("volume",), "values": (1.0,),
    }  # fmt: skip
    return Reading(**(values | fields))


def flag(name: str, device: str, code: str, since: int, until: int, **fields: object) -> Flag:
    """A flag of a water meter over [since, until], in ns after the beginning."""
    values = {
        "id": name, "device_id": device, "kind": "water_meter", "channel": None, "code": code,
        "severity": "minor", "measured_at": BEGIN + until, "since": BEGIN + since,
        "until": BEGIN + until, "evidence": {"observed": 1}, "basis": "", "profile": "water@1.0.0",
        "ledger_offset": 0,
    }  # fmt: skip
    return Flag(**(values | fields))


def refused(device: str | None, at: int, reason: str = "unparseable") -> Quarantined:
    """A message in quarantine, received ``at`` ns after the beginning."""
    return Quarantined(
        0, BEGIN + at, "meters/x", b"{", "decode", reason, "no JSON", device_id=device
    )


class Filled:
    """A store that is filled step by step, and closed and opened by no one else."""

    def __init__(self, path: Path) -> None:
        self.store = DuckDBStore(path)
        self._offset = 0

    def take(
        self,
        readings: list[Reading] | None = None,
        flags: list[Flag] | None = None,
        quarantined: list[Quarantined] | None = None,
        *,
        a_message: int = 1,
    ) -> None:
        """Commits; every ``a_message`` readings are of one message."""
        import msgspec  # noqa: PLC0415

        read = readings or []
        numbered = [
            msgspec.structs.replace(each, ledger_offset=self._offset + number // a_message)
            for number, each in enumerate(read)
        ]
        self._offset += len(read) + 1
        made = results(numbered, flags, quarantined, next_offset=self._offset)
        self.store.commit(made)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    made = Filled(tmp_path / "store.duckdb")
    yield made
    made.store.close()


def hourly(device: str, days: range = range(1), hours: range = range(24)) -> list[Reading]:
    """A reading an hour."""
    return [reading(device, day * DAY + hour * HOUR) for day in days for hour in hours]

"""What has been kept long enough goes, in portions, and the audit says so; the rest stays."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from gateway.casebook import Casebook
from gateway.chores import Clerk
from gateway.config import Settings
from gateway.config_retention import RetentionSettings
from gateway.errors import StoreError
from gateway.quantities import KINDS
from gateway.queries.directory import Directory
from gateway.retention import Retention
from gateway.store.duckdb import DuckDBStore
from gateway.testing import ManualClock
from gateway.times import DAY, rfc3339
from tests.store.made import START, flag, quarantined, reading, results, sale

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIDNIGHT = START // DAY * DAY
DAYS = 30


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    """A water reading, a sale, a flag and a row of quarantine on each of some days."""
    made = DuckDBStore(tmp_path / "store.duckdb")
    readings = []
    flags = []
    rows = []
    for day in range(DAYS):
        at = MIDNIGHT + day * DAY
        water = reading(3 * day, measured_at=START, received_at=at)
        readings += [water, sale(3 * day + 1, volume=1.0)]
        flags.append(flag(3 * day, kind="water_meter"))
        rows.append(quarantined(3 * day + 2, received_at=at))
    made.commit(results(readings, flags, rows, next_offset=3 * DAYS))
    yield made
    made.close()


@pytest.fixture
def casebook(tmp_path: Path) -> Iterator[Casebook]:
    with Casebook(tmp_path) as opened:
        yield opened


def due(store: DuckDBStore, tmp_path: Path, days: dict[str, int], **more: object) -> Retention:
    clock = more.pop("clock", ManualClock(MIDNIGHT + DAYS * DAY + 7))
    clerk = Clerk(tmp_path)
    below = int(more.pop("below", 1000))
    return Retention(store, clerk, days, lambda: below, clock=clock, every=0, **more)


def sweep(retention: Retention) -> int:
    """One round; how many portions could follow at once."""
    at_once = 0
    at_once += retention.turn()
    while retention._round is not None:
        time.sleep(0.002)  # the clerk has a thread of its own
        at_once += retention.turn()
    return at_once


def test_each_kind_is_kept_for_as_long_as_its_setting_says(store, tmp_path):
    counters = store.counters()
    sweep(due(store, tmp_path, {"water_meter": 10, "quarantine": 20}))
    kept = [each.received_at for each in store.readings(kind="water_meter")]
    assert kept == [MIDNIGHT + day * DAY for day in range(DAYS - 10, DAYS)]
    assert len(list(store.readings(kind="fuel_dispenser"))) == DAYS
    rows = [row.message.received_at for row in store.quarantine()]
    assert rows == [MIDNIGHT + day * DAY for day in range(DAYS - 20, DAYS)]
    # What was found stays, with its evidence; what was decided is counted as before.
    assert len(list(store.flags())) == DAYS
    assert store.position == 2 * DAYS
    assert store.counters() == counters


def test_by_default_nothing_goes(store, tmp_path):
    assert RetentionSettings().days() == {}
    assert sweep(due(store, tmp_path, {})) == 0
    assert len(list(store.readings())) == 2 * DAYS


def test_a_portion_is_bounded_and_a_restart_goes_on(store, casebook, tmp_path):
    days = {"water_meter": 1}
    retention = due(store, tmp_path, days, most=7)
    assert [retention.turn() for _ in range(2)] == [True, True]
    assert len(list(store.readings(kind="water_meter"))) == DAYS - 14
    again = due(store, tmp_path, days, most=7)
    assert again.totals == {"water_meter": 14}
    assert sweep(again) == 2
    assert [each.received_at for each in store.readings(kind="water_meter")] == [
        MIDNIGHT + (DAYS - 1) * DAY
    ]
    assert again.totals == {"water_meter": DAYS - 1}
    (entry,) = casebook.audit()
    assert (entry.action, entry.subject) == ("retention.remove", "water_meter")
    assert entry.detail == {
        "rows": DAYS - 1, "received_before": rfc3339(MIDNIGHT + (DAYS - 1) * DAY),
    }  # fmt: skip


def test_the_audit_is_told_once_a_kind_and_day(store, casebook, tmp_path):
    clock = ManualClock(MIDNIGHT + DAYS * DAY + 7)
    retention = due(store, tmp_path, {"water_meter": 10, "gas_meter": 10}, clock=clock)
    for _ in range(3):
        sweep(retention)
    assert len(casebook.audit()) == 1
    clock.advance(86_400)
    sweep(retention)
    latest, _ = casebook.audit()
    assert latest.detail["rows"] == 1
    assert retention.totals["water_meter"] == DAYS - 10 + 1


def test_what_a_killed_worker_did_not_tell_is_told_by_the_next(store, casebook, tmp_path):
    store.remove("water_meter", MIDNIGHT + 3 * DAY, most=100)
    sweep(due(store, tmp_path, {"water_meter": 10}))
    latest, first = casebook.audit()
    assert (first.detail["rows"], latest.detail["rows"]) == (3, DAYS - 10 - 3)


def test_what_a_restart_has_to_find_in_quarantine_stays(store, tmp_path):
    """A snapshot comes first; what has been refused behind it goes another day."""
    sweep(due(store, tmp_path, {"quarantine": 1}, below=30))
    assert min(row.message.ledger_offset for row in store.quarantine()) == 32


def test_the_devices_are_counted_anew_when_readings_are_gone(store, casebook, tmp_path):
    seconds = [0.0]
    directory = Directory(store, casebook, clock=lambda: seconds[0])
    directory.refresh()
    before = sum(each.readings for found in directory.summaries.values() for each in found)
    assert before == 2 * DAYS
    sweep(due(store, tmp_path, {"water_meter": 10}))
    seconds[0] += 3
    directory.refresh()
    assert directory.summaries["w-0"]
    seconds[0] += 600
    directory.refresh()
    after = sum(each.readings for found in directory.summaries.values() for each in found)
    assert after == DAYS + 10


def test_every_kind_has_a_setting_and_no_other_is_removed(store):
    assert set(RetentionSettings.model_fields) == {*KINDS, "quarantine"}
    with pytest.raises(StoreError, match="is none of"):
        store.remove("flags", START, most=1)


@pytest.mark.parametrize(("days", "fits"), [(31, False), (32, True)])
def test_a_report_needs_what_it_reads(days, fits):
    given = {"retention": {"taximeter": days}, "reports": [{"period": "month"}]}
    if fits:
        assert Settings(**given).retention.days() == {"taximeter": days}
        return
    with pytest.raises(ValueError, match="keep that long"):
        Settings(**given)

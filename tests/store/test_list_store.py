"""The double answers as the real store does, so that a test with it proves something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.errors import StoreError, StoreUnavailable
from gateway.store.duckdb import DuckDBStore
from gateway.testing import ListStore
from tests.store.made import SECOND, START, flag, mixed, quarantined, reading, results

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.store import Store


def _fill(store: Store) -> None:
    store.commit(results(mixed(4, 60), [flag(1), flag(2), flag(40)], snapshot=b"state"))
    store.commit(
        results(
            [reading(70)],
            [flag(2, status="withdrawn"), flag(3, code="leak_suspected")],
            [quarantined(71), quarantined(72, device_id="w-1")],
        )
    )
    store.replace_quarantined([71], results([reading(71)], next_offset=73))
    store.advance_sink("influx", 30, [quarantined(5, stage="sink:influx", reason="refused")])


_QUESTIONS: list[Callable[[Store], Any]] = [
    lambda store: store.position,
    lambda store: store.checkpoint(),
    lambda store: store.counters(),
    lambda store: [(r.ledger_offset, r.quantities) for r in store.readings(after=7)],
    lambda store: [r.ledger_offset for r in store.readings(kind="fuel_dispenser")],
    lambda store: [
        r.ledger_offset
        for r in store.readings(device_id="f-1", since=START + SECOND, until=START + 50 * SECOND)
    ],
    lambda store: list(store.flags()),
    lambda store: list(store.flags(withdrawn=True, code="register_decrease")),
    lambda store: list(store.flags(since=START + 11 * SECOND, until=START + 13 * SECOND)),
    lambda store: list(store.quarantine()),
    lambda store: list(store.quarantine(device_id="w-1")),
    lambda store: list(store.devices()),
    lambda store: store.currencies(),
    lambda store: [r.ledger_offset for r in store.tail(25, 10).readings],
    lambda store: store.tail(55).position,
    lambda store: store.sink_position("influx"),
    lambda store: store.change,
    lambda store: store.flag_tail(0, 2),
    lambda store: store.flag_tail(2),
    lambda store: sorted(store.flag_states().states),
    lambda store: (store.flag_states().change, store.flag_states().next_offset),
]


def test_the_double_gives_the_answers_of_the_real_store(tmp_path: Path):
    real, double = DuckDBStore(tmp_path / "store.duckdb"), ListStore()
    _fill(real)
    _fill(double)
    for question in _QUESTIONS:
        assert question(double) == question(real)
    real.close()


def test_the_double_fails_when_it_is_told_to_and_stores_nothing():
    store = ListStore()
    store.failure = StoreUnavailable("on purpose")
    with pytest.raises(StoreUnavailable, match="on purpose"):
        store.commit(results([reading(0)]))
    store.failure = None
    assert store.position == 0
    store.commit(results([reading(0)]))
    with pytest.raises(StoreError, match="go back"):
        store.commit(results(next_offset=0))
    assert store.position == 1

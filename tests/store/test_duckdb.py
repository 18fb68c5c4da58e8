"""The embedded store: what is committed comes back, once, whatever happens."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import StoreError, StoreRefused
from gateway.quantities import KINDS
from gateway.records import Counters, Reading
from gateway.store import FlagTail, schema
from gateway.store.duckdb import DuckDBStore
from gateway.store.rebuild import swap
from tests.store.made import (
    SECOND,
    START,
    flag,
    mixed,
    quarantined,
    reading,
    results,
    sale,
)

_VALUES = {
    "number": 1234.5678,
    "money": 98.7,
    "text": "R32'); DROP TABLE flags;--",
    "flag": False,
    "time": START + 123_456_789,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_quantity_of_every_kind_comes_back_as_it_was(store: DuckDBStore, kind: str):
    quantities = {quantity.name: _VALUES[quantity.type] for quantity in KINDS[kind]}
    sent = reading(
        3,
        kind=kind,
        channel="L1",
        currency="USD",
        status=("leak", "tilt"),
        measured_at=START + 123_456_789,
        quantities=quantities,
    )
    store.commit(results([sent]))
    assert list(store.readings()) == [sent]


def test_readings_of_many_kinds_and_layouts_come_back_in_the_order_of_arrival(store: DuckDBStore):
    sent = mixed(seed=1, count=500)
    store.commit(results(sent[:200]))
    store.commit(results(sent[200:]))
    found = list(store.readings())
    assert [r.ledger_offset for r in found] == list(range(500))
    assert [(r.device_id, r.quantities, r.status) for r in found] == [
        (r.device_id, r.quantities, r.status) for r in sent
    ]


def test_a_commit_of_prepared_parts_is_as_one_of_its_readings(store: DuckDBStore, tmp_path: Path):
    sent = mixed(seed=2, count=300)
    for begin in (0, 150):
        parts = []
        for at in range(begin, begin + 150, 40):
            parts.append(store.prepare(sent[at : min(at + 40, begin + 150)], parts))
        assert store.position == begin  # nothing is stored before the commit
        made = results([], next_offset=begin + 150)
        store.commit(msgspec.structs.replace(made, prepared=parts))
    plain = DuckDBStore(tmp_path / "plain.duckdb")
    plain.commit(results(sent))
    assert list(store.readings()) == list(plain.readings())
    assert store.position == plain.position == 300
    plain.close()


def test_parts_prepared_while_another_commit_is_made_come_behind_it(store: DuckDBStore):
    part = store.prepare([reading(1)], [])
    store.commit(results([reading(0)]))
    store.commit(msgspec.structs.replace(results([], next_offset=2), prepared=[part]))
    assert [r.ledger_offset for r in store.tail(0).readings] == [0, 1]
    assert store.position == 2


def test_a_storm_of_flags_is_stored_and_read_with_the_memory_of_every_day(store: DuckDBStore):
    evidence = {"inputs": {f"register {number}": number / 7 for number in range(20)}}
    storm = [flag(number, id=f"{number:020x}", evidence=evidence) for number in range(30_000)]
    for until in (30_000, 60_000):  # the second time as later versions
        made = msgspec.structs.replace(results([], next_offset=until), flags=storm)
        store.commit(made)
    assert [found.ledger_offset for found in store.flags()] == list(range(30_000))


def test_a_flood_of_large_messages_is_set_aside_and_only_their_heads_are_kept(store: DuckDBStore):
    flood = [quarantined(number, payload=bytes([number % 256]) * 40_000) for number in range(4_000)]
    store.commit(msgspec.structs.replace(results([], next_offset=4_000), quarantined=flood))
    kept = list(store.quarantine())
    assert [row.message.ledger_offset for row in kept] == list(range(4_000))
    assert {row.payload_size for row in kept} == {40_000}
    assert {len(row.message.payload) for row in kept} == {2_097}


def test_parts_of_a_commit_out_of_their_order_are_refused(store: DuckDBStore):
    first = store.prepare([reading(0)], [])
    second = store.prepare([reading(1)], [first])
    late = msgspec.structs.replace(results([], next_offset=2), prepared=[second, first])
    with pytest.raises(StoreError, match="prepare them again"):
        store.commit(late)
    assert store.position == 0


@given(
    amounts=st.lists(
        st.decimals(
            min_value=Decimal("-999999999999.999999"),
            max_value=Decimal("999999999999.999999"),
            allow_nan=False,
            places=2,
        )
        | st.decimals(min_value=-999_999_999, max_value=999_999_999, places=6),
        min_size=1,
        max_size=40,
    )
)
@settings(max_examples=40)
def test_money_is_stored_to_the_last_place_that_was_sent(
    tmp_path_factory: pytest.TempPathFactory, amounts: list[Decimal]
):
    store = DuckDBStore(tmp_path_factory.mktemp("money") / "store.duckdb")
    sent = [sale(n, amount=float(amount)) for n, amount in enumerate(amounts)]
    # Another layout in between, so that blocks with and without large amounts meet.
    sent.append(sale(len(sent), amount=0.07, product="95"))
    store.commit(results(sent))
    found = list(store.readings())
    store.close()
    with duckdb.connect(str(store.path)) as file:
        raw = file.execute("SELECT amount FROM readings_fuel_dispenser ORDER BY position")
        exact = [amount for (amount,) in raw.fetchall()]
    assert exact == [*amounts, Decimal("0.07")]
    assert [r.quantities["amount"] for r in found] == [s.quantities["amount"] for s in sent]


def test_checkpoint_counters_and_snapshot_move_with_the_readings(tmp_path: Path):
    store = DuckDBStore(tmp_path / "store.duckdb")
    assert store.checkpoint().next_offset == 0
    assert store.checkpoint().snapshot is None
    store.commit(results([reading(0)], snapshot=b"state \x00 one"))
    store.commit(results([reading(1)]))
    store.close()
    again = DuckDBStore(tmp_path / "store.duckdb")
    checkpoint = again.checkpoint()
    again.close()
    assert (checkpoint.next_offset, checkpoint.snapshot_offset) == (2, 1)
    assert checkpoint.snapshot == b"state \x00 one"
    assert checkpoint.counters == Counters(stored=2, readings=1)


def test_snapshots_replace_each_other_without_growing_the_file(tmp_path: Path):
    path = tmp_path / "store.duckdb"
    store = DuckDBStore(path)
    for number in range(150):
        blob = random.Random(number).randbytes(500_000)
        store.commit(results([reading(number)], snapshot=blob))
    store.close()
    assert path.stat().st_size < 40_000_000


def test_a_large_snapshot_comes_back_within_the_memory_limit(store: DuckDBStore):
    state = random.Random(1).randbytes(10_000_000)
    for number in range(5):
        store.commit(results([reading(number)], snapshot=state[number:]))
        assert store.checkpoint().snapshot == state[number:]
    store.commit(results([reading(5)], snapshot=b""))
    assert store.checkpoint().snapshot == b""


def test_a_later_version_of_a_flag_replaces_the_earlier(store: DuckDBStore):
    store.commit(results(flags=[flag(0), flag(1), flag(0, until=START + 99 * SECOND)]))
    store.commit(results(flags=[flag(1, status="ended", evidence={"observed": 7})]))
    found = list(store.flags())
    assert [f.id for f in found] == ["flag-0", "flag-1"]
    assert found[0].until == START + 99 * SECOND
    assert (found[1].status, found[1].evidence) == ("ended", {"observed": 7})


def test_withdrawn_flags_are_kept_but_shown_only_on_request(store: DuckDBStore):
    store.commit(results(flags=[flag(0), flag(1)]))
    store.commit(results(flags=[flag(0, status="withdrawn")], next_offset=2))
    assert [f.id for f in store.flags()] == ["flag-1"]
    assert [f.id for f in store.flags(withdrawn=True)] == ["flag-0", "flag-1"]
    assert [d.flags for d in store.devices()] == [1]


def test_queries_choose_by_every_filter(store: DuckDBStore):
    store.commit(results([reading(n) for n in range(20)] + [sale(20, volume=3.0)]))
    chosen = store.readings(
        kind="water_meter", device_id="w-1", since=START + SECOND, until=START + 15 * SECOND
    )
    assert [r.ledger_offset for r in chosen] == [1, 8]
    assert [r.ledger_offset for r in store.readings(kind="fuel_dispenser")] == [20]
    assert [r.ledger_offset for r in store.readings(after=18)] == [18, 19, 20]
    assert list(store.readings(device_id="x' OR '1'='1")) == []
    with pytest.raises(StoreError, match="none of fuel_dispenser"):
        store.readings(kind="clock")


def test_flags_are_found_by_the_time_they_span(store: DuckDBStore):
    store.commit(results(flags=[flag(0), flag(100, code="leak_suspected")]))
    assert [f.id for f in store.flags(since=START + 5 * SECOND, until=START + 6 * SECOND)] == [
        "flag-0"
    ]
    assert [f.id for f in store.flags(since=START + 11 * SECOND)] == ["flag-100"]
    assert [f.id for f in store.flags(code="leak_suspected", device_id="w-2")] == ["flag-100"]


def test_devices_tell_span_counts_and_latest_profile(store: DuckDBStore):
    newer = reading(7, profile="water/reference@2.0.0")
    store.commit(results([reading(0), newer], [flag(0), flag(3)]))
    with_readings, flags_only = store.devices()
    assert with_readings.device_id == "w-0"
    assert with_readings.profile == "water/reference@2.0.0"
    assert with_readings.first_measured_at == START
    assert with_readings.last_measured_at == START + 7 * SECOND
    assert (with_readings.readings, with_readings.flags) == (2, 1)
    assert (flags_only.device_id, flags_only.readings, flags_only.flags) == ("w-3", 0, 1)
    assert flags_only.first_measured_at is None


def test_quarantine_keeps_64_kib_and_says_how_large_the_payload_was(store: DuckDBStore):
    huge = quarantined(0, payload=b"\xff" * 100_000, detail="lone \ud800 surrogate")
    store.commit(results(quarantine=[huge, quarantined(1, reason="no_profile")]))
    first, second = store.quarantine()
    assert (len(first.message.payload), first.payload_size) == (65_536, 100_000)
    assert first.message.detail == "lone \\ud800 surrogate"
    assert second.message == quarantined(1, reason="no_profile")
    assert [r.message.ledger_offset for r in store.quarantine(reason="no_profile")] == [1]


def test_reprocessed_messages_leave_quarantine_as_their_readings_come(store: DuckDBStore):
    refused = quarantined(1, stage="sink:influx", reason="refused")
    store.commit(results([reading(1)], [], [quarantined(0), refused, quarantined(2)]))
    again = results([reading(0)], quarantine=[quarantined(2, reason="missing_field")])
    store.replace_quarantined([0, 2], again)
    assert [r.ledger_offset for r in store.readings()] == [1, 0]
    assert [(r.message.ledger_offset, r.message.reason) for r in store.quarantine()] == [
        (1, "refused"),
        (2, "missing_field"),
    ]
    assert store.checkpoint().next_offset == 3
    with pytest.raises(StoreError, match="1 of 1 offsets to replace are not in quarantine"):
        store.replace_quarantined([0], again)
    assert store.position == 2


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"quantities": {"volume": "many"}}, "'w-1' at ledger offset 8: volume should be a number"),
        ({"quantities": {"valve": 7}}, "valve should be a text, got 7"),
        ({"quantities": {"speed": 1.0}}, "water_meter has no quantity speed"),
        ({"names": ("volume",), "values": ()}, "1 names but 0 values"),
        ({"measured_at": 2**63}, "at ledger offset 8"),
        ({"device_id": "\ud800"}, "surrogates not allowed"),
        ({"kind": "clock"}, "kind 'clock' is none of"),
    ],
)
def test_a_reading_that_no_column_holds_is_named_and_nothing_is_stored(
    store: DuckDBStore, bad: dict[str, object], said: str
):
    good = [reading(n) for n in range(8)]
    with pytest.raises(StoreRefused, match=said):
        store.commit(results([*good, reading(8, **bad)]))
    assert list(store.readings()) == []
    store.commit(results(good))
    assert len(list(store.readings())) == 8


def test_results_that_go_back_are_refused(store: DuckDBStore):
    store.commit(results([reading(0), reading(1)]))
    with pytest.raises(StoreError, match="everything below 2 is decided"):
        store.commit(results([reading(0)]))


def test_a_missing_store_is_not_made_by_reading_it(tmp_path: Path):
    with pytest.raises(StoreError, match="has the gateway ever run"):
        DuckDBStore(tmp_path / "store.duckdb", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_or_newer_file_is_left_alone(tmp_path: Path):
    foreign = tmp_path / "foreign.duckdb"
    with duckdb.connect(str(foreign)) as file:
        file.execute("CREATE TABLE mine (x INTEGER)")
    with pytest.raises(StoreError, match="not a store of the gateway"):
        DuckDBStore(foreign)
    newer = tmp_path / "newer.duckdb"
    DuckDBStore(newer).close()
    with duckdb.connect(str(newer)) as file:
        file.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(StoreError, match="has layout 99, this gateway knows 3"):
        DuckDBStore(newer)


def test_a_store_of_the_layout_before_is_brought_up_to_date_when_it_is_opened(tmp_path: Path):
    path = tmp_path / "store.duckdb"
    before = schema.statements().replace(", change BIGINT NOT NULL DEFAULT 0", "")
    with duckdb.connect(str(path)) as file:
        file.execute(before)
        for name in ("retried", "reprocessing", "removed"):
            file.execute(f"DROP TABLE {name}")
        file.execute("UPDATE schema_version SET version = 1")
        for name in ("a", "b"):
            file.execute(
                "INSERT INTO flags VALUES (?, 'w-1', 'water_meter', NULL, 'leak', 'major', "
                "'2026-01-01', '2026-01-01', '2026-01-01', '{}', 'x', 'p@1', 3, 'open')",
                [name],
            )
    with pytest.raises(StoreError, match="start the gateway on it once"):
        DuckDBStore(path, read_only=True)
    opened = DuckDBStore(path)
    assert [each.id for each in opened.flag_tail(0).flags] == ["a", "b"]
    opened.commit(results(flags=[flag(9)]))
    assert [each.id for each in opened.flag_tail(2).flags] == ["flag-9"]
    opened.close()
    reader = DuckDBStore(path, read_only=True)
    assert reader.change == 3
    reader.close()


def test_changes_of_flags_are_numbered_and_each_flag_is_told_as_it_is_now(store: DuckDBStore):
    store.commit(results(flags=[flag(1), flag(2), flag(1, status="ended")]))
    assert store.change == 2
    tail = store.flag_tail(0)
    assert sorted((each.id, each.status) for each in tail.flags) == [
        ("flag-1", "ended"), ("flag-2", "open"),
    ]  # fmt: skip
    assert (tail.change, tail.next_offset) == (2, 3)
    store.commit(results(flags=[flag(3), flag(2, status="ended")], next_offset=9))
    assert [each.id for each in store.flag_tail(2).flags] == ["flag-3", "flag-2"]
    part = store.flag_tail(0, limit=1)
    assert (len(part.flags), part.change, part.next_offset) == (1, 1, None)
    assert store.flag_tail(4) == FlagTail([], 4, 9)
    states = store.flag_states()
    assert min(states.states) == ("flag-1", "major", "ended", 1)
    assert (states.change, states.next_offset) == (4, 9)
    opened_again = DuckDBStore(store.path.with_name("copy.duckdb"))
    opened_again.copy_before(9, store)
    assert opened_again.change == 4
    opened_again.close()


def test_a_sink_moves_only_forward_and_refusals_come_once(store: DuckDBStore):
    store.commit(results([reading(n) for n in range(10)]))
    assert store.sink_position("influx") == 0
    refused = quarantined(4, stage="sink:influx", reason="refused")
    store.advance_sink("influx", 10, [refused])
    store.advance_sink("influx", 10, [refused])
    store.advance_sink("influx", 5)
    assert store.sink_position("influx") == 10
    assert [r.message for r in store.quarantine(stage="sink:influx")] == [refused]
    assert store.tail(7).position == 10
    assert [r.ledger_offset for r in store.tail(7).readings] == [7, 8, 9]


def test_a_store_built_anew_keeps_what_the_pruned_ledger_no_longer_has(tmp_path: Path):
    old = DuckDBStore(tmp_path / "store.duckdb")
    old.commit(
        results(
            [reading(0), sale(1, amount=2.5), reading(4), reading(6)],
            [flag(1), flag(5)],
            [quarantined(2), quarantined(5)],
            next_offset=8,
        )
    )
    new = DuckDBStore(tmp_path / "new.duckdb")
    new.copy_before(5, old)
    assert new.checkpoint().next_offset == 5
    counters = new.counters()
    assert counters == Counters(stored=3, quarantined=1, ignored=1, readings=3, flags=1)
    assert counters.decided == 5
    new.commit(results([reading(5)], next_offset=8))
    with pytest.raises(StoreError, match="is not empty"):
        new.copy_before(5, old)
    old.close()
    with pytest.raises(StoreError, match=r"new\.duckdb was not closed"):
        swap(tmp_path / "new.duckdb", tmp_path / "store.duckdb")
    new.close()
    swap(tmp_path / "new.duckdb", tmp_path / "store.duckdb")
    swapped = DuckDBStore(tmp_path / "store.duckdb")
    assert [r.ledger_offset for r in swapped.readings()] == [0, 1, 4, 5]
    assert swapped.position == 4
    swapped.close()
    assert [path.name for path in tmp_path.iterdir()] == ["store.duckdb"]


def test_currencies_name_the_kinds_that_have_readings(store: DuckDBStore):
    yen: Reading = reading(1, kind="taximeter", currency="JPY", quantities={"fare": 730.0})
    store.commit(results([reading(0), yen, sale(2, amount=1.0)]))
    assert store.currencies() == {
        "fuel_dispenser": ["CNY"],
        "taximeter": ["JPY"],
        "water_meter": [],
    }

"""The devices in memory: what is new is taken in, and comes to the same as counting all anew."""

from __future__ import annotations

import random

import pytest

from gateway.access.roles import EVERYTHING, Scope
from gateway.casebook import Casebook
from gateway.queries.directory import Directory
from gateway.records import Device
from gateway.store.duckdb import DuckDBStore
from tests.store.made import mixed, results


@pytest.fixture
def parts(tmp_path):
    store = DuckDBStore(tmp_path / "store.duckdb")
    with Casebook(tmp_path) as casebook:
        yield store, casebook
    store.close()


class Ticks:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 10.0
        return self.now


def test_counting_on_comes_to_the_same_as_counting_anew(parts):
    store, casebook = parts
    going_on = Directory(store, casebook, clock=Ticks())
    readings = mixed(3, 900)
    random.Random(5).shuffle(readings)
    for begin in range(0, 900, 150):
        store.commit(results(readings[begin : begin + 150], next_offset=1_000 + begin))
        going_on.refresh()
    anew = Directory(store, casebook, clock=Ticks())
    anew.refresh()
    assert going_on.summaries == anew.summaries
    assert going_on.ids(EVERYTHING) == anew.ids(EVERYTHING)
    assert going_on.latest_receipt == anew.latest_receipt
    assert sum(each.readings for of in anew.summaries.values() for each in of) == 900


def test_an_import_holds_at_the_next_look(parts):
    store, casebook = parts
    directory = Directory(store, casebook, clock=Ticks())
    casebook.import_devices(
        [Device(device_id="w1", region="330106", vendor="ACME")], source="x", actor="me"
    )
    directory.refresh()
    hangzhou, shanghai = Scope("3301", None), Scope("31", None)
    assert directory.ids(hangzhou) == ["w1"]
    moved = Device(device_id="w1", region="310101", vendor="ACME")
    casebook.import_devices([moved], source="y", actor="me")
    assert directory.ids(hangzhou) == ["w1"], "not looked yet"
    directory.refresh()
    assert directory.ids(hangzhou) == []
    assert not directory.sees(hangzhou, "w1")
    assert directory.ids(shanghai) == ["w1"]
    assert directory.sees(Scope("31", "ACME"), "w1")
    assert not directory.sees(Scope("31", "Borg"), "w1")


def test_a_device_that_nobody_registered_is_in_no_district(parts):
    store, casebook = parts
    store.commit(results(mixed(1, 20)))
    directory = Directory(store, casebook, clock=Ticks())
    directory.refresh()
    assert directory.ids(EVERYTHING)
    for scope in (Scope("33", None), Scope("", "ACME")):
        assert directory.ids(scope) == []
        assert not directory.sees(scope, directory.ids(EVERYTHING)[0])


def test_another_store_in_its_place_is_counted_from_the_beginning(parts, tmp_path):
    store, casebook = parts
    store.commit(results(mixed(1, 200), next_offset=500))
    directory = Directory(store, casebook, clock=Ticks())
    directory.refresh()
    other = DuckDBStore(tmp_path / "other.duckdb")
    other.commit(results(mixed(2, 50), next_offset=500))
    directory._store = other
    directory.refresh()
    assert sum(each.readings for of in directory.summaries.values() for each in of) == 50
    other.close()

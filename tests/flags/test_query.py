"""Flags with what people have said of them, over a real store and casebook."""

import time
from itertools import islice

import msgspec
import pytest

from gateway.devices import Registry
from gateway.errors import ConfigError
from gateway.flags.decisions import decide, suppress, unsuppress
from gateway.flags.query import Choice, Desk, events, history, with_status
from gateway.flags.related import chosen, flags_of, incidents_of
from gateway.records import Device
from gateway.testing import ListStore
from tests.store.made import SECOND, START, flag, results

MINUTE = 60 * SECOND


def device(name, **fields):
    return Device(device_id=name, kind="water_meter", **fields)


@pytest.fixture
def desk(store, casebook):
    """A function: commits flags and gives a desk over them."""
    offset = 0

    def made(*flags, devices=()):
        nonlocal offset
        offset += 1_000
        store.commit(results(flags=list(flags), next_offset=offset))
        return Desk(store, casebook, Registry(devices))

    return made


def ids(views):
    return [view.flag.id for view in views]


def test_flags_come_the_newest_first_with_their_status(desk, casebook):
    looked = desk(flag(1), flag(2, status="ended"), flag(3, status="withdrawn"), flag(4))
    decide(casebook, "acknowledge", [flag(4)], actor="li")
    views = list(looked.views(Choice()))
    assert [(view.flag.id, view.status, view.version) for view in views] == [
        ("flag-4", "acknowledged", 1), ("flag-2", "ended", 0), ("flag-1", "open", 0),
    ]  # fmt: skip
    assert views[0].case.actor == "li"
    assert ids(looked.views(Choice(statuses=("withdrawn",)))) == ["flag-3"]
    assert ids(looked.views(Choice(statuses=("open", "ended")))) == ["flag-2", "flag-1"]


def test_lists_are_narrowed_by_code_device_severity_region_site_and_time(desk):
    looked = desk(
        flag(1, severity="critical"),
        flag(2, code="leak_suspected"),
        flag(3, kind="gas_meter"),
        devices=[
            device("w-1", region="110105", site="a"),
            device("w-2", region="310115", site="b"),
        ],
    )

    def found(**choice):
        return ids(looked.views(Choice(**choice)))

    assert found(severity="critical") == ["flag-1"]
    assert found(code="leak_suspected") == ["flag-2"]
    assert found(kind="gas_meter") == ["flag-3"]
    assert found(device_id="w-2") == ["flag-2"]
    assert found(region="11") == ["flag-1"]
    assert found(site="b") == ["flag-2"]
    assert found(since=START + 13 * SECOND) == ["flag-3"]
    assert found(until=START + 2 * SECOND) == ["flag-1"]
    assert found(ids=("flag-2", "flag-9")) == ["flag-2"]


def test_region_and_site_are_those_of_the_time_when_the_flag_began(desk):
    looked = desk(
        flag(1), flag(8),
        devices=[
            device("w-1", site="old"), device("w-1", site="new", valid_from=START + 5 * SECOND),
        ],
    )  # fmt: skip
    assert ids(looked.views(Choice(site="old"))) == ["flag-1"]
    assert ids(looked.views(Choice(site="new"))) == ["flag-8"]


def test_a_decision_outlives_the_flag_that_processing_does_not_find_any_more(desk, casebook):
    looked = desk(flag(1), flag(2))
    decide(casebook, "acknowledge", [flag(1), flag(7)], actor="li")
    decide(casebook, "confirm", [flag(7)], actor="li", reason="seen on site")
    gone, *_ = looked.views(Choice())
    assert (gone.flag.id, gone.status, gone.gone, gone.flag.status) == (
        "flag-7", "confirmed", True, "withdrawn",
    )  # fmt: skip
    (view,) = looked.look(["flag-7"])
    assert view == gone
    told = history(view, events(casebook, "flag-7"))
    assert [each.action for each in told] == ["raised", "acknowledge", "confirm", "gone"]
    # It can still be closed, and comes back with its decisions when processing finds it again.
    decide(casebook, "close", [view.flag], actor="li")
    looked = desk(flag(7))
    (view,) = looked.look(["flag-7"])
    assert (view.status, view.version, view.gone) == ("closed", 3, False)


def test_a_flag_that_late_data_withdraw_keeps_its_events(desk, casebook):
    desk(flag(1))
    decide(casebook, "acknowledge", [flag(1)], actor="li")
    looked = desk(flag(1, status="withdrawn"))
    (view,) = looked.views(Choice())
    assert (view.status, view.flag.status) == ("acknowledged", "withdrawn")
    told = history(view, events(casebook, "flag-1"))
    assert [(each.kind, each.action) for each in told] == [
        ("automatic", "raised"), ("decision", "acknowledge"), ("automatic", "withdrawn"),
    ]  # fmt: skip


def test_the_end_of_a_condition_and_a_higher_severity_stand_beside_the_decisions(desk, casebook):
    first = flag(1)
    desk(first)
    decide(casebook, "acknowledge", [first], actor="li")
    worse = msgspec.structs.replace(first, severity="critical", until=first.until + MINUTE)
    decide(casebook, "dismiss", [worse], actor="li", reason="known")
    looked = desk(msgspec.structs.replace(worse, status="ended"))
    (view,) = looked.look(["flag-1"])
    told = history(view, events(casebook, "flag-1"))
    assert [(each.action, each.at) for each in told if each.kind == "automatic"] == [
        ("raised", first.since), ("severity_raised", None), ("condition_ended", worse.until),
    ]  # fmt: skip
    assert [each.action for each in told] == [
        "raised", "acknowledge", "severity_raised", "dismiss", "condition_ended",
    ]  # fmt: skip
    assert view.status == "dismissed"


def test_an_unknown_flag_is_told(desk):
    looked = desk(flag(1))
    with pytest.raises(ConfigError, match="no flag nobody, other"):
        looked.look(["flag-1", "nobody", "other"])
    assert ids(looked.look(["flag-1", "flag-1"])) == ["flag-1"]


def test_a_window_suppresses_what_lies_in_it_wholly(desk, casebook):
    window = suppress(
        casebook, since=START, until=START + 100 * SECOND, reason="visit", actor="li", site="a"
    )
    flags = [
        flag(1, device_id="in"),
        flag(2, device_id="in", since=START - 1, until=START + SECOND),
        flag(3, device_id="in", until=START + 100 * SECOND),
        flag(4, device_id="out"),
        flag(5, device_id="in", status="withdrawn"),
        flag(6, device_id="in", status="ended"),
    ]
    devices = [device("in", site="a"), device("out", site="b")]
    looked = desk(*flags, devices=devices)
    seen = {view.flag.id: view.status for view in looked.views(Choice())}
    assert seen == {
        "flag-1": "suppressed", "flag-2": "open", "flag-3": "open", "flag-4": "open",
        "flag-6": "suppressed",
    }  # fmt: skip
    (first,) = looked.look(["flag-1"])
    assert first.suppression == window.id
    decide(casebook, "acknowledge", [flags[0]], actor="li")
    assert looked.look(["flag-1"])[0].status == "acknowledged"
    unsuppress(casebook, window.id, actor="li")
    assert Desk(looked.store, casebook).look(["flag-6"])[0].status == "ended"


@pytest.mark.parametrize(
    ("scope", "suppressed"),
    [
        ({"device_id": "w-1"}, {"flag-1"}),
        ({"region": "1101"}, {"flag-1", "flag-2"}),
        ({"kind": "gas_meter"}, {"flag-3"}),
        ({"kind": "water_meter", "codes": ["leak_suspected"]}, {"flag-2"}),
        ({"site": "a", "region": "31"}, set()),
        ({"device_id": "w-1", "codes": ["leak_suspected"]}, set()),
    ],
)
def test_a_window_means_what_it_says_and_no_more(desk, casebook, scope, suppressed):
    suppress(casebook, since=0, until=2 * START, reason="x", actor="li", **scope)
    looked = desk(
        flag(1), flag(2, code="leak_suspected"), flag(3, kind="gas_meter", device_id="g"),
        devices=[device("w-1", region="110105", site="a"), device("w-2", region="110106")],
    )  # fmt: skip
    assert {v.flag.id for v in looked.views(Choice(statuses=("suppressed",)))} == suppressed


def test_an_export_has_the_status_to_show_and_all_else_as_it_was(desk, casebook):
    looked = desk(flag(1), flag(2, status="ended"), flag(3))
    decide(casebook, "acknowledge", [flag(3)], actor="li")
    told = list(with_status(looked, looked.store.flags()))
    assert told == [flag(1), flag(2, status="ended"), flag(3, status="acknowledged")]


def test_a_store_in_memory_answers_the_same(casebook, store):
    flags = [flag(1), flag(2, severity="info"), flag(3, status="withdrawn"), flag(4, since=START)]
    memory = ListStore()
    for each in (memory, store):
        each.commit(results(flags=flags))
    for choice in (Choice(), Choice(severity="info"), Choice(ids=("flag-1",))):
        one, other = (list(Desk(each, casebook).views(choice)) for each in (memory, store))
        assert one == other
        assert one


def test_incidents_are_of_the_store_with_the_relations_of_the_registry(desk, casebook):
    devices = [
        device("w-1", site="a", region="110105"), device("w-2", site="a"),
        device("w-3", parameters={"parent": "w-4"}), device("w-4"),
    ]  # fmt: skip
    late = START + 10_000 * SECOND
    looked = desk(
        flag(1), flag(2), flag(3), flag(4), flag(5, status="withdrawn", device_id="w-1"),
        flag(6, since=late, until=late, measured_at=late, device_id="w-1"),
        devices=devices,
    )  # fmt: skip
    found = {incident.id: incident for incident in incidents_of(looked)}
    assert {i: each.flags for i, each in found.items()} == {
        "inc-flag-6": ["flag-6"],
        "inc-flag-3": ["flag-3", "flag-4"],
        "inc-flag-1": ["flag-1", "flag-2"],
    }
    assert (found["inc-flag-1"].sites, found["inc-flag-1"].regions) == (["a"], ["110105"])
    # What is asked for chooses incidents; what they are made of stays the same.
    (only,) = incidents_of(looked, Choice(device_id="w-2"))
    assert only == found["inc-flag-1"]
    (only,) = incidents_of(looked, Choice(since=late))
    assert only == found["inc-flag-6"]
    decide(casebook, "acknowledge", [flag(4)], actor="li")
    (only,) = incidents_of(looked, Choice(statuses=("acknowledged",)))
    assert only.statuses == {"acknowledged": 1, "open": 1}
    assert flags_of(looked, ["inc-flag-3", "inc-flag-6"]) == {
        "inc-flag-3": ["flag-3", "flag-4"], "inc-flag-6": ["flag-6"],
    }  # fmt: skip
    assert chosen(looked, ["inc-flag-3", "flag-4", "flag-1"]) == ["flag-3", "flag-4", "flag-1"]
    with pytest.raises(ConfigError, match="no incident inc-flag-4 any more"):
        flags_of(looked, ["inc-flag-4"])


def test_what_is_suppressed_is_in_no_incident(desk, casebook):
    suppress(casebook, since=0, until=2 * START, reason="x", actor="li", device_id="w-1")
    looked = desk(flag(1), flag(2))
    assert [incident.flags for incident in incidents_of(looked)] == [["flag-2"]]


def test_twenty_thousand_flags_are_listed_at_once(desk, casebook):
    many = [flag(number) for number in range(20_000)]
    looked = desk(*many, devices=[device(f"w-{n}", site="a") for n in range(7)])
    decide(casebook, "acknowledge", many[::7], actor="li")
    begin = time.process_time()
    page = list(islice(looked.views(Choice()), 100))
    first = time.process_time() - begin
    every = list(looked.views(Choice(statuses=("acknowledged",))))
    assert (len(page), len(every)) == (100, len(many[::7]))
    assert first < 2
    assert time.process_time() - begin < 10

"""Feeders and districts: the master is the sum of its members and a technical loss."""

from __future__ import annotations

from collections import defaultdict

import pytest

from simulators.clock import DAY, HOUR, MINUTE
from simulators.feeder import SIZE, is_master
from tests.simulators.fleets import START, bodies, fleet, run


def registers(messages, place):
    """Value by device and time measured."""
    found = defaultdict(dict)
    for device, body in bodies(messages, "periodic"):
        value = body
        for name in place:
            value = value[name]
        found[device][body["ts"]] = value
    return found


def steps(readings, hours):
    """By how much each device's register moved in spans of some hours, by the span's end."""
    return {
        device: {
            t: (value - series[t - hours * HOUR]) % 10**6
            for t, value in series.items()
            if t - hours * HOUR in series and t % (hours * HOUR) == 0
        }
        for device, series in readings.items()
    }


def net(messages, hours=24):
    taken = steps(registers(messages, ("energy", "import")), hours)
    given = steps(registers(messages, ("energy", "export")), hours)
    return {
        device: {t: value - given[device][t] for t, value in series.items()}
        for device, series in taken.items()
    }


def loss(balance, master):
    """The part of the master's energy that its members don't show, by span."""
    members = [series for device, series in balance.items() if device != master]
    assert len(members) == SIZE - 1
    return {
        t: (whole - sum(series[t] for series in members)) / whole
        for t, whole in balance[master].items()
    }


def test_a_group_is_whole_and_its_members_name_their_master():
    made, _ = fleet("feeder", devices=14)
    lines = list(made.registry())
    assert len(lines) == 2 * SIZE
    masters = [line["device_id"] for line in lines if "parent" not in line["parameters"]]
    assert masters == ["fe-110000-00013", "fe-110000-00026"]
    for number, line in enumerate(lines):
        assert line["kind"] == "electricity_meter"
        assert line["profile"] == "electricity-meter-reference"
        if not is_master(number):
            assert line["parameters"]["parent"] == masters[number // SIZE]
        assert line["site"] == lines[number // SIZE * SIZE]["site"]
    [topic] = {each.topic.split("/")[2] for each in made.messages()}
    assert topic == "electricity_meter"


@pytest.mark.parametrize(("kind", "interval"), [("feeder", 15 * MINUTE), ("district", HOUR)])
def test_all_of_a_group_are_measured_at_the_same_moments(kind, interval):
    messages, _ = run(kind, devices=SIZE, days=1)
    times = defaultdict(set)
    for device, body in bodies(messages):
        assert body["ts"] % interval == 0
        times[device].add(body["ts"])
    assert len(times) == SIZE
    shared = set.intersection(*times.values())
    assert all(len(seen - shared) <= 1 for seen in times.values())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_feeder_loses_one_to_five_percent_by_the_square_of_its_load(seed):
    messages, _ = run("feeder", devices=SIZE, days=6, seed=seed)
    days = loss(net(messages), "fe-110000-00013")
    assert len(days) >= 4
    assert all(0.01 < part < 0.05 for part in days.values())
    hourly = net(messages, hours=1)
    parts = loss(hourly, "fe-110000-00013")
    loads = hourly["fe-110000-00013"]
    ranked = sorted(parts, key=loads.__getitem__)
    tenth = len(ranked) // 10
    low, high = ranked[len(ranked) // 2 - tenth : len(ranked) // 2], ranked[-tenth:]
    assert sum(parts[t] for t in high) > sum(parts[t] for t in low)


def test_theft_of_a_member_shows_at_the_master_and_names_the_member():
    messages, events = run("feeder", devices=SIZE, days=8, cheats=(("feeder_theft", 1.0),))
    found = [event for event in events if event.required]
    assert {event.code for event in found} == {"energy_balance_mismatch"}
    assert {event.device_id for event in found} == {"fe-110000-00013"}
    assert {event.suspect for event in found} == {"fe-110000-00005", "fe-110000-00010"}
    lines = [event.line() for event in events]
    assert {"suspect", "required"} <= {key for line in lines for key in line}
    drops = {event.device_id for event in events if not event.required}
    assert drops == {event.suspect for event in found}
    honest, _ = run("feeder", devices=SIZE, days=8)
    spoilt, true = (loss(net(each), "fe-110000-00013") for each in (messages, honest))
    after = [t for t in true if t > START + 2 * DAY]
    assert all(spoilt[t] > true[t] + 0.05 for t in after)
    master = [
        {body["ts"]: body for device, body in bodies(each) if device.endswith("13")}
        for each in (messages, honest)
    ]
    assert master[0] == master[1]


def test_every_other_feeder_is_of_homes_any_of_which_may_steal():
    made, _ = fleet("feeder", devices=2 * SIZE, cheats=(("feeder_theft", 1.0),))
    shops = [line["parameters"]["phases"] for line in made.registry()]
    assert shops[:SIZE].count(3) == 3
    assert shops[SIZE:].count(3) == 1
    thieves = [device.setting.index for device in made.devices if device.fault]
    assert thieves == [4, 9, *(n for n in range(SIZE, 2 * SIZE - 1) if n != 17)]
    homes = [device.instrument.mean_kw for device in made.devices[SIZE:-1]]
    # each takes so much that half of it is more than a fiftieth of the feeder
    assert min(homes) / sum(homes) > 0.045


def test_an_illegal_tap_shows_at_the_master_and_suspects_nobody():
    messages, [event] = run("feeder", devices=SIZE, days=6, cheats=(("illegal_tap", 1.0),))
    assert (event.device_id, event.suspect) == ("fe-110000-00013", None)
    days = loss(net(messages), event.device_id)
    assert all(part > 0.12 for t, part in days.items() if t > START + 2 * DAY)


def test_people_of_a_feeder_go_away_and_its_master_falls_with_them():
    made, _ = fleet("feeder", devices=SIZE * 6, days=1)
    away = [
        device.instrument.presence(START + day * DAY)
        for device in made.devices
        if not is_master(device.setting.index)
        for day in range(60)
    ]
    assert 0.01 < sum(part < 1 for part in away) / len(away) < 0.2


def test_a_district_loses_little_and_a_leak_shows_by_night():
    place = ("volume",)
    messages, _ = run("district", devices=SIZE, days=6)
    days = loss(steps(registers(messages, place), 24), "dw-110000-00013")
    assert all(0.003 < part < 0.04 for part in days.values())
    spoilt, [event] = run("district", devices=SIZE, days=6, cheats=(("district_leak", 1.0),))
    assert (event.code, event.device_id) == ("leak_suspected", "dw-110000-00013")
    hourly = steps(registers(spoilt, place), 1)[event.device_id]
    assert min(step for t, step in hourly.items() if t > event.since) > 0.07

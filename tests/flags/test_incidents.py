"""Grouping: what belongs together, whatever the order, at a bounded cost."""

import random
import time

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.flags.incidents import Incident, Member, Rules, incidents

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_772_323_200 * 10**9


def member(number, device="d1", since=0, until=None, code="amount_mismatch", **fields):
    begin = START + since
    return Member(
        id=f"f{number:05d}",
        device_id=device,
        code=code,
        severity=fields.pop("severity", "minor"),
        since=begin,
        until=begin if until is None else START + until,
        **fields,
    )


def groups(members, rules=None):
    return sorted(incident.flags for incident in incidents(members, rules))


def test_flags_of_a_device_within_an_hour_are_one_incident_with_what_they_have_in_common():
    members = [
        member(1, since=0, severity="info", kind="fuel_dispenser", site="s", region="110105"),
        member(2, since=HOUR, code="price_mismatch", severity="critical", status="confirmed"),
        member(3, since=3 * HOUR),
    ]
    later, first = incidents(members)
    assert later.flags == ["f00003"]
    assert first == Incident(
        id="inc-f00001", since=START, until=START + HOUR, count=2, severity="critical",
        codes={"amount_mismatch": 1, "price_mismatch": 1}, statuses={"confirmed": 1, "open": 1},
        devices=["d1"], sites=["s"], regions=["110105"], kinds=["fuel_dispenser"],
        flags=["f00001", "f00002"],
    )  # fmt: skip


def test_an_hour_is_counted_from_the_end_of_the_span_and_not_a_moment_more():
    lasting = member(1, since=0, until=5 * HOUR)
    assert groups([lasting, member(2, since=6 * HOUR)]) == [["f00001", "f00002"]]
    assert len(groups([lasting, member(2, since=6 * HOUR + 1)])) == 2


def test_a_long_condition_draws_only_what_begins_in_its_first_day():
    expired = member(1, since=0, until=300 * DAY, code="verification_expired")
    members = [expired, *(member(n, since=n * 10 * DAY) for n in range(2, 20))]
    assert len(groups(members)) == 19
    assert groups([expired, member(2, since=20 * HOUR)]) == [["f00001", "f00002"]]


def test_devices_of_a_site_or_a_feeder_are_drawn_together():
    of_site = [member(n, f"d{n}", n * MINUTE, places=("site:s",)) for n in range(3)]
    elsewhere = member(9, "d9", 0, places=("site:t",))
    assert groups([*of_site, elsewhere]) == [["f00000", "f00001", "f00002"], ["f00009"]]
    feeder = member(1, "feeder", 0)
    subs = [member(n, f"sub{n}", n * MINUTE, places=("device:feeder",)) for n in (2, 3)]
    assert groups([feeder, *subs]) == [["f00001", "f00002", "f00003"]]
    assert groups(subs) == [["f00002", "f00003"]]


def test_a_long_trouble_draws_in_nothing_that_begins_meanwhile_at_its_neighbours():
    long = [member(n, "d1", n * HOUR, places=("site:s",)) for n in range(50)]
    short = [member(100 + n, f"e{n}", n * 5 * HOUR, places=("site:s",)) for n in range(1, 9)]
    found = {incident.devices[0]: incident.count for incident in incidents(long + short)}
    assert found["d1"] == 50
    assert len(found) == 9


def test_a_storm_of_one_code_in_a_region_is_one_incident():
    storm = [
        member(n, f"d{n}", n * MINUTE, code="silent_device", region="110105") for n in range(8)
    ]
    assert groups(storm) == [[f"f{n:05d}" for n in range(8)]]
    assert len(groups(storm[:4])) == 4
    # One device with many flags is no storm, nor are many codes, nor many regions.
    mixed = [member(n, f"d{n}", n * MINUTE, code=f"c{n}", region=f"11010{n}") for n in range(8)]
    assert len(groups(mixed)) == 8


def test_storms_of_one_code_that_begin_together_are_one_whatever_the_regions():
    members = [
        member(n, f"d{n}", (n % 5) * MINUTE, code="silent_device", region=f"1101{n // 5:02d}")
        for n in range(50)
    ]
    assert len(groups(members)) == 1
    later = [
        member(100 + n, f"e{n}", 30 * MINUTE, code="silent_device", region="110199")
        for n in range(5)
    ]
    assert len(groups(members + later)) == 2


def test_what_is_spread_over_the_day_is_no_storm():
    members = [
        member(n, f"d{n}", n * 11 * MINUTE, code="voltage_out_of_limits", region="110105")
        for n in range(100)
    ]
    assert len(groups(members)) == 100


def test_a_chain_of_storms_and_what_follows_at_the_same_devices_is_one_incident():
    silent = [
        member(n, f"d{n}", 0, 3 * HOUR, code="silent_device", region="110105") for n in range(6)
    ]
    backlog = [
        member(10 + n, f"d{n}", 3 * HOUR + n * MINUTE, code="burst_after_silence", region="110105")
        for n in range(6)
    ]
    (only,) = incidents(silent + backlog)
    assert only.codes == {"burst_after_silence": 6, "silent_device": 6}


def test_the_rules_can_be_set():
    members = [member(1), member(2, since=2 * HOUR)]
    assert len(groups(members)) == 2
    assert len(groups(members, Rules(gap=2 * HOUR))) == 1


def test_nothing_gives_nothing():
    assert incidents([]) == []


FLAGS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.integers(0, 300),
        st.integers(0, 100),
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, "110105", "110106"]),
        st.sampled_from([(), ("site:s",), ("device:d0",)]),
    ),
    max_size=40,
)
RULES = Rules(gap=5 * MINUTE, reach=60 * MINUTE, storm=5 * MINUTE, storm_devices=3)


def made(told):
    return [
        member(n, f"d{device}", since * MINUTE, (since + long) * MINUTE, code,
               region=region, places=places)
        for n, (device, since, long, code, region, places) in enumerate(told)
    ]  # fmt: skip


@given(FLAGS, st.randoms(use_true_random=False))
def test_the_order_of_flags_does_not_matter_and_each_is_in_one_incident(told, chance):
    members = made(told)
    shuffled = list(members)
    chance.shuffle(shuffled)
    found = incidents(members, RULES)
    assert incidents(shuffled, RULES) == found
    assert sorted(each for incident in found for each in incident.flags) == sorted(
        each.id for each in members
    )
    assert sum(incident.count for incident in found) == len(members)


def groups_of(members, rules):
    """The set that each flag is in, by its id."""
    found = incidents(members, rules)
    return {each: frozenset(i.flags) for i in found for each in i.flags}


@given(FLAGS)
def test_what_is_near_at_one_device_is_together_by_the_plain_definition(told):
    members = made(told)
    of = groups_of(members, RULES)
    for one in members:
        for other in members:
            near = other.since <= min(one.until, one.since + RULES.reach) + RULES.gap
            if one.device_id == other.device_id and one.since <= other.since and near:
                assert of[one.id] == of[other.id]


@given(FLAGS)
def test_what_began_together_at_one_place_is_together_by_the_plain_definition(told):
    members = made(told)
    of = groups_of(members, RULES)
    alone = {}  # what each device's trouble is, without places and storms
    for device in {member.device_id for member in members}:
        own = [msgspec.structs.replace(m, places=()) for m in members if m.device_id == device]
        alone |= groups_of(own, msgspec.structs.replace(RULES, storm_devices=1_000))
    begin = {each: min(m.since for m in members if m.id in group) for each, group in alone.items()}
    for one in members:
        for other in members:
            near = abs(begin[one.id] - begin[other.id]) <= RULES.gap
            shared = {f"device:{one.device_id}", *one.places} & {
                f"device:{other.device_id}", *other.places,
            }  # fmt: skip
            if near and shared:
                assert of[one.id] == of[other.id]


def test_a_hundred_thousand_flags_are_grouped_in_seconds():
    chance = random.Random(5)
    members = [
        member(
            n, f"d{chance.randrange(5_000)}", chance.randrange(60 * 24 * 60) * MINUTE,
            code=chance.choice(["a", "b", "c"]), region=f"1101{chance.randrange(16):02d}",
            places=(f"site:{chance.randrange(800)}",),
        )
        for n in range(100_000)
    ]  # fmt: skip
    # And the worst: all of them at one moment in one place.
    members += [member(200_000 + n, f"x{n}", 0, region="110100") for n in range(50_000)]
    begin = time.process_time()
    found = incidents(members)
    assert time.process_time() - begin < 15
    assert max(incident.count for incident in found) >= 50_000

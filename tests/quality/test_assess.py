"""Quality from counts that can be counted by hand."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from gateway.casebook import Casebook
from gateway.devices import Registry
from gateway.flags.decisions import decide
from gateway.quality.assess import (
    UNKNOWN_DEVICE,
    Instruments,
    assess,
    assessment_line,
    days,
    detail,
    terms_of,
)
from gateway.quality.counts import Terms
from gateway.quality.dimensions import Counts, scores
from gateway.records import Device
from tests.quality.conftest import (
    BEGIN,
    DAY,
    FIRST,
    HOUR,
    SECOND,
    ZONE,
    flag,
    hourly,
    reading,
    refused,
)

NOTHING = Registry()
BERLIN = ZoneInfo("Europe/Berlin")


def of(filled, *, devices=NOTHING, first=FIRST, last=FIRST, **options):
    """Assessments by group; with one day a group."""
    found = assess(filled.store, devices, first, last, zone=ZONE, **options)
    return {each.group: each for each in found}


def later(days_):
    return FIRST + dt.timedelta(days=days_)


def test_good_data_have_full_marks_and_what_cannot_be_judged_is_left_out(filled):
    filled.take(hourly("w1"))
    each = of(filled)["w1"]
    assert (each.date, each.kind, each.counts) == (
        FIRST, "water_meter", Counts(devices=1, readings=24, raw=24),
    )  # fmt: skip
    assert (each.scores.accuracy, each.scores.consistency, each.scores.timeliness) == (1, 1, 1)
    assert (each.scores.completeness, each.scores.traceability) == (None, None)
    assert each.scores.overall == 100
    assert "completeness" not in assessment_line(each)


def test_a_day_is_that_of_the_zone(filled):
    filled.take([reading("w1", -1), reading("w1", 0), reading("w1", DAY - 1), reading("w1", DAY)])
    assert of(filled)["w1"].counts.readings == 2
    spring = list(days(dt.date(2026, 3, 28), dt.date(2026, 3, 30), BERLIN))
    assert [(end - begin) // HOUR for _, begin, end in spring] == [24, 23, 24]


def test_what_should_have_come_is_known_by_the_devices_own_rhythm(filled):
    filled.take(hourly("w1", range(4)) + hourly("w1", range(4, 5), range(18)))
    filled.take(hourly("w2", range(4)))
    filled.take(hourly("w3", range(5, 6)))  # the ledger's clock goes on
    found = of(filled, first=later(4), last=later(4))
    assert (found["w1"].counts.assessed, found["w1"].counts.missing) == (18, 6)
    assert found["w1"].scores.completeness == 18 / 24
    # Nothing of w2 came at all: that is what completeness is for.
    assert (found["w2"].counts.expected, found["w2"].scores.completeness) == (24, 0)
    assert found["w2"].scores.accuracy is None
    # Two days are no rhythm yet.
    assert of(filled, first=later(2), last=later(2))["w1"].scores.completeness is None


def test_what_has_not_passed_yet_is_not_missing(filled):
    filled.take(hourly("w1", range(4)) + hourly("w1", range(4, 5), range(12)))
    each = of(filled, first=later(4), last=later(4))["w1"]
    assert each.counts.missing == 0
    assert each.scores.completeness == 1


def test_sales_have_no_rhythm(filled):
    for day in range(5):
        filled.take(
            [
                reading("w1", day * DAY + n * HOUR, event="transaction")
                for n in range(20 if day < 4 else 2)
            ]
        )
    assert of(filled, first=later(4), last=later(4))["w1"].scores.completeness is None


def test_numbers_that_are_missing_count_with_the_readings_of_a_message(filled):
    read = [
        reading("w1", hour * HOUR, sequence=hour, channel=channel)
        for hour in range(10)
        for channel in ("a", "b")
    ]
    filled.take(read, a_message=2)
    gap = flag("g", "w1", "sequence_gap", 3 * HOUR, 4 * HOUR, evidence={"missing": 5})
    filled.take(flags=[gap])
    counts = of(filled)["w1"].counts
    assert (counts.missing_numbers, counts.missing, counts.assessed) == (5, 10, 20)
    assert of(filled)["w1"].scores.completeness == 20 / 30


def test_a_counter_that_jumps_far_has_lost_no_more_than_could_have_come(filled):
    filled.take([reading("w1", hour * HOUR, sequence=hour) for hour in range(4)])
    wild = {"missing": 4_000_000_000}
    filled.take(flags=[flag("g", "w1", "sequence_gap", HOUR, HOUR, evidence=wild)])
    counts = of(filled)["w1"].counts
    assert (counts.missing, counts.missing_numbers) == (40, 40)
    filled.take(hourly("w2", range(4)) + hourly("w2", range(4, 5), range(23)))
    filled.take(flags=[flag("h", "w2", "sequence_gap", 4 * DAY, 4 * DAY, evidence=wild)])
    assert of(filled, first=later(4), last=later(4))["w2"].counts.missing == 24


def test_a_gap_of_several_days_is_spread_over_them(filled):
    filled.take([reading("w1", -1, sequence=1), reading("w1", 4 * DAY, sequence=98)])
    filled.take(flags=[flag("g", "w1", "sequence_gap", 0, 4 * DAY, evidence={"missing": 96})])
    for day in range(4):
        each = of(filled, first=later(day), last=later(day))["w1"]
        assert (each.counts.missing_numbers, each.scores.completeness) == (24, 0)


def test_a_restart_of_a_counter_is_no_gap_and_a_withdrawn_gap_is_none(filled):
    filled.take(hourly("w1"))
    filled.take(
        flags=[
            flag("r", "w1", "sequence_gap", 0, 0, evidence={"restarted": True, "count": 1}),
            flag("g", "w1", "sequence_gap", 0, 0, evidence={"missing": 9}, status="withdrawn"),
        ]
    )
    assert of(filled)["w1"].counts.missing == 0


def test_late_and_early_readings_are_not_timely(filled):
    filled.take(
        [
            reading("w1", HOUR, received_at=BEGIN + HOUR + 600 * SECOND),
            reading("w1", 2 * HOUR, received_at=BEGIN + 2 * HOUR + 600 * SECOND + 1),
            reading("w1", 3 * HOUR, received_at=BEGIN + 3 * HOUR - 61 * SECOND),
            reading("w1", 4 * HOUR, received_at=BEGIN + 4 * HOUR - 60 * SECOND),
        ]
    )
    each = of(filled)["w1"]
    assert (each.counts.late, each.counts.early, each.scores.timeliness) == (1, 1, 0.5)
    patient = of(filled, terms=Terms(on_time=HOUR))["w1"]
    assert (patient.counts.late, patient.scores.timeliness) == (0, 0.75)


def test_a_reading_is_inaccurate_once_however_many_flags_say_so(filled):
    read = hourly("w1")
    read[5] = reading("w1", 5 * HOUR, quality="questionable")
    read[20] = reading("w1", 20 * HOUR, quality="questionable")
    filled.take(read)
    filled.take(
        flags=[
            flag("a", "w1", "value_out_of_range", 3 * HOUR, 6 * HOUR, status="ended"),
            flag("b", "w1", "register_spike", 4 * HOUR, 4 * HOUR),
            flag("c", "w1", "register_decrease", 8 * HOUR, 8 * HOUR),
            flag("d", "w1", "leak_suspected", 0, 23 * HOUR),
            flag("e", "w1", "register_spike", 10 * HOUR, 10 * HOUR, status="withdrawn"),
            flag("f", "w2", "register_spike", 0, 23 * HOUR),
            flag("g", "w1", "conflicting_duplicate", 9 * HOUR, 9 * HOUR),
        ]
    )
    counts = of(filled)["w1"].counts
    assert (counts.inaccurate, counts.out_of_range) == (5, 4)
    assert (counts.inconsistent, counts.duplicates) == (2, 1)
    assert (counts.questionable, counts.raw) == (2, 22)
    assert of(filled)["w1"].scores.accuracy == 19 / 24


def test_a_flag_of_a_channel_is_of_its_readings_only(filled):
    filled.take([reading("w1", HOUR, channel=channel) for channel in ("a", "b", None)])
    filled.take(flags=[flag("a", "w1", "register_spike", HOUR, HOUR, channel="a")])
    assert of(filled)["w1"].counts.inaccurate == 1


def test_a_condition_that_stands_covers_what_comes_until_it_has_ended(filled):
    filled.take(hourly("w1", range(3)))
    begin = {"since": 12 * HOUR, "until": 12 * HOUR, "evidence": {"count": 1}}

    def covered():
        found = [of(filled, first=later(day), last=later(day))["w1"] for day in range(3)]
        told = detail(
            filled.store, NOTHING, FIRST, later(2), zone=ZONE, terms=Terms(device_id="w1")
        )
        assert sum(each.counts.inaccurate for each in found) == sum(f.readings for f in told.flags)
        return [each.counts.inaccurate for each in found]

    filled.take(flags=[flag("a", "w1", "value_out_of_range", **begin)])
    assert covered() == [12, 24, 24]
    ended = {**begin, "until": DAY + 3 * HOUR, "status": "ended"}
    filled.take(flags=[flag("a", "w1", "value_out_of_range", **ended)])
    assert covered() == [12, 4, 0]
    # A count alone makes no condition.
    filled.take(flags=[flag("b", "w1", "power_energy_mismatch", 0, 0, evidence={"count": 1})])
    assert covered() == [13, 4, 0]


def test_messages_in_quarantine_do_not_conform(filled):
    filled.take([reading("w1", HOUR, channel=c) for c in "ab"], a_message=2)
    filled.take(
        quarantined=[
            refused("w1", 0), refused("w1", HOUR, "missing_field"), refused("w1", DAY),
            refused("w3", 0), refused(None, 0), refused(None, 1),
        ]
    )  # fmt: skip
    found = of(filled)
    counts = found["w1"].counts
    assert (counts.quarantined, counts.quarantined_readings) == (2, 4)
    assert found["w1"].scores.conformity == 2 / 6
    assert (found["w3"].scores.conformity, found["w3"].counts.devices) == (0, 1)
    assert (found[UNKNOWN_DEVICE].counts.quarantined, found[UNKNOWN_DEVICE].counts.devices) == (
        2, 0,
    )  # fmt: skip


def test_a_reading_is_traceable_while_a_certificate_of_its_device_is_valid(filled):
    filled.take([each for name in ("good", "never", "over", "new", "who") for each in hourly(name)])
    noon = BEGIN + 12 * HOUR
    devices = Registry(
        [
            Device(device_id="good", verified_at=BEGIN - DAY, verified_until=BEGIN + 9 * DAY),
            Device(device_id="never"),
            Device(device_id="over", verified_until=noon),
            Device(device_id="new", verified_until=BEGIN - DAY),
            Device(
                device_id="new", valid_from=noon, verified_at=noon, verified_until=noon + 9 * DAY
            ),
        ]
    )
    found = of(filled, devices=devices)
    told = {
        name: (each.counts.registered, each.counts.verified, each.scores.traceability)
        for name, each in found.items()
    }
    one = Terms(device_id="who", registry_known=True)
    assert of(filled, terms=one)["who"].scores.traceability == 0
    assert told == {
        "good": (24, 24, 1), "never": (24, 0, 0), "over": (24, 13, 13 / 24),
        "new": (24, 12, 0.5), "who": (0, 0, 0),
    }  # fmt: skip


def test_a_broken_signature_or_a_changed_program_breaks_the_trace(filled):
    filled.take(hourly("w1"))
    filled.take(flags=[flag("s", "w1", "signature_invalid", 3 * HOUR, 4 * HOUR)])
    devices = Registry([Device(device_id="w1", verified_until=BEGIN + 9 * DAY)])
    assert of(filled, devices=devices)["w1"].counts.verified == 22


def test_what_people_dismissed_does_not_count(filled, tmp_path):
    filled.take(hourly("w1"))
    spikes = [flag(n, "w1", "register_spike", n_ * HOUR, n_ * HOUR) for n_, n in enumerate("abcd")]
    filled.take(flags=spikes)
    with Casebook(tmp_path) as casebook:
        decide(casebook, "acknowledge", spikes, actor="li")
        decide(casebook, "dismiss", spikes[:2], actor="li", reason="x")
        decide(casebook, "close", spikes[:1], actor="li")
        decide(casebook, "confirm", spikes[2:], actor="li")
        decide(casebook, "close", spikes[2:3], actor="li")
        terms = terms_of(casebook)
    assert terms.dismissed == {"a", "b"}
    assert of(filled, terms=terms)["w1"].counts.inaccurate == 2


def test_groups_are_of_the_registry_else_of_the_profile(filled):
    filled.take([each for name in ("w1", "w2", "w3", "w4") for each in hourly(name)])
    devices = Registry(
        [
            Device(device_id="w1", vendor="ACME", model="M1", region="110105"),
            Device(device_id="w2", vendor="ACME", model="M2", region="110105"),
            Device(device_id="w3", region="310115"),
        ]
    )
    instruments = Instruments(devices, {"water": ("Other", "X1")})

    def counted(by, **options):
        found = of(filled, devices=devices, by=by, instruments=instruments, **options)
        return {name: (each.counts.devices, each.counts.readings) for name, each in found.items()}

    assert counted("vendor") == {"ACME": (2, 48), "Other": (2, 48)}
    assert counted("model") == {"M1": (1, 24), "M2": (1, 24), "X1": (2, 48)}
    assert counted("region") == {"110105": (2, 48), "310115": (1, 24), None: (1, 24)}


def test_days_can_be_told_one_by_one_or_as_one(filled):
    filled.take(hourly("w1", range(3)))
    daily = assess(filled.store, NOTHING, FIRST, later(2), zone=ZONE)
    assert [(each.date, each.counts.readings) for each in daily] == [
        (FIRST, 24), (later(1), 24), (later(2), 24),
    ]  # fmt: skip
    (total,) = assess(filled.store, NOTHING, FIRST, later(2), zone=ZONE, total=True)
    assert (total.date, total.counts.readings, total.counts.devices) == (None, 72, 1)


def test_what_is_behind_a_device_can_be_looked_at(filled):
    filled.take(hourly("w1", range(2)) + hourly("w2", range(2)))
    filled.take(
        flags=[
            flag("a", "w1", "value_out_of_range", 3 * HOUR, 6 * HOUR, status="ended"),
            flag("b", "w1", "leak_suspected", 0, DAY),
            flag("c", "w2", "register_spike", 0, DAY),
            flag("d", "w1", "register_spike", 5 * DAY, 5 * DAY),
        ],
        quarantined=[refused("w1", 0), refused("w1", 1), refused("w1", 2, "missing_field")],
    )
    told = detail(filled.store, NOTHING, FIRST, later(1), zone=ZONE, terms=Terms(device_id="w1"))
    assert [each.counts.readings for each in told.days] == [24, 24]
    assert (told.total.counts.readings, told.total.counts.devices) == (48, 1)
    assert [(f.id, f.dimension, f.readings) for f in told.flags] == [("a", "accuracy", 4)]
    assert told.quarantine == {"unparseable": 2, "missing_field": 1}
    whole = of(filled)["w1"].counts
    assert told.days[0].counts == whole


def test_an_empty_store_has_no_quality(filled):
    assert of(filled) == {}


def test_scores_are_shares_and_their_mean():
    counts = Counts(
        readings=100, assessed=100, missing=100, inaccurate=10, inconsistent=20, late=20,
        early=10, quarantined_readings=25, traced=100, verified=60,
    )  # fmt: skip
    found = scores(counts)
    assert (found.completeness, found.accuracy, found.consistency) == (0.5, 0.9, 0.8)
    assert (found.timeliness, found.conformity, found.traceability) == (0.7, 0.8, 0.6)
    assert found.overall == pytest.approx(100 * 4.3 / 6)
    assert scores(Counts()).overall is None


def test_counts_can_be_added():
    one = Counts(devices=1, readings=2, late=1)
    one.add(Counts(devices=1, readings=3, missing=4))
    assert one == Counts(devices=2, readings=5, late=1, missing=4)

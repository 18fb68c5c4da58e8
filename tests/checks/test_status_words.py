"""What instruments say of themselves: one flag a word, from the first reading until it is gone."""

from __future__ import annotations

from shutil import copyfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.checks.settings import parse
from gateway.checks.status_words import _FAULT_WORDS, _TAMPER_WORDS
from gateway.deciding import Decided, Decider
from gateway.errors import ProfileError
from gateway.profiles import load_profiles
from gateway.profiles.layout import Layout
from gateway.quantities import KINDS, STATUS_WORDS
from gateway.records import Batch, Device
from tests.checks.runs import found, the_same_however_it_comes
from tests.checks.support import MINUTE, T0, reading
from tests.compiled import PROFILES
from tests.ocmf_records import END, Signer
from tests.ocmf_records import payload as ocmf_payload
from tests.ocmf_records import reading as ocmf_reading

MINE = {"tamper_alarm", "device_fault", "signature_invalid"}
WATER = Layout("water_meter", "periodic", "test@1.0.0", ("volume",), {}, 65536, False, True)
BARE = Layout("water_meter", "periodic", "test@1.0.0", ("flow_rate",), {}, 65536, False, True)
ALARM = Layout("water_meter", "alarm", "test@1.0.0", (), {}, 65536, False, True)
CHARGE = Layout("ev_charger", "session", "test@1.0.0", ("energy",), {}, 65536, False, True)
HOUR = 60.0


def says(number, *words, of=WATER, hour=None, late=0.1, channel=None):
    at = (number if hour is None else hour) * HOUR
    return of, reading(of, number, at, offset=number, late=late, status=words, channel=channel)


def flags_of(readings, **given):
    return found(readings, only=MINE, **given)


def summary(flags):
    hour = 60 * MINUTE
    return [
        (f.evidence["observed"], (f.since - T0) // hour, (f.until - T0) // hour, f.status)
        for f in flags
    ]


def test_a_word_is_one_flag_from_its_first_reading_until_it_is_gone():
    run = [says(n, *(["cover_open"] if 10 <= n < 20 else [])) for n in range(40)]
    flags = flags_of(run)
    assert summary(flags) == [("cover_open", 10, 19, "ended")]
    assert (flags[0].code, flags[0].severity, flags[0].evidence["count"]) == (
        "tamper_alarm", "major", 10,
    )  # fmt: skip


def test_a_word_that_does_not_go_away_is_one_flag_that_grows():
    flags = flags_of([says(n, *(["battery_low"] if n >= 10 else [])) for n in range(200)])
    # Told again at the first reading of each day (UTC) while it lasts.
    (told,) = summary(flags)
    assert told == ("battery_low", 10, told[2], "open")
    assert 200 - 24 <= told[2] < 200
    assert (flags[0].code, flags[0].severity) == ("device_fault", "minor")


def test_words_are_flags_of_their_own():
    run = [
        says(1),
        says(2, "seal_broken", "memory_fault"),
        says(3, "memory_fault"),
        says(4),
        says(5),
    ]
    assert sorted(summary(flags_of(run))) == [
        ("memory_fault", 2, 3, "ended"), ("seal_broken", 2, 2, "ended"),
    ]  # fmt: skip
    assert {(f.code, f.severity) for f in flags_of(run)} == {
        ("tamper_alarm", "critical"), ("device_fault", "major"),
    }  # fmt: skip


def test_one_reading_without_the_word_is_a_glitch():
    run = [says(n, *([] if n in {0, 15, 30, 31, 32} else ["battery_low"])) for n in range(33)]
    assert summary(flags_of(run)) == [("battery_low", 1, 29, "ended")]
    strict = flags_of(run, checks={"device_fault": {"gone_after": 1}})
    assert summary(strict) == [("battery_low", 1, 14, "ended"), ("battery_low", 16, 29, "ended")]


def test_a_message_that_never_told_the_word_takes_nothing_back():
    run = [says(n, "magnetic_field") if n % 2 else says(n, of=BARE) for n in range(20)]
    assert [f.status for f in flags_of(run)] == ["open"]


def test_another_channel_takes_nothing_back():
    run = [says(n, *(["sensor_fault"] if n % 2 else []), channel=str(n % 2)) for n in range(20)]
    assert [f.status for f in flags_of(run)] == ["open"]


def test_an_alarm_is_over_after_a_day_without_another():
    run = [says(n) for n in range(5)] + [says(5, "tamper", of=ALARM)]
    assert summary(flags_of(run + [says(n) for n in range(6, 25)])) == [("tamper", 5, 5, "open")]
    assert summary(flags_of(run + [says(n) for n in range(6, 40)])) == [("tamper", 5, 5, "ended")]


def test_alarms_that_follow_one_another_are_one_condition():
    run = [
        says(n, *([] if n % 10 else ["tamper"]), of=WATER if n % 10 else ALARM) for n in range(60)
    ]
    (flag,) = flags_of(run)
    assert (flag.since, flag.status) == (T0, "open")
    assert flags_of(run[:1])[0].id == flag.id


def test_the_next_alarm_without_the_word_takes_it_back():
    run = [
        says(1, "tamper", of=ALARM),
        says(2, "seal_broken", of=ALARM),
        says(3, of=ALARM),
        says(4),
    ]
    assert summary(flags_of(run)) == [("tamper", 1, 1, "ended"), ("seal_broken", 2, 2, "ended")]


def test_an_alarm_and_the_status_of_readings_are_one_flag():
    run = [says(1), says(2, "cover_open", of=ALARM), says(3, "cover_open"), says(4, "cover_open")]
    run += [says(5, of=ALARM), says(6, "cover_open"), says(7), says(8), says(9)]
    assert summary(flags_of(run)) == [("cover_open", 2, 6, "ended")]


def test_severity_is_set_by_word_and_a_word_can_be_left_out():
    run = [says(1, "tilt", "battery_low", "leak")]
    assert {f.severity for f in flags_of(run)} == {"minor"}
    checks = {"tamper_alarm": {"severity": {"tilt": "critical", "leak": "info"}},
              "device_fault": {"severity": {"battery_low": "off"}}}  # fmt: skip
    assert {(f.evidence["observed"], f.severity) for f in flags_of(run, checks=checks)} == {
        ("tilt", "critical"), ("leak", "info"),
    }  # fmt: skip
    moved = {"device_fault": {"severity": {"tilt": "minor"}}}
    assert {f.code for f in flags_of(run, checks=moved)} == {"device_fault"}


@pytest.mark.parametrize("off", sorted(MINE))
def test_a_code_that_is_off_leaves_the_others(off):
    run = [says(1, "seal_broken", "battery_low", "signature_invalid", of=CHARGE)]
    assert {f.code for f in flags_of(run, checks={off: False})} == MINE - {off}
    assert flags_of(run, checks=dict.fromkeys(MINE, False)) == []


def test_a_word_that_is_none_is_refused_where_it_is_set():
    with pytest.raises(ProfileError, match="'door' is no status word"):
        parse("water_meter", {"tamper_alarm": {"severity": {"door": "minor"}}}, "t.yaml")


def test_every_word_of_the_tables_is_a_status_word_and_in_one_of_them():
    assert set(_TAMPER_WORDS) | set(_FAULT_WORDS) <= set(STATUS_WORDS)
    assert not set(_TAMPER_WORDS) & set(_FAULT_WORDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_device_is_judged(kind):
    of = Layout(kind, "periodic", "test@1.0.0", (KINDS[kind][0].name,), {}, 65536, False, True)
    assert {f.code for f in flags_of([says(1, "seal_broken", "sensor_fault", of=of)])} == {
        "tamper_alarm", "device_fault",
    }  # fmt: skip


def test_a_word_that_comes_late_is_told_alone_unless_a_flag_covers_it():
    run = [
        says(n, *(["cover_open"] if 10 <= n < 20 else [])) for n in range(60) if n not in {15, 40}
    ]
    late = [says(40, "cover_open", late=30 * 60), says(15, "cover_open", late=60 * 60)]
    flags = flags_of([*run, *late])
    assert summary(flags) == [("cover_open", 10, 19, "ended"), ("cover_open", 40, 40, "ended")]
    assert [f.evidence["judged_late"] for f in flags] == [False, True]


WORDS = st.sets(st.sampled_from(["cover_open", "battery_low", "seal_broken"]), max_size=2)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.lists(st.tuples(WORDS, st.booleans()), min_size=5, max_size=40))
def test_the_order_of_arrival_and_restarts_change_nothing(seed, told):
    run = [
        says(n, *sorted(words), of=ALARM if alarm else WATER, hour=n / 12)
        for n, (words, alarm) in enumerate(told)
    ]
    flags = the_same_however_it_comes(run, seed, only=MINE)
    assert {f.evidence["observed"] for f in flags} == {w for words, _ in told for w in words}


# -- signatures --------------------------------------------------------------------------------


def test_an_invalid_signature_is_one_flag_until_a_record_is_valid_again():
    words = ["signature_invalid"]
    run = [says(n, *(words if 3 <= n < 6 else []), of=CHARGE) for n in range(10)]
    (flag,) = flags_of(run)
    assert (flag.code, flag.severity, flag.status) == ("signature_invalid", "critical", "ended")
    assert flag.evidence["count"] == 3


def test_a_record_that_cannot_be_judged_neither_begins_nor_ends_it():
    run = [says(1, "signature_unverified", of=CHARGE), says(2, "signature_invalid", of=CHARGE)]
    run += [says(n, "signature_unverified", of=CHARGE) for n in range(3, 9)]
    (flag,) = flags_of(run)
    assert (flag.status, flag.evidence["count"]) == ("open", 1)


@pytest.fixture
def only_ocmf(tmp_path):
    """The shipped profiles of OCMF records alone: all of them take seconds to compile."""
    for file in ("kinds/ev-charger.yaml", "families/ocmf.yaml", "ev_charger/ocmf-record.yaml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        copyfile(PROFILES / file, tmp_path / file)
    return load_profiles([tmp_path])


def ocmf_flags(profiles, records, parameters):
    known = {"CP-1": Device(device_id="CP-1", parameters=parameters)}
    decider = Decider(profiles, known, {}, registry_known=True)
    outcome = Decided()
    count = len(records)
    topic, at = "ocmf/CP-1/record", 1_780_000_000 * 10**9
    decider.decide(Batch([topic] * count, records, [at + n for n in range(count)], 0), outcome)
    decider.judge.foresee(outcome.flags)
    assert (len(outcome.readings), outcome.quarantined) == (count, [])
    return {f.id: f for f in outcome.flags if f.code in MINE}


def record(signer, page, start, end):
    first = ocmf_reading(RV=start, TM=f"2026-03-0{page}T08:00:00,000+0100 S")
    last = ocmf_reading(**END | {"RV": end, "TM": f"2026-03-0{page}T09:00:00,000+0100 S"})
    return signer.record(ocmf_payload(first, last, PG=f"T{page}"))


def test_a_real_record_with_one_changed_digit_is_flagged_with_the_key(only_ocmf):
    meter = Signer()
    records = [record(meter, n, 1000.0 + 10 * n, 1010.0 + 10 * n) for n in range(1, 6)]
    key = {"ocmf_public_key": meter.der.hex()}
    assert ocmf_flags(only_ocmf, records, key) == {}
    assert b"1040.0" in records[2]
    records[2] = records[2].replace(b"1040.0", b"1049.0")
    (flag,) = ocmf_flags(only_ocmf, records, key).values()
    assert (flag.code, flag.status, flag.evidence["count"]) == ("signature_invalid", "ended", 1)
    assert len(flag.evidence["key_id"]) == 16
    assert flag.ledger_offset == 2


def test_the_key_of_another_meter_is_one_flag_of_all_records(only_ocmf):
    meter, other = Signer(), Signer()
    records = [record(meter, n, 1000.0 + 10 * n, 1010.0 + 10 * n) for n in range(1, 6)]
    (flag,) = ocmf_flags(only_ocmf, records, {"ocmf_public_key": other.der.hex()}).values()
    assert flag.status == "open"

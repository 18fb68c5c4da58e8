"""Constants and programs that only a verification may change."""

from __future__ import annotations

import pytest

from gateway.devices import Registry
from gateway.profiles.layout import Layout
from tests.checks.forecourt import DAY, Forecourt, device
from tests.checks.runs import codes, found, the_same_however_it_comes
from tests.checks.support import MINUTE, T0, reading

CONSTANT = "constant_changed"
PROGRAM = "firmware_changed"
TRIP = Layout(
    "taximeter", "trip", "test@1.0.0", ("distance", "k_constant"), {}, 2**32,
    sequence_per_channel=False, measured=True,
)  # fmt: skip


def judged(forecourt, code, devices, **given):
    return found(forecourt.made, devices=devices, only=[code], **given)


def telling(**quantities):
    return lambda sale: sale.update(quantities)


def at(minute):
    return T0 + round(minute * MINUTE)


CASES = {
    CONSTANT: ("k_factor", 100.0, 98.0),
    PROGRAM: ("firmware_checksum", "c0ffee01", "deadbeef"),
}


@pytest.mark.parametrize("code", CASES)
def test_what_the_registry_has_is_right_and_anything_else_is_one_flag(code):
    name, right, wrong = CASES[code]
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.sell(20, spoil=telling(**{name: wrong}))
    forecourt.sell(40)
    assert judged(forecourt, code, Registry([device()])) != []
    flags = judged(forecourt, code, Registry([device(**{name: right})]))
    assert codes(flags) == [code] * 2
    for flag in flags:
        assert (flag.status, flag.evidence["count"]) == ("ended", 10)
        assert (flag.evidence["observed"], flag.evidence["expected"]) == (wrong, right)
        assert flag.evidence["inputs"]["registered"] == [right]


@pytest.mark.parametrize("code", CASES)
def test_without_a_registered_one_what_was_told_before_counts(code):
    name, right, wrong = CASES[code]
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.sell(20, spoil=telling(**{name: wrong}))
    flags = judged(forecourt, code, Registry([device()]))
    assert codes(flags) == [code] * 2
    inputs = flags[0].evidence["inputs"]
    assert (inputs["registered"], inputs["told_before"]) == ([], right)
    assert judged(forecourt, code, {}) == []


@pytest.mark.parametrize("code", CASES)
@pytest.mark.parametrize("hours_off", [-20, 0, 20])
@pytest.mark.parametrize("registered", [True, False])
def test_a_new_certificate_explains_a_change_within_a_day(code, hours_off, registered):
    name, right, wrong = CASES[code]
    forecourt = Forecourt()
    forecourt.sell(200)
    change = forecourt.minute
    forecourt.sell(300, spoil=telling(**{name: wrong}))
    facts = ({name: right}, {name: wrong}) if registered else ({}, {})
    valid_from = at(change + 60 * hours_off)
    versions = Registry([device(**facts[0]), device(valid_from=valid_from, **facts[1])])
    assert judged(forecourt, code, versions) == []
    too_late = Registry([device(**facts[0]), device(valid_from=at(change + 3 * DAY), **facts[1])])
    flags = judged(forecourt, code, too_late)
    assert codes(flags) == [code] * 2
    assert {flag.since >= at(change) for flag in flags} == {True}


def test_a_certificate_that_rounds_is_right_and_a_thousandth_is_not():
    forecourt = Forecourt()
    forecourt.sell(20, spoil=telling(k_factor=100.04))
    assert judged(forecourt, CONSTANT, Registry([device(k_factor=100.0)])) == []
    forecourt.sell(2, spoil=telling(k_factor=100.1))
    flags = judged(forecourt, CONSTANT, Registry([device(k_factor=100.0)]))
    assert codes(flags) == [CONSTANT] * 2
    assert flags[0].severity == "critical"


def test_a_checksum_is_the_same_in_capitals():
    forecourt = Forecourt()
    forecourt.sell(10)
    assert judged(forecourt, PROGRAM, Registry([device(firmware_checksum="C0FFEE01")])) == []


def test_a_checksum_of_digits_only_may_come_as_a_number():
    forecourt = Forecourt()
    forecourt.sell(10, spoil=telling(firmware_checksum="20260101"))
    assert judged(forecourt, PROGRAM, Registry([device(firmware_checksum=20260101)])) == []
    assert len(judged(forecourt, PROGRAM, Registry([device(firmware_checksum=20260102)]))) == 2


def test_one_a_nozzle():
    forecourt = Forecourt()
    for _ in range(5):
        forecourt.sale("1")
        forecourt.sale("2", spoil=telling(k_factor=120.0, firmware_checksum="02"))
    told = {"k_factor": {"1": 100, "2": 120}, "firmware_checksum": {"1": "c0ffee01", "2": "02"}}
    assert judged(forecourt, CONSTANT, Registry([device(**told)])) == []
    assert judged(forecourt, PROGRAM, Registry([device(**told)])) == []
    told = {"k_factor": {"1": 120, "2": 100}}
    assert len(judged(forecourt, CONSTANT, Registry([device(**told)]))) == 2


def test_a_constant_that_comes_and_goes_is_one_flag():
    forecourt = Forecourt()
    for index in range(60):
        forecourt.sale("1", spoil=telling(k_factor=98.0 if index % 4 == 0 else 100.0))
    (flag,) = judged(forecourt, CONSTANT, Registry([device(k_factor=100.0)]))
    assert flag.evidence["count"] == 15


def test_the_constant_of_a_taximeter():
    trips = [
        (TRIP, reading(TRIP, n, n * 20, offset=n, late=0.1, distance=5.0,
                       k_constant=1000.0 if n < 10 else 1050.0))
        for n in range(30)
    ]  # fmt: skip
    (flag,) = found(trips, devices=Registry([device(k_constant=1000.0)]), only=[CONSTANT])
    assert (flag.evidence["unit"], flag.evidence["difference"]) == ("1/km", 50.0)
    assert flag.since == at(200)


def test_an_instrument_that_says_itself_that_its_program_was_changed():
    forecourt = Forecourt()
    forecourt.sell(4)
    forecourt.alarm("program_changed")
    minute = forecourt.minute
    forecourt.sell(30)
    (flag,) = judged(forecourt, PROGRAM, Registry([device()]))
    assert (flag.since, flag.status, flag.channel) == (at(minute), "ended", None)
    assert flag.evidence["observed"] == "program_changed"
    around = Registry([device(), device(valid_from=at(minute + 300))])
    assert judged(forecourt, PROGRAM, around) == []
    forecourt.alarm("cover_open")
    assert len(judged(forecourt, PROGRAM, Registry([device()]))) == 1


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_and_restarted_the_flags_are_the_same(seed):
    forecourt = Forecourt(seed)
    forecourt.sell(20)
    visit = forecourt.minute
    for index in range(150):
        spoil = telling(k_factor=98.0, firmware_checksum="02") if index % 5 == 0 else telling()
        forecourt.sale("12"[index % 2], spoil=spoil, pause=index % 9)
        if index % 50 == 7:
            forecourt.alarm("program_changed")
    devices = Registry([device(), device(valid_from=at(visit + 200))])
    given = {"devices": devices, "only": [CONSTANT, PROGRAM]}
    assert the_same_however_it_comes(forecourt.made, seed, **given)
    devices = Registry([device(k_factor=100.0, firmware_checksum="c0ffee01")])
    flags = the_same_however_it_comes(forecourt.made, seed, **(given | {"devices": devices}))
    assert {flag.code for flag in flags} == {CONSTANT, PROGRAM}

"""The energy of a charge, its registers, and those of the charge before."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.devices import Registry
from gateway.profiles.layout import Layout, Register
from gateway.records import Device
from tests.checks.runs import codes, found, the_same_however_it_comes
from tests.checks.support import MINUTE, T0, reading

NAMES = ("started_at", "ended_at", "energy", "energy_start", "energy_end")
DIAL = Register(100_000.0, 0.01)


def layout(*, full=True, registers=True, names=NAMES) -> Layout:
    dial = DIAL if full else Register()
    faces = {"energy_start": dial, "energy_end": dial} if registers else {}
    return Layout("ev_charger", "session", "test@1.0.0", names, faces, 65536, False, True)


SESSIONS = layout()
MINE = {"session_energy_mismatch"}


def charge(number, start, end, energy=None, *, of=SESSIONS, channel="1", late=0.1):
    """A charge of 30 minutes that ends at hour ``number``."""
    at = number * 60
    energy = round(end - start, 2) if energy is None else energy
    return of, reading(
        of, number, at, offset=number, channel=channel, late=late,
        started_at=T0 + (at - 30) * MINUTE, ended_at=T0 + at * MINUTE,
        energy=energy, energy_start=start, energy_end=end,
    )  # fmt: skip


def flags_of(charges, **given):
    return found(charges, only=MINE, **given)


def test_charges_one_after_another_are_right():
    assert flags_of([charge(n, n * 10.11, round(n * 10.11 + 10.11, 2)) for n in range(1, 40)]) == []


@pytest.mark.parametrize(
    ("energy", "severity"), [(10.12, None), (10.10, None), (10.13, "critical"), (10.09, "major")]
)
def test_the_energy_is_the_difference_of_the_registers_to_one_step(energy, severity):
    flags = flags_of([charge(1, 1000.0, 1010.11, energy)])
    assert [f.severity for f in flags] == ([] if severity is None else [severity])


def test_the_evidence_is_enough_to_compute_it_again():
    (flag,) = flags_of([charge(1, 1000.0, 1010.0, 12.5)])
    told = flag.evidence
    assert (told["observed"], told["expected"], told["tolerance"]) == (12.5, 10.0, 0.01)
    inputs = told["inputs"]
    difference = Decimal(str(inputs["energy"])) - (
        Decimal(str(inputs["energy_end"])) - Decimal(str(inputs["energy_start"]))
    )
    assert float(difference) == told["difference"] == 2.5
    assert (flag.since, flag.until) == (T0 + 30 * MINUTE, T0 + 60 * MINUTE)


@settings(max_examples=200)
@given(
    st.integers(0, 9_000_000), st.integers(0, 20_000), st.booleans(), st.integers(0, 9),
    st.integers(0, 9),
)  # fmt: skip
def test_what_an_honest_meter_rounds_or_cuts_is_no_finding(start, energy, cuts, third, fourth):
    """Registers and energy have a third digit that is not shown."""
    exact_start, exact_energy = start * 10 + third, energy * 10 + fourth
    exact_end = exact_start + exact_energy

    def shown(value):
        return (value // 10 if cuts else (value + 5) // 10) / 100

    one = charge(1, shown(exact_start), shown(exact_end), shown(exact_energy))
    assert flags_of([one]) == []


def test_a_coarser_register_sets_the_step():
    coarse = Layout(
        "ev_charger", "session", "test@1.0.0", NAMES,
        {"energy_start": Register(1e5, 1.0), "energy_end": Register(1e5, 1.0)}, 65536, False, True,
    )  # fmt: skip
    assert flags_of([charge(1, 1000.0, 1010.0, 10.9, of=coarse)]) == []
    assert codes(flags_of([charge(1, 1000.0, 1010.0, 11.1, of=coarse)])) == [
        "session_energy_mismatch"
    ]


def test_a_register_that_passes_its_full_scale_in_a_charge_is_taken_over_it():
    over = [charge(1, 99_990.0, 5.0, 15.0), charge(2, 5.0, 8.0)]
    assert flags_of(over) == []
    without = layout(full=False)
    assert codes(flags_of([charge(1, 99_990.0, 5.0, 15.0, of=without)])) == [
        "session_energy_mismatch"
    ]


def test_a_charge_that_begins_below_the_end_of_the_one_before_is_flagged_once():
    charges = [charge(1, 100.0, 120.0), charge(2, 115.0, 130.0), charge(3, 130.0, 140.0)]
    (flag,) = flags_of(charges)
    assert (flag.severity, flag.evidence["observed"], flag.evidence["expected"]) == (
        "major", 115.0, 120.0,
    )  # fmt: skip
    assert flag.evidence["inputs"]["other_sequence"] == 1


def test_a_jitter_by_one_step_is_no_finding():
    assert flags_of([charge(1, 100.0, 120.0), charge(2, 119.99, 130.0)]) == []


def test_connectors_have_registers_of_their_own():
    assert flags_of([charge(1, 100.0, 120.0), charge(2, 101.0, 130.0, channel="2")]) == []


def test_a_register_that_begins_anew_with_each_charge_has_no_charge_before():
    anew = layout(registers=False)
    assert flags_of([charge(1, 0.0, 20.0, of=anew), charge(2, 0.0, 30.0, of=anew)]) == []


def test_a_register_below_the_begin_of_the_charge_before_is_that_of_register_decrease():
    charges = [charge(1, 100.0, 120.0), charge(2, 0.0, 10.0), charge(3, 10.0, 12.0)]
    assert flags_of(charges) == []


def test_a_replaced_meter_begins_anew_with_its_version_of_the_registry():
    charges = [charge(1, 100.0, 120.0), charge(2, 110.0, 130.0)]
    versions = [
        Device(device_id="d1"),
        Device(device_id="d1", valid_from=T0 + 90 * MINUTE),
    ]
    assert flags_of(charges, devices=Registry(versions)) == []
    assert len(flags_of(charges, devices=Registry(versions[:1]))) == 1


def test_a_charge_whose_energy_is_wrong_is_one_finding():
    charges = [charge(1, 100.0, 120.0), charge(2, 110.0, 130.0, 5.0)]
    (flag,) = flags_of(charges)
    assert flag.evidence["quantity"] == "energy"


def test_what_is_missing_is_not_judged():
    one = reading(SESSIONS, 1, 0, offset=1, energy=10.0, energy_start=None, energy_end=5.0)
    assert flags_of([(SESSIONS, one)]) == []


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sets(st.integers(1, 19), max_size=4))
def test_the_order_of_arrival_and_restarts_change_nothing(seed, wrong):
    charges = [
        charge(n, n * 10.0, n * 10.0 + 10.0, 12.0 if n in wrong else 10.0) for n in range(20)
    ]
    flags = the_same_however_it_comes(charges, seed, only=MINE)
    assert len(flags) == len(wrong)

"""The shipped profiles hold what their own cases say, and the cases can fail."""

import copy
import dataclasses
import re

import pytest

from gateway.cases import CaseResult, run_cases
from gateway.checks import read_tariffs
from gateway.errors import ProfileError
from gateway.profiles import Profile, ProfileSet, load_profiles
from gateway.profiles.models import Case
from gateway.quantities import BY_NAME, KINDS
from tests.compiled import PROFILES

SHIPPED = load_profiles([PROFILES])
TARIFFS = read_tariffs((PROFILES / "reference" / "tariffs").glob("*.yaml"))
SHIPPED_PROFILES = list(SHIPPED.profiles.values())


def named(value: object) -> str:
    return value.name if isinstance(value, Profile) else str(value)


def with_case(profile: Profile, index: int, **changes: object) -> list[CaseResult]:
    """The case alone, changed, in a profile that is otherwise the same."""
    return with_cases(profile, [(index, changes)])


def with_cases(profile: Profile, changed: list[tuple[int, dict[str, object]]]) -> list[CaseResult]:
    """Cases of a profile, each changed, in a profile that is otherwise the same: compiled once."""
    cases = [profile.model.tests[index].model_copy(update=changes) for index, changes in changed]
    model = profile.model.model_copy(update={"tests": cases})
    one = dataclasses.replace(profile, model=model)
    return run_cases(ProfileSet({profile.name: one}, SHIPPED.bases), TARIFFS)


def expectation(profile: Profile, index: int, place: int, **changes: object) -> dict[str, object]:
    expect = copy.deepcopy(profile.model.tests[index].expect)
    expect[place].update(changes)
    return {"expect": expect}


def test_every_case_of_every_profile_holds():
    failed = {
        f"{result.profile}[{result.index}]": result.differences
        for result in run_cases(SHIPPED, TARIFFS)
        if not result.ok
    }
    assert failed == {}


def test_no_profile_is_without_a_case():
    assert [name for name, profile in SHIPPED.profiles.items() if not profile.model.tests] == []


def test_every_block_of_every_profile_is_shown_by_a_case():
    for profile in SHIPPED.profiles.values():
        expected = [dict(e) for case in profile.model.tests for e in case.expect]
        for block in profile.model.read:
            fits = [
                e
                for e in expected
                if e.get("event", "periodic") == block.event
                and (set(block.quantities) & set(e) or (not block.quantities and e.get("status")))
            ]
            assert fits, f"{profile.name}: no case for {block.when}"


def test_there_is_a_base_and_an_open_format_for_every_kind():
    assert {base.kind for base in SHIPPED.bases.values()} == set(KINDS)
    open_formats = {p.kind for name, p in SHIPPED.profiles.items() if name.endswith("-reference")}
    assert open_formats == set(KINDS)


def test_every_physical_quantity_of_a_kind_has_a_limit_in_its_base():
    for base in SHIPPED.bases.values():
        limits = base.model.checks["value_out_of_range"]
        free = {"pulses", "k_factor", "demand_max"} | {
            name for name in BY_NAME[base.kind] if name.startswith(("power_", "energy_reactive"))
        }
        lacking = [
            q.name
            for q in KINDS[base.kind]
            if q.type in {"number", "money"} and q.name not in limits and q.name not in free
        ]
        assert lacking == [], base.name


@pytest.mark.parametrize("profile", SHIPPED_PROFILES, ids=named)
def test_a_wrong_expectation_makes_its_case_fail(profile):
    wrong = [
        (index, place, key, expectation(profile, index, place, **{key: off(value)}))
        for index, case in enumerate(profile.model.tests)
        for place, expected in enumerate(case.expect)
        for key, value in expected.items()
    ]
    results = with_cases(profile, [(index, changes) for index, _, _, changes in wrong])
    for (index, place, key, _), result in zip(wrong, results, strict=True):
        told = f"expect[{place}].{key}: expected"
        lines = [told]
        if key == "device_id" and profile.model.tests[index].parameters:
            # The registry of the case has the key of another device now.
            lines.append("missing_key")
        assert any(line in got for got in result.differences for line in lines), (index, key)


def off(value: object) -> object:
    """Another value, as near as it can be."""
    match value:
        case None:
            return 0
        case bool():
            return not value
        case int() | float():
            return value + 0.01
        case list():
            return [*value, "leak"]
        case str():
            number, _, unit = value.partition(" ")
            plain = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", number)
            return f"{float(number) + 0.01!r} {unit}".strip() if plain else f"{value[:-1]}~"
    raise AssertionError(value)


@pytest.mark.parametrize("profile", SHIPPED_PROFILES, ids=named)
def test_a_case_that_names_another_outcome_fails(profile):
    changed = [
        (index, changes)
        for index, case in enumerate(profile.model.tests)
        for changes in other_outcomes(profile, index, case)
    ]
    for (index, changes), result in zip(changed, with_cases(profile, changed), strict=True):
        assert not result.ok, (index, changes)


def other_outcomes(profile: Profile, index: int, case: Case) -> list[dict[str, object]]:
    if case.quarantine is not None:
        return [
            {"quarantine": "no_such_reason"},
            {"quarantine": None, "expect": [{"event": "x"}]},
        ]
    nothing = {"expect": [], "quarantine": "missing_field"}
    more = {"expect": [*case.expect, *([{"kind": "any"}] * 9)]}
    flagged = {"flags": [*(case.flags or []), "no_such_flag"]}
    if not case.expect:
        return [nothing, more, flagged]
    return [nothing, more, flagged, expectation(profile, index, 0, no_such_quantity=1)]


@pytest.mark.parametrize("profile", SHIPPED_PROFILES, ids=named)
def test_a_damaged_payload_makes_its_case_fail(profile):
    damaged = [
        (index, {"payload": "{", "payload_hex": None})
        for index, case in enumerate(profile.model.tests)
        if case.expect
    ]
    for (index, _), result in zip(damaged, with_cases(profile, damaged), strict=True):
        assert any("quarantined: " in line for line in result.differences), index


def test_a_difference_is_told_as_the_case_would_say_it():
    meter = SHIPPED.profiles["electricity-meter-reference"]
    wrong = {"energy_import": "1234.57 kWh", "measured_at": "2026-01-02T00:00:00Z", "volts": 1}
    (result,) = with_case(meter, 0, **expectation(meter, 0, 0, **wrong))
    assert result.differences == (
        "expect[0].measured_at: expected '2026-01-02T00:00:00Z', got 2026-01-01T00:00:00Z",
        "expect[0].energy_import: expected '1234.57 kWh', got 1234.56 kWh",
        "expect[0].volts: electricity_meter has no such quantity or field; did you mean 'voltage'?",
    )


def test_money_must_be_equal_to_the_last_digit():
    pump = SHIPPED.profiles["fuel-dispenser-reference"]
    for wrong in (100.01, 100.00000001, "100.0000001", True):
        (result,) = with_case(pump, 0, **expectation(pump, 0, 0, amount=wrong))
        assert result.differences[0].startswith("expect[0].amount: ")


def test_a_name_that_is_no_profiles_is_told():
    with pytest.raises(ProfileError, match="did you mean 'shelly-pro-3em'"):
        run_cases(SHIPPED, TARIFFS, ["shelly-pro3em"])

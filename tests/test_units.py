"""Units: exact conversions, and refusal of what measures something else."""

import math
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import DecodeError
from gateway.profiles.scalars import ToldUnit
from gateway.quantities import KINDS
from gateway.units import UnitError, _exact, _line, conversion, parse_value, plain_conversions

CANONICAL = sorted({q.unit for quantities in KINDS.values() for q in quantities})


@pytest.mark.parametrize(
    ("unit", "canonical", "numerator", "denominator", "offset"),
    [
        ("kWh", "kWh", 1, 1, 0),
        ("Wh", "kWh", 1, 1000, 0),
        ("MWh", "kWh", 1000, 1, 0),
        ("J", "kWh", 1, 3_600_000, 0),
        ("mJ", "kWh", 1, 3_600_000_000, 0),
        ("uJ", "kWh", 1, 3_600_000_000_000, 0),
        ("GJ", "kWh", 2500, 9, 0),
        ("W", "kW", 1, 1000, 0),
        ("VA", "kVA", 1, 1000, 0),
        ("V.A", "kVA", 1, 1000, 0),
        ("var", "kvar", 1, 1000, 0),
        ("varh", "kvar.h", 1, 1000, 0),
        ("kvarh", "kvar.h", 1, 1, 0),
        ("L", "m3", 1, 1000, 0),
        ("dm3", "L", 1, 1, 0),
        ("10.L", "m3", 1, 100, 0),
        ("L/h", "m3/h", 1, 1000, 0),
        ("L/s", "m3/h", 18, 5, 0),
        ("[gal_us]", "L", 473_176_473, 125_000_000, 0),
        ("bar", "kPa", 100, 1, 0),
        ("m[H2O]", "kPa", 196_133, 20_000, 0),
        ("[mi_i]", "km", 25_146, 15_625, 0),
        ("[mi_i]/h", "km/h", 25_146, 15_625, 0),
        ("m/s", "km/h", 18, 5, 0),
        ("min", "s", 60, 1, 0),
        ("g/cm3", "kg/m3", 1000, 1, 0),
        ("1/m", "1/km", 1000, 1, 0),
        ("%", "1", 1, 100, 0),
        ("{pulse}", "1", 1, 1, 0),
        ("{pulse}/L", "1/L", 1, 1, 0),
        ("K", "Cel", 1, 1, Fraction(-27315, 100)),
        ("[degF]", "Cel", 5, 9, Fraction(-160, 9)),
    ],
)
def test_a_conversion_is_the_exact_one(unit, canonical, numerator, denominator, offset):
    assert conversion(unit, canonical) == (numerator, denominator, offset)


@pytest.mark.parametrize("unit", ["Cel", "K"])
def test_a_difference_of_temperatures_has_no_zero_point(unit):
    assert conversion(unit, "K").identity
    assert conversion("[degF]", "K") == (5, 9, 0)


def test_scale_multiplies_the_raw_number_before_the_zero_point():
    tenths = conversion("K", "Cel", "0.1")
    assert tenths.apply(2981.5) == pytest.approx(25.0, abs=1e-12)
    assert conversion("Wh", "kWh", "10") == (1, 100, 0)
    assert conversion("CUR", "CUR", "0.01") == (1, 100, 0)


def test_a_register_keeps_its_digits():
    watt_hours = conversion("Wh", "kWh")
    assert watt_hours.apply(131_881_850) == 131881.85
    assert all(watt_hours.apply(n) == n / 1000 for n in range(0, 10**7, 9973))


@given(st.integers(0, 10**15))
def test_thousandths_are_correctly_rounded(raw):
    assert conversion("W", "kW").apply(float(raw)) == float(Fraction(raw, 1000))


@pytest.mark.parametrize("canonical", CANONICAL)
def test_every_canonical_unit_is_understood_and_passes_unchanged(canonical):
    assert conversion(canonical, canonical).identity
    if not canonical.startswith("CUR") and canonical != "Cel":
        assert conversion(f"10.{canonical}" if canonical != "%" else "1", canonical).numerator > 1


@pytest.mark.parametrize(
    ("unit", "canonical"),
    [
        ("W", "kvar"), ("VA", "kW"), ("V.A", "kW"), ("kVA", "kvar"), ("V.A", "kvar"),
        ("kWh", "kvar.h"), ("kWh", "kW"), ("kW", "kWh"), ("kW/h", "kWh"), ("A.h", "kWh"),
        ("C", "Cel"), ("m", "m3"), ("kg", "kg/m3"), ("s", "1"), ("%", "1/km"),
        ("deg", "1"), ("rad", "1"), ("1", "deg"), ("%", "deg"), ("Np", "1"), ("B[V]", "V"),
        ("Cel", "kPa"), ("L", "L/min"), ("", "kWh"), ("{pulse}", "L"),
    ],
)  # fmt: skip
def test_what_measures_something_else_is_refused_with_the_choices(unit, canonical):
    with pytest.raises(UnitError) as refused:
        conversion(unit, canonical)
    said = str(refused.value)
    assert said.startswith(f"{unit!r} does not measure what {canonical!r} does")
    assert canonical in said.split("does", 2)[2]


@pytest.mark.parametrize(
    ("code", "meant", "canonical"),
    [
        ("KWH", "kWh", "kWh"), ("kwh", "kWh", "kWh"), ("Kwh", "kWh", "kWh"), ("wh", "Wh", "kWh"),
        ("°C", "Cel", "Cel"), ("℃", "Cel", "Cel"), ("degC", "Cel", "Cel"),
        ("°F", "[degF]", "Cel"), ("m³", "m3", "m3"), ("m³/h", "m3/h", "m3/h"), ("m^3", "m3", "m3"),
        ("Nm3", "m3", "m3"), ("mi", "[mi_i]", "km"),
        ("psi", "[psi]", "kPa"), ("MVAr", "Mvar", "kvar"), ("l/Min", "L/min", "L/min"),
    ],
)  # fmt: skip
def test_a_slip_of_the_pen_is_answered_with_the_code_that_was_meant(code, meant, canonical):
    with pytest.raises(UnitError, match="did you mean") as refused:
        conversion(code, canonical)
    assert str(refused.value) == f"{code!r} is not a UCUM unit; did you mean {meant!r}?"
    assert conversion(meant, canonical).numerator > 0


@pytest.mark.parametrize(
    ("code", "meant", "canonical"), [("mph", "[mi_i]/h", "km/h"), ("C", "Cel", "Cel")]
)
def test_a_slip_that_is_a_unit_of_something_else_is_answered_too(code, meant, canonical):
    with pytest.raises(UnitError, match="does not measure") as refused:
        conversion(code, canonical)
    assert str(refused.value).endswith(f"; did you mean {meant!r}?")


def test_money_has_no_unit_of_its_own():
    with pytest.raises(UnitError, match=r"scale: 0\.01"):
        conversion("CNY", "CUR")
    assert conversion("CUR/L", "CUR/L").identity


@pytest.mark.parametrize(
    ("text", "canonical", "value"),
    [
        ("198 V", "V", 198.0),
        ("198V", "V", 198.0),
        ("3.2 bar", "kPa", 320.0),
        ("-40 [degF]", "Cel", -40.0),
        ("26.7", "kWh", 26.7),
        ("1e3 W", "kW", 1.0),
        ("80 %", "%", 80.0),
        ("7.32", "CUR/L", 7.32),
    ],
)
def test_a_value_with_a_unit_is_read(text, canonical, value):
    assert math.isclose(parse_value(text, canonical), value, rel_tol=1e-14)


@pytest.mark.parametrize(
    "text", ["", "V", "nan V", "inf V", "1e999 V", "1,5 V", "1 2 V", "٣ V", "0x10 V", "--1 V"]
)
def test_what_is_no_value_is_refused(text):
    with pytest.raises(UnitError):
        parse_value(text, "V")


def test_the_units_of_packaged_profiles_need_no_registry_of_units():
    body = (
        "import sys; from gateway.assembly import read_profiles, make_decider; "
        "make_decider(read_profiles([]), {}, []); print('pint' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", body], check=True, capture_output=True, text=True)
    assert said.stdout == "False\n"


@pytest.mark.parametrize("unit", ["mWh", "mvar", "mVA"])
def test_a_prefix_that_the_trade_does_not_know_stays_refused(unit):
    with pytest.raises(UnitError):
        conversion(unit, "k" + unit[1:])


def test_plain_conversions_are_what_pint_says():
    compared = 0
    for canonical in CANONICAL:
        for code, plain in plain_conversions(canonical).items():
            if code != canonical:
                zero, slope = _line(code, canonical)
                assert float(plain.offset) == pytest.approx(zero)
                assert Fraction(plain.numerator, plain.denominator) == _exact(slope)
                compared += 1
    assert compared > 40


def test_a_unit_that_a_message_names_is_looked_up_and_never_searched_for():
    told = ToldUnit("energy", "kWh", "1", None, None)
    assert told("GJ", 3.6) == 1000
    assert told("Wh", 1500.0) == 1.5
    known = dict(told.known)
    for word in ("10.J", "eV", "kwh", "L", "x" * 1000, 7, ["kWh"]):
        with pytest.raises(DecodeError, match="unit"):
            told(word, 1.0)
    assert told.known == known

"""Records of M-Bus: what a value information says, numbers, times, texts, and what is no value."""

import math
from fractions import Fraction

import pytest

from tests.decode.mbus_reading import VOLUME, WHO, read, refused, values
from tests.mbus_encoding import (
    BCD8,
    INT64,
    NONE,
    REAL32,
    VARIABLE,
    answer,
    bcd,
    binary,
    day,
    digits,
    minute,
    number,
    real,
    record,
    second,
    text,
)


@pytest.mark.parametrize(
    ("vif", "raw", "name", "value"),
    [
        ("00", 1234, "energy", 0.001234), ("03", 1234, "energy", 1.234), ("06", 12, "energy", 12),
        ("07", 12, "energy", 120), ("0B", 36, "energy", 0.01), ("0F", 36, "energy", 100),
        ("10", 7, "volume", 7e-06), ("13", 7, "volume", 0.007), ("16", 7, "volume", 7),
        ("17", 7, "volume", 70), ("18", 7, "mass", 0.007), ("1F", 7, "mass", 70000),
        ("20", 9, "on_time", 9), ("21", 9, "on_time", 540), ("22", 9, "on_time", 32400),
        ("23", 9, "on_time", 777600), ("26", 9, "operating_time", 32400),
        ("28", 5, "power", 5e-06), ("2B", 1500, "power", 1.5), ("2F", 5, "power", 50),
        ("30", 3600, "power", 0.001), ("37", 36, "power", 100), ("38", 5, "flow_rate", 5e-06),
        ("3B", 120, "flow_rate", 0.12), ("3F", 5, "flow_rate", 50),
        ("40", 10, "flow_rate", 6e-05), ("47", 1, "flow_rate", 60), ("48", 5, "flow_rate", 1.8e-05),
        ("4F", 1, "flow_rate", 36), ("53", 5, "mass_flow", 5), ("58", 21530, "flow_temperature",
        21.53), ("5B", 21, "flow_temperature", 21), ("5E", 215, "return_temperature", 21.5),
        ("61", -9, "temperature_difference", -0.09), ("65", 2256, "external_temperature", 22.56),
        ("68", 1013, "pressure", 101.3), ("6B", 2, "pressure", 200), ("6E", 5, "hca", 5),
        ("70", 4, "averaging_duration", 4), ("76", 2, "actuality_duration", 7200),
        ("78", 12345678, "fabrication_number", "12345678"), ("7A", 5, "bus_address", "5"),
        ("FD00", 1500, "credit", 1.5), ("FD07", 15, "debit", 15), ("FD08", 200, "access_number",
        200), ("FD0E", 3, "firmware_version", "3"), ("FD17", 4096, "error_flags", 4096),
        ("FD1B", 1, "digital_input", 1), ("FD25", 15, "storage_interval", 900),
        ("FD28", 1, "storage_interval_months", 1), ("FD3A", 7, "dimensionless", 7),
        ("FD46", 230100, "voltage", 230.1), ("FD48", 2301, "voltage", 230.1),
        ("FD59", 957, "amperage", 0.957), ("FD5C", 3, "amperage", 3),
        ("FD6D", 2, "battery_operating_time", 172800), ("FD74", 4000, "remaining_battery_life",
        4000), ("FB00", 5, "energy", 500), ("FB01", 5, "energy", 5000),
        ("FB02", 5, "reactive_energy", 5), ("FB08", 36, "energy", 1000),
        ("FB0D", 10, "energy", 11.63), ("FB10", 5, "volume", 500), ("FB14", 1500, "reactive_power",
        1.5), ("FB1A", 455, "humidity", 45.5), ("FB28", 5, "power", 500),
        ("FB2E", 500, "frequency", 50), ("FB34", 1500, "apparent_power", 1.5),
        ("6F", 5, "vif_6f", 5), ("FD7C", 5, "vif_fd7c", 5), ("FB21", 5, "vif_fb21", 5),
        ("FF13", 5, "vif_ff13", 5),
    ],
)  # fmt: skip
def test_each_vif_is_one_quantity_in_one_unit(vif, raw, name, value):
    assert values(number(vif, raw, 4)) == {name: value}


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (number("13", 5, 4, storage=1), "volume_s1"),
        (number("13", 5, 4, storage=33), "volume_s33"),
        (number("13", 5, 4, storage=510), "volume_s510"),
        (number("03", 5, 4, tariff=3), "energy_t3"),
        (number("03", 5, 4, tariff=9), "energy_t9"),
        (number("03", 5, 4, tariff=1, storage=2, subunit=1), "energy_t1_s2_u1"),
        (number("03", 5, 4, subunit=3), "energy_u3"),
        (number("3B", 5, 4, function="maximum"), "flow_rate_max"),
        (number("3B", 5, 4, function="minimum", storage=1), "flow_rate_min_s1"),
        (number("3B", 5, 4, function="error"), "flow_rate_error"),
        (number("933A", 5, 4), "volume_uncorrected"),
        (number("933B", 5, 4), "volume_forward"),
        (number("933C", 5, 4), "volume_backward"),
        (number("933E", 5, 4), "volume_base"),
        (number("BB48", 5, 4), "flow_rate_upper_limit"),
        (number("BB41", 5, 4), "flow_rate_lower_limit_exceeds"),
        (number("ABFF01", 5, 4), "power_m01"),
        (number("93FF8102", 5, 4), "volume_m8102"),
        (number("937F", 5, 4), "volume_m"),
        (number("ABFC01", 5, 4), "power_l1"),
        (number("FDC8FC05", 5, 4), "voltage_l1_l2"),
        (number("93BB3E", 5, 4), "volume_forward_base"),
        (number("A828", 5, 4), "power_per_input_pulse_0"),
        (number("ABFC6F", 5, 4), "power_xfc6f"),
        (number("AB2D", 5, 4, tariff=1), "power_per_m3_t1"),
    ],
)
def test_a_name_says_qualifier_function_tariff_storage_and_subunit(sent, name):
    assert list(values(sent)) == [name]


def test_storage_tariff_and_subunit_stand_in_the_record():
    found = read(answer(*WHO, number("03", 5, 4, tariff=2, storage=37, subunit=5)))["records"][0]
    assert (found["storage"], found["tariff"], found["subunit"]) == (37, 2, 5)


def test_of_several_with_one_name_each_further_one_has_its_number():
    assert values(number("13", 5, 1), number("13", 5, 1), number("13", 7, 1)) == {
        "volume": 0.005, "volume_2": 0.005, "volume_3": 0.007,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (number("16", -5, 1), -5), (number("16", -500, 2), -500), (number("16", -50000, 3), -50000),
        (number("16", 2**31 - 1, 4), 2**31 - 1), (number("16", -(2**46), 6), -(2**46)),
        (number("16", 10**14, 8), 10**14),
        (digits("16", "12"), 12), (digits("16", "1234"), 1234), (digits("16", "123456"), 123456),
        (digits("16", "12345678"), 12345678), (digits("16", "123456789012"), 123456789012),
        (digits("16", "-012"), -12), (digits("14", "-0123456"), -1234.56),
        (record("16", real(12.3), REAL32), 12.3), (record("13", real(12.3), REAL32), 0.0123),
        (record("16", real(-0.1), REAL32), -0.1), (record("16", real(1e-30), REAL32), 1e-30),
        (record("16", real(16777215), REAL32), 16777215), (record("16", real(0.0), REAL32), 0),
        (record("13", b"\xc4" + bcd("00054321"), VARIABLE), 54.321),
        (record("13", b"\xd2" + bcd("1500"), VARIABLE), -1.5),
        (record("13", b"\xe3" + binary(54321, 3), VARIABLE), 54.321),
        (record("9370", binary(5, 4)), 5e-09), (record("9376", binary(5, 4)), 0.005),
        (record("937D", binary(5, 4)), 5),
    ],
)  # fmt: skip
def test_numbers_of_every_kind_and_size(sent, value):
    (found,) = values(sent).values()
    assert found == value


@pytest.mark.parametrize("raw", [123456789, 99999999, 1, 7, 54321])
def test_a_register_is_exactly_what_its_digits_say(raw):
    assert values(number("13", raw, 4))["volume"] == float(f"{raw}e-3")
    assert values(number("03", raw, 4))["energy"] == float(f"{raw}e-3")
    megajoules = Fraction(raw, 1000) * 10**6
    assert values(number("0B", raw, 4))["energy"] == float(megajoules / 3_600_000)


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (record("6C", day("2026-01-02")), "2026-01-02"),
        (record("6C", day("2080-12-31")), "2080-12-31"),
        (record("6C", bytes([0xA5, 0xBB])), "1993-11-05"),
        (record("6D", minute("2026-01-02T23:59")), "2026-01-02T23:59:00"),
        (record("6D", second("2026-01-02T08:09:10")), "2026-01-02T08:09:10"),
        (record("6D", bytes([10, 9, 8]), 3), "08:09:10"),
        (record("6D", day("2026-01-02")), "2026-01-02"),
        (record("BB6F", minute("2026-01-02T23:59")), "2026-01-02T23:59:00"),
        (record("AB39", day("2026-01-02")), "2026-01-02"),
        (record("FD30", minute("2026-01-02T23:59")), "2026-01-02T23:59:00"),
        (record("FD70", day("2026-01-02")), "2026-01-02"),
        (record("6D", b"\xe6" + second("2026-01-02T08:09:10"), VARIABLE), "2026-01-02T08:09:10"),
        (record("78", text("G0012"), VARIABLE), "G0012"),
        (digits("78", "00182007"), "00182007"),
        (record("FD11", text("Müller"), VARIABLE), "Müller"),
        (record("7A", binary(7, 1)), "7"),
        (record("FD0C", b"\xf1" + binary(0xABCDEF, 20), VARIABLE), "0" * 34 + "abcdef"),
    ],
)  # fmt: skip
def test_times_and_texts(sent, value):
    (found,) = values(sent).values()
    assert found == value


@pytest.mark.parametrize(
    "sent",
    [
        digits("13", "00A54321"), digits("13", "0B05"), digits("13", "F0F1"),
        number("13", -128, 1), number("5B", -(2**15), 2), number("13", -(2**63), 8),
        record("13", real(math.nan), REAL32), record("13", real(-math.inf), REAL32),
        record("6C", b"\x00\x00"), record("6C", b"\xff\xff"), record("6C", bytes([0x1E, 0x32])),
        record("6C", bytes([0x01, 0xD1])), record("6D", bytes(4)), record("6D", b"\xff" * 4),
        record("6D", minute("2026-01-02T08:05", invalid=True)), record("6D", bytes(6)),
        record("6D", bytes([0, 0x80, 8, 0x41, 0x31, 1])), record("6D", b"\xff\xff\xff", 3),
        record("6D", bcd("20260102"), BCD8), record("6D", bytes(8), INT64),
        record("6D", real(1.0), REAL32), record("13", b"", NONE), record("13", b"\x00", VARIABLE),
        record("FD11", text("  "), VARIABLE), record("6D", b"\xc3" + bytes(3), VARIABLE),
        number("9315", 5, 4), number("9316", 5, 4), number("9318", 5, 4), number("931F", 5, 4),
        digits("78", "0000000A"),
    ],
)  # fmt: skip
def test_what_is_no_value_is_absent(sent):
    document = read(answer(*WHO, sent, VOLUME))
    assert list(document["values"].values()) == [54.321]
    assert document["records"][0]["value"] is None


def test_a_record_error_stands_in_its_record():
    document = read(answer(*WHO, number("9315", 5, 4), number("9300", 5, 4)))
    assert document["records"][0]["error"] == "no_data"
    assert document["values"] == {"volume": 0.005}


def test_plain_text_names_a_quantity():
    sent = header_text(b"\x02\xfc", "%RH", b"\x74") + binary(4564, 2)
    document = read(answer(*WHO, sent, header_text(b"\x01\x7c", "bat. time", b"") + b"\x05"))
    assert document["values"] == {"text_rh": 45.64, "text_bat_time": 5}
    assert document["records"][0]["unit"] == "%RH"


def header_text(start: bytes, name: str, vifes: bytes) -> bytes:
    return start + text(name) + vifes


def test_fillers_are_passed_over_and_the_makers_own_bytes_kept():
    document = read(answer(*WHO, b"\x2f\x2f", VOLUME, b"\x2f", b"\x0f\x01\x02"))
    assert document["values"] == {"volume": 54.321}
    assert document["manufacturer_data"] == "0102"


def test_an_end_of_readout_ends_it():
    assert values(VOLUME, b"\x7f\x00") == {"volume": 54.321}


def test_a_fault_names_its_byte():
    assert "byte 13: DIF 3FH is reserved" in refused(answer(*WHO, b"\x3f")).detail


# -- refusals ------------------------------------------------------------------------------------

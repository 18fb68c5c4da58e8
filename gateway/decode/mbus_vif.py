"""What a VIF of M-Bus says: quantity, unit and factor (EN 13757-3, tables 10, 12, 14 to 16).

Whatever power of ten a meter sends, a quantity comes in one unit: energies are kWh (joules too),
powers kW, volumes m3, flows m3/h, masses kg, mass flows kg/h, temperatures Cel, differences K,
pressures kPa, voltages V, currents A, reactive energies kvar.h, durations s.  Factors are exact
fractions; a value is one integer multiplied and divided once, so registers compare exactly.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, NamedTuple


class Meaning(NamedTuple):
    """What one VIF says.

    Attributes:
        quantity: its name in the document.
        unit: UCUM code; empty for a pure number, a text or a time.
        factor: from the number as sent to the unit.
        sort: ``number`` (binary is signed), ``unsigned``, ``label`` (a number or text that names
            something: digits keep their zeros), ``date`` or ``time`` (types F, G, I, J).
    """

    quantity: str
    unit: str = ""
    factor: Fraction = Fraction(1)
    sort: str = "number"


_JOULE: Final = Fraction(1, 3_600_000)
_CALORIE: Final = Fraction(41868, 36_000_000_000)
"""kWh of one international calorie."""

_SPANS: Final = (1, 60, 3600, 86400)
_SPANS_OF_BATTERY: Final = (3600, 86400, 2_629_746, 31_556_952)
"""Hours, days, months and years; the last two are the mean of the Gregorian calendar."""


def _ten(exponent: int) -> Fraction:
    return Fraction(10) ** exponent


def _decades(
    first: int, count: int, exponent: int, quantity: str, unit: str, *, of: Fraction = Fraction(1)
) -> dict[int, Meaning]:
    """``count`` codes from ``first`` on, each ten times the one before."""
    return {first + i: Meaning(quantity, unit, _ten(exponent + i) * of) for i in range(count)}


def _durations(first: int, quantity: str, spans: tuple[int, ...] = _SPANS) -> dict[int, Meaning]:
    return {
        first + i: Meaning(quantity, "s", Fraction(seconds), "unsigned")
        for i, seconds in enumerate(spans)
    }


def _labels(**codes: str) -> dict[int, Meaning]:
    """``x10="customer_location"``: identities, versions, texts."""
    return {int(code[1:], 16): Meaning(name, sort="label") for code, name in codes.items()}


def _plain(**codes: str) -> dict[int, Meaning]:
    """Flags, counters and settings: binary is unsigned."""
    return {int(code[1:], 16): Meaning(name, sort="unsigned") for code, name in codes.items()}


PRIMARY: Final[dict[int, Meaning]] = {
    **_decades(0x00, 8, -6, "energy", "kWh"),
    **_decades(0x08, 8, 0, "energy", "kWh", of=_JOULE),
    **_decades(0x10, 8, -6, "volume", "m3"),
    **_decades(0x18, 8, -3, "mass", "kg"),
    **_durations(0x20, "on_time"),
    **_durations(0x24, "operating_time"),
    **_decades(0x28, 8, -6, "power", "kW"),
    **_decades(0x30, 8, 0, "power", "kW", of=_JOULE),
    **_decades(0x38, 8, -6, "flow_rate", "m3/h"),
    **_decades(0x40, 8, -7, "flow_rate", "m3/h", of=Fraction(60)),
    **_decades(0x48, 8, -9, "flow_rate", "m3/h", of=Fraction(3600)),
    **_decades(0x50, 8, -3, "mass_flow", "kg/h"),
    **_decades(0x58, 4, -3, "flow_temperature", "Cel"),
    **_decades(0x5C, 4, -3, "return_temperature", "Cel"),
    **_decades(0x60, 4, -3, "temperature_difference", "K"),
    **_decades(0x64, 4, -3, "external_temperature", "Cel"),
    **_decades(0x68, 4, -1, "pressure", "kPa"),
    0x6C: Meaning("date", sort="date"),
    0x6D: Meaning("time", sort="time"),
    0x6E: Meaning("hca"),
    **_durations(0x70, "averaging_duration"),
    **_durations(0x74, "actuality_duration"),
    **_labels(x78="fabrication_number", x79="identification", x7A="bus_address"),
}
"""The first table: E000 0000 to E111 1010."""

FD: Final[dict[int, Meaning]] = {
    **_decades(0x00, 4, -3, "credit", ""),
    **_decades(0x04, 4, -3, "debit", ""),
    **_plain(x08="access_number"),
    **_labels(
        x09="device_type",
        x0A="maker",
        x0B="parameter_set",
        x0C="model",
        x0D="hardware_version",
        x0E="firmware_version",
        x0F="software_version",
        x10="customer_location",
        x11="customer",
        x12="access_code_user",
        x13="access_code_operator",
        x14="access_code_system_operator",
        x15="access_code_developer",
        x16="password",
    ),
    **_plain(
        x17="error_flags",
        x18="error_mask",
        x1A="digital_output",
        x1B="digital_input",
        x1C="baud_rate",
        x1D="response_delay",
        x1E="retry",
        x1F="remote_control",
        x20="first_storage",
        x21="last_storage",
        x22="storage_block_size",
        x28="storage_interval_months",
        x29="storage_interval_years",
    ),
    **_labels(x23="tariff_descriptor", x2A="operator_data"),
    **_durations(0x24, "storage_interval"),
    0x2B: Meaning("time_second", "s", sort="unsigned"),
    **_durations(0x2C, "since_last_readout"),
    0x30: Meaning("tariff_start", sort="time"),
    **_durations(0x31, "tariff_duration", _SPANS[1:]),
    **_durations(0x34, "tariff_period"),
    **_plain(x38="tariff_period_months", x39="tariff_period_years", x3A="dimensionless"),
    **_labels(x3B="wmbus_container"),
    **_durations(0x3C, "transmission_period"),
    **_decades(0x40, 16, -9, "voltage", "V"),
    **_decades(0x50, 16, -12, "amperage", "A"),
    **_plain(
        x60="reset_counter",
        x61="cumulation_counter",
        x62="control_signal",
        x63="day_of_week",
        x64="week_number",
        x65="day_change",
        x66="parameter_activation",
        x67="supplier_information",
    ),
    **_durations(0x68, "since_last_cumulation", _SPANS_OF_BATTERY),
    **_durations(0x6C, "battery_operating_time", _SPANS_OF_BATTERY),
    0x70: Meaning("battery_change", sort="time"),
    0x71: Meaning("rf_level", "dBm"),
    **_plain(x72="daylight_saving", x73="listening_window", x75="stop_counter"),
    0x74: Meaning("remaining_battery_life", "d", sort="unsigned"),
    **_labels(x76="manufacturer_container"),
}
"""The table that VIF FD opens."""

FB: Final[dict[int, Meaning]] = {
    **_decades(0x00, 2, 2, "energy", "kWh"),
    **_decades(0x02, 2, 0, "reactive_energy", "kvar.h"),
    **_decades(0x04, 2, 0, "apparent_energy", "kVA.h"),
    **_decades(0x08, 2, 8, "energy", "kWh", of=_JOULE),
    **_decades(0x0C, 4, 5, "energy", "kWh", of=_CALORIE),
    **_decades(0x10, 2, 2, "volume", "m3"),
    **_decades(0x14, 4, -3, "reactive_power", "kvar"),
    **_decades(0x18, 2, 5, "mass", "kg"),
    **_decades(0x1A, 2, -1, "humidity", "%"),
    **_decades(0x28, 2, 2, "power", "kW"),
    0x2A: Meaning("phase_angle_voltages", "deg", Fraction(1, 10)),
    0x2B: Meaning("phase_angle", "deg", Fraction(1, 10)),
    **_decades(0x2C, 4, -3, "frequency", "Hz"),
    **_decades(0x30, 2, 8, "power", "kW", of=_JOULE),
    **_decades(0x34, 4, -3, "apparent_power", "kVA"),
    **_decades(0x74, 4, -3, "temperature_limit", "Cel"),
    **_decades(0x78, 8, -6, "cumulative_power_maximum", "kW"),
}
"""The table that VIF FB opens."""

_EXCEEDS: Final = {
    0x42 + 8 * upper + 4 * last + end: (
        f"{('lower', 'upper')[upper]}_limit_{('first', 'last')[last]}_{('begin', 'end')[end]}"
    )
    for upper in (0, 1)
    for last in (0, 1)
    for end in (0, 1)
}
_MOMENTS: Final = {
    0x39: "start",
    **_EXCEEDS,
    **{
        0x6A + 4 * last + end: f"{('first', 'last')[last]}_{('begin', 'end')[end]}"
        for last in (0, 1)
        for end in (0, 1)
    },
}
"""VIFEs after which the value is a date or a time: "start of", "begin of the first exceed"."""

_LASTING: Final = {
    **{
        0x50 + 8 * upper + 4 * last + i: (
            f"{('lower', 'upper')[upper]}_limit_{('first', 'last')[last]}_duration"
        )
        for upper in (0, 1)
        for last in (0, 1)
        for i in range(4)
    },
    **{
        0x60 + 4 * last + i: f"{('first', 'last')[last]}_duration"
        for last in (0, 1)
        for i in range(4)
    },
}
"""VIFEs after which the value is a duration; the two low bits tell s, min, h or d."""

_WORDS: Final[dict[int, str]] = {
    0x20: "per_second", 0x21: "per_minute", 0x22: "per_hour", 0x23: "per_day", 0x24: "per_week",
    0x25: "per_month", 0x26: "per_year", 0x27: "per_revolution", 0x28: "per_input_pulse_0",
    0x29: "per_input_pulse_1", 0x2A: "per_output_pulse_0", 0x2B: "per_output_pulse_1",
    0x2C: "per_l", 0x2D: "per_m3", 0x2E: "per_kg", 0x2F: "per_k", 0x30: "per_kwh",
    0x31: "per_gj", 0x32: "per_kw", 0x33: "per_k_l", 0x34: "per_v", 0x35: "per_a",
    0x36: "times_s", 0x37: "times_s_per_v", 0x38: "times_s_per_a",
    0x3A: "uncorrected", 0x3B: "forward", 0x3C: "backward", 0x3D: "non_metric", 0x3E: "base",
    0x3F: "obis", 0x40: "lower_limit", 0x48: "upper_limit", 0x68: "during_lower_exceed",
    0x69: "leakage", 0x6C: "during_upper_exceed", 0x6D: "overflow", 0x7E: "future",
}  # fmt: skip
"""VIFEs that qualify the quantity and leave number and unit as they are."""

_COUNTS: Final = {0x41: "lower_limit_exceeds", 0x49: "upper_limit_exceeds"}

_FC: Final[dict[int, str]] = {
    0x01: "l1", 0x02: "l2", 0x03: "l3", 0x04: "n", 0x05: "l1_l2", 0x06: "l2_l3", 0x07: "l3_l1",
    0x08: "q1", 0x09: "q2", 0x0A: "q3", 0x0B: "q4", 0x0C: "net", 0x10: "absolute",
    0x13: "to_meter", 0x14: "from_meter",
}  # fmt: skip
"""VIFEs after VIFE FC: phase, quadrant, direction."""

ERRORS: Final[dict[int, str]] = {
    0x01: "too_many_difes", 0x02: "storage_not_implemented", 0x03: "unit_not_implemented",
    0x04: "tariff_not_implemented", 0x05: "function_not_implemented",
    0x06: "data_class_not_implemented", 0x07: "data_size_not_implemented",
    0x0B: "too_many_vifes", 0x0C: "illegal_vif_group", 0x0D: "illegal_vif_exponent",
    0x0E: "vif_dif_mismatch", 0x0F: "unimplemented_action", 0x15: "no_data", 0x16: "overflow",
    0x17: "underflow", 0x18: "data_error", 0x1C: "premature_end",
}  # fmt: skip
"""VIFEs by which a meter says why a value is none (record errors)."""

_SLUG: Final = re.compile(r"[^a-z0-9]+")


class Qualified(NamedTuple):
    """A VIF with its VIFEs: what the value is, how the name goes on, and a record error."""

    meaning: Meaning
    name: str
    error: str | None


def describe(codes: bytes, text: str | None) -> Qualified:
    """What a VIF and its VIFEs say.

    Args:
        codes: VIF and VIFEs, without a plain text.
        text: the plain text of VIF 7C or FC.
    """
    meaning, used = _base(codes, text)
    words: list[str] = []
    error = None
    at = used
    while at < len(codes):
        code = codes[at] & 0x7F
        at += 1
        if code == 0x7F:  # the rest is the maker's own
            words.append(f"m{codes[at:].hex()}")
            break
        if code < 0x20:
            error = ERRORS.get(code, f"error_{code:02x}") if code else error
        elif 0x70 <= code <= 0x77:
            meaning = meaning._replace(factor=meaning.factor * _ten(code - 0x76))
        elif code == 0x7D:
            meaning = meaning._replace(factor=meaning.factor * 1000)
        elif code == 0x7C and at < len(codes):
            extended = codes[at] & 0x7F
            at += 1
            if extended == 0x11:
                meaning = meaning._replace(sort="unsigned")
            else:
                words.append(_FC.get(extended, f"xfc{extended:02x}"))
        else:
            meaning, word = _qualify(meaning, code)
            words.append(word)
    return Qualified(meaning, "_".join([meaning.quantity, *words]), error)


def _qualify(meaning: Meaning, code: int) -> tuple[Meaning, str]:
    if code in _MOMENTS:
        return Meaning(meaning.quantity, sort="time"), f"{_MOMENTS[code]}_time"
    if code in _LASTING:
        seconds = Fraction(_SPANS[code & 3])
        return Meaning(meaning.quantity, "s", seconds, "unsigned"), _LASTING[code]
    if code in _COUNTS:
        return Meaning(meaning.quantity, sort="unsigned"), _COUNTS[code]
    return meaning, _WORDS.get(code, f"x{code:02x}")


def _base(codes: bytes, text: str | None) -> tuple[Meaning, int]:
    """What the VIF says, and how many bytes said it."""
    code = codes[0] & 0x7F
    if text is not None:
        slug = _SLUG.sub("_", text.lower()).strip("_")
        return Meaning(f"text_{slug}", text), 1
    if code == 0x7F:
        # All that follows is the maker's own; the bytes themselves are the name.
        return Meaning(f"vif_{codes.hex()}"), len(codes)
    if codes[0] in {0xFB, 0xFD} and len(codes) > 1:
        table, name = (FB, "fb") if codes[0] == 0xFB else (FD, "fd")
        extended = codes[1] & 0x7F
        return table.get(extended, Meaning(f"vif_{name}{extended:02x}")), 2
    return PRIMARY.get(code, Meaning(f"vif_{code:02x}")), 1

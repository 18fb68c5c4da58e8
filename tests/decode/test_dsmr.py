"""P1 telegrams and IEC 62056-21 messages: the published ones, frames, times, meters, refusals."""

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.document import Context
from gateway.decode.dsmr import MAX_BYTES, MAX_GROUPS, compile_dsmr
from gateway.errors import DecodeError
from gateway.profiles.formats import Dsmr
from tests.corpora import corpora

FOLDER = corpora()
CASES = [
    json.loads(line)
    for line in (
        (FOLDER / "dsmr" / "cases.jsonl").read_text("utf-8").splitlines() if FOLDER else []
    )
]
REASONS = {
    "unparseable", "bad_checksum", "duplicate_key", "bad_time", "absurd_number", "too_large",
}  # fmt: skip

parse = compile_dsmr(Dsmr(format="dsmr"))
in_amsterdam = compile_dsmr(Dsmr(format="dsmr", zone="Europe/Amsterdam"))
strict = compile_dsmr(Dsmr(format="dsmr", checksum="required"))


def crc_by_bits(data: bytes) -> int:
    """CRC-16/ARC as a shift register: x^16 + x^15 + x^2 + 1, lowest bit first, start 0."""
    register = 0
    for byte in data:
        for bit in range(8):
            low = (register ^ (byte >> bit)) & 1
            register >>= 1
            if low:
                register ^= 0xA001
    return register


def telegram(*lines: str, name: str = "/XYZ5\\2METER", crc: bool = True) -> bytes:
    """A telegram of these lines as a meter sends it."""
    text = "\r\n".join([name, "", *lines, "!"])
    body = text.encode("latin-1")
    return body + (f"{crc_by_bits(body):04X}" if crc else "").encode() + b"\r\n"


def message(*lines: str, name: str = "", mark: bytes = b"!\r\n") -> bytes:
    """A data message of IEC 62056-21: STX, sets, '!', ETX, and the exclusive or of it all."""
    block = "".join(f"{line}\r\n" for line in lines).encode("latin-1") + mark + b"\x03"
    check = 0
    for byte in block:
        check ^= byte
    return name.encode() + b"\x02" + block + bytes([check])


def read(payload: bytes, parse=parse):
    return parse(payload, Context())


def refused(payload: bytes, parse=parse) -> DecodeError:
    with pytest.raises(DecodeError) as error:
        parse(payload, Context())
    assert error.value.reason in REASONS
    return error.value


# -- the published telegrams ---------------------------------------------------------------------

OBIS = {
    "BELGIUM_VERSION_INFORMATION": "0-0:96.1.4",
    "BELGIUM_EQUIPMENT_IDENTIFIER": "0-0:96.1.1",
    "EQUIPMENT_IDENTIFIER": "0-0:96.1.1",
    "EQUIPMENT_IDENTIFIER_GAS": "0-0:96.1.0",  # so the origin reads the Irish meter's number
    "P1_MESSAGE_HEADER": "1-3:0.2.8",
    "ELECTRICITY_USED_TARIFF_1": "1-0:1.8.1",
    "ELECTRICITY_USED_TARIFF_2": "1-0:1.8.2",
    "ELECTRICITY_DELIVERED_TARIFF_1": "1-0:2.8.1",
    "ELECTRICITY_DELIVERED_TARIFF_2": "1-0:2.8.2",
    "ELECTRICITY_ACTIVE_TARIFF": "0-0:96.14.0",
    "BELGIUM_CURRENT_AVERAGE_DEMAND": "1-0:1.4.0",
    "BELGIUM_MAXIMUM_DEMAND_MONTH": "1-0:1.6.0",
    "CURRENT_ELECTRICITY_USAGE": "1-0:1.7.0",
    "CURRENT_ELECTRICITY_DELIVERY": "1-0:2.7.0",
    "ACTUAL_SWITCH_POSITION": "0-0:96.3.10",
    "ACTUAL_TRESHOLD_ELECTRICITY": "0-0:17.0.0",
    "FUSE_THRESHOLD_L1": "1-0:31.4.0",
    "TEXT_MESSAGE": "0-0:96.13.0",
    "TEXT_MESSAGE_CODE": "0-0:96.13.1",
    "SHORT_POWER_FAILURE_COUNT": "0-0:96.7.21",
    "LONG_POWER_FAILURE_COUNT": "0-0:96.7.9",
} | {
    f"{name}_L{phase}{sign}": f"1-0:{20 * phase + c}.{d}.0"
    for phase in (1, 2, 3)
    for name, sign, c, d in [
        ("INSTANTANEOUS_ACTIVE_POWER", "_POSITIVE", 1, 7),
        ("INSTANTANEOUS_ACTIVE_POWER", "_NEGATIVE", 2, 7),
        ("INSTANTANEOUS_VOLTAGE", "", 12, 7),
        ("INSTANTANEOUS_CURRENT", "", 11, 7),
        ("VOLTAGE_SAG", "_COUNT", 12, 32),
        ("VOLTAGE_SWELL", "_COUNT", 12, 36),
    ]
}
LOGS = {"POWER_EVENT_FAILURE_LOG", "BELGIUM_MAXIMUM_DEMAND_13_MONTHS"}


def at(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text is not None else None


def octets(text: str) -> str | None:
    """An identity of the origin, which leaves octets in hexadecimal, as text."""
    if not text.strip("0"):
        return None
    data = bytes.fromhex(text)
    return data.decode() if all(0x20 <= byte < 0x7F for byte in data) else text


@pytest.mark.corpora
@pytest.mark.skipif(not CASES, reason="corpora not here")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_published_telegram_says_what_was_published(case):
    document = read(case["payload_text"].encode(), in_amsterdam)
    expected = dict(case["expected"] or {})
    if "P1_MESSAGE_TIMESTAMP" in expected:
        assert at(document["time"]) == at(expected.pop("P1_MESSAGE_TIMESTAMP")["value"])
    expected.pop("MBUS_DEVICES", None)
    for name in set(expected) - LOGS:
        value, unit = expected[name]["value"], expected[name]["unit"]
        got = document["values"].get(OBIS[name])
        # The origin makes a number of some digits that are no measurement (switch, text message).
        assert (int(got) if isinstance(got, str) and isinstance(value, int) else got) == value, name
        assert document["units"].get(OBIS[name]) == unit, name
        if "datetime" in expected[name]:
            assert at(document["times"][OBIS[name]]) == at(expected[name]["datetime"])


@pytest.mark.corpora
@pytest.mark.skipif(not CASES, reason="corpora not here")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_meters_behind_a_published_port(case):
    meters = {
        meter["channel"]: meter
        for meter in read(case["payload_text"].encode(), in_amsterdam).get("meters", [])
    }
    said = 0
    for device in (case["expected"] or {}).get("MBUS_DEVICES") or []:
        meter = meters.get(device["CHANNEL_ID"], {})
        for name, field in device.items():
            if name == "CHANNEL_ID" or field["value"] is None:
                continue
            said += 1
            if name.endswith("DEVICE_TYPE"):
                assert int(meter["type"]) == int(field["value"])
            elif "VALVE" in name:
                assert int(meter["valve"]) == int(field["value"])
            elif "IDENTIFIER" in name:
                assert meter.get("id") == octets(field["value"])
            else:
                assert (meter["value"], meter["unit"]) == (field["value"], field["unit"])
                assert at(meter["time"]) == at(field["datetime"])
    assert said == sum(
        field["value"] is not None
        for device in (case["expected"] or {}).get("MBUS_DEVICES") or []
        for name, field in device.items()
        if name != "CHANNEL_ID"
    )


def checked(case):
    """Whether a telegram ends with a CRC, which those before version 4 do not."""
    _, _, end = case["payload_text"].partition("\n!")
    return end[:4].isalnum()


@pytest.mark.corpora
@pytest.mark.skipif(not CASES, reason="corpora not here")
@pytest.mark.parametrize("case", list(filter(checked, CASES)), ids=lambda case: case["id"])
def test_a_published_telegram_damaged_anywhere_is_refused(case):
    payload = case["payload_text"].encode()
    mark = payload.index(b"\n!") + 1
    for place in range(0, mark + 5, 3):
        changed = bytearray(payload)
        changed[place] ^= 0x01
        refused(bytes(changed), strict)
    for end in range(0, mark + 5, 11):
        refused(payload[:end], strict)


# -- frames --------------------------------------------------------------------------------------

SETS = ("0-0:1.0.0(170102192002W)", "1-0:1.8.1(000004.426*kWh)")
SAID = {"1-0:1.8.1": 4.426}


def test_a_telegram_makes_this_document():
    document = read(
        telegram(
            "1-3:0.2.8(50)",
            *SETS,
            "0-0:96.1.1(4B384547303034303436333935353037)",
            "0-0:96.14.0(0002)",
            "1-0:1.6.0(200509134558S)(02.589*kW)",
            "1-0:32.32.0(00003)",
            "1-0:3.8.0(000000.5*kvarh)",
            "0-1:24.1.0(003)",
            "0-1:96.1.0(3232323241424344313233343536373839)",
            "0-1:24.2.1(170102161005W)(00000.107*m3)",
        )
    )
    assert document == {
        "identification": "XYZ5\\2METER",
        "id": "K8EG004046395507",
        "time": "2017-01-02T19:20:02+01:00",
        "values": {
            "1-3:0.2.8": "50",
            "0-0:96.1.1": "4B384547303034303436333935353037",
            "1-0:1.8.1": 4.426,
            "0-0:96.14.0": "0002",
            "1-0:1.6.0": 2.589,
            "1-0:32.32.0": 3,
            "1-0:3.8.0": 0.5,
        },
        "units": {"1-0:1.8.1": "kWh", "1-0:1.6.0": "kW", "1-0:3.8.0": "kvar.h"},
        "times": {"1-0:1.6.0": "2020-05-09T13:45:58+02:00"},
        "meters": [
            {
                "channel": 1,
                "type": "003",
                "id": "2222ABCD123456789",
                "value": 0.107,
                "unit": "m3",
                "time": "2017-01-02T16:10:05+01:00",
                "obis": "24.2.1",
            }
        ],
    }


def test_a_bridge_may_trim_the_telegram_or_send_lf_alone():
    whole = telegram("1-3:0.2.8(50)", *SETS)
    said = read(whole)
    for sent in (
        whole.strip(),
        b"\x00\r\n" + whole + b"\x00\r\n",
        whole.replace(b"\r\n", b"\n"),
    ):
        assert read(sent) == said


def test_the_crc_may_be_lower_case():
    body = telegram(*SETS)
    head, _, tail = body.rpartition(b"!")
    assert read(head + b"!" + tail.lower()) == read(body)


def test_a_crc_is_asked_for_where_the_telegram_tells_its_version():
    assert read(telegram(*SETS, crc=False))["values"] == SAID
    for version in ("1-3:0.2.8(50)", "0-0:96.1.4(50217)"):
        assert refused(telegram(version, *SETS, crc=False)).reason == "bad_checksum"
    assert refused(telegram(*SETS, crc=False), strict).reason == "bad_checksum"
    assert read(telegram(*SETS), strict)["values"] == SAID


def test_a_message_between_stx_and_etx_is_held_to_its_bcc():
    lines = ("1.8.0(000123.4*kWh)", "0.0.0(12345678)", "F.F(00)")
    for payload in (
        message(*lines),
        message(*lines, name="/ISk5MT382\r\n"),
        message(*lines, mark=b"!"),
        message(*lines, mark=b""),
    ):
        document = read(payload, strict)
        assert document["values"] == {"1.8.0": 123.4, "0.0.0": "12345678", "F.F": "00"}
        assert (document["id"], document["units"]) == ("12345678", {"1.8.0": "kWh"})
        for place in range(payload.index(b"\x02") + 1, len(payload)):
            changed = bytearray(payload)
            changed[place] ^= 0x01
            refused(bytes(changed))
        for end in range(len(payload)):
            refused(payload[:end])


def test_several_sets_may_stand_on_one_line():
    assert read(message("1.8.1(1*kWh)1.8.2(2*kWh)"))["values"] == {"1.8.1": 1, "1.8.2": 2}


# -- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "text", "time"),
    [
        (None, "230702132747S", "2023-07-02T13:27:47+02:00"),
        (None, "230202132747W", "2023-02-02T13:27:47+01:00"),
        (None, "230202132747", "2023-02-02T13:27:47"),
        ("Europe/Dublin", "230702132747S", "2023-07-02T13:27:47+01:00"),
        ("Europe/Dublin", "230202132747W", "2023-02-02T13:27:47+00:00"),
        ("Europe/Helsinki", "231029033000S", "2023-10-29T03:30:00+03:00"),
        ("Europe/Helsinki", "231029033000W", "2023-10-29T03:30:00+02:00"),
        ("Europe/Dublin", "230202132747", "2023-02-02T13:27:47+00:00"),
    ],
)
def test_a_time_has_the_offset_of_its_zone(zone, text, time):
    parse = compile_dsmr(Dsmr(format="dsmr", zone=zone))
    assert read(telegram(f"0-0:1.0.0({text})"), parse)["time"] == time


def test_the_hour_that_comes_twice_is_told_apart():
    times = [read(telegram(f"0-0:1.0.0(231029023000{s})"), in_amsterdam)["time"] for s in "SW"]
    assert times == ["2023-10-29T02:30:00+02:00", "2023-10-29T02:30:00+01:00"]


def test_a_zone_must_be_known():
    for zone in ("Europe/Atlantis", "", "../etc", "Europe"):
        with pytest.raises(ValueError, match="is no time zone"):
            Dsmr(format="dsmr", zone=zone)


@pytest.mark.parametrize("text", ["632525252525W", "230229000000W", "2302", "x", "230202132747X"])
def test_a_clock_that_shows_no_time_is_refused(text):
    error = refused(telegram(f"0-0:1.0.0({text})"))
    assert (error.reason, "0-0:1.0.0" in error.detail) == ("bad_time", True)


def test_an_empty_clock_is_absent():
    assert "time" not in read(telegram("0-0:1.0.0()"))


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "values", "units"),
    [
        ("1-0:1.8.0*255(1.5*kWh)", {"1-0:1.8.0": 1.5}, {"1-0:1.8.0": "kWh"}),
        ("1-0:1.8.0*01(1.5*kWh)", {"1-0:1.8.0*01": 1.5}, {"1-0:1.8.0*01": "kWh"}),
        ("1-0:13.7.0(-0.99)", {"1-0:13.7.0": -0.99}, {}),
        ("0-0:96.7.21(00015)", {"0-0:96.7.21": 15}, {}),
        ("0-0:96.14.0(0001)", {"0-0:96.14.0": "0001"}, {}),
        ("0-0:96.13.0()", {}, {}),
        ("1-0:1.8.0(*kWh)", {}, {}),
        ("1-0:1.8.0(------*kWh)", {}, {}),
        ("1-0:32.7.0()", {}, {}),
        ("1-0:1.7.0(000000286*W)", {"1-0:1.7.0": 286}, {"1-0:1.7.0": "W"}),
        ("1-0:4.8.0(1*varh)", {"1-0:4.8.0": 1}, {"1-0:4.8.0": "var.h"}),
        ("1.6.1(0.26*kW)(0103151200)", {"1.6.1": 0.26}, {"1.6.1": "kW"}),
        ("1-0:99.97.0(1)(0-0:96.7.19)(000104180320W)(0000237126*s)", {}, {}),
        ("0-0:98.1.0(230701000000S)(000040.777*kWh)(000008.950*kWh)", {}, {}),
        ("1-0:1.8.0(a)(b)", {}, {}),
    ],
)
def test_a_set_is_read_as_it_is_shown(line, values, units):
    document = read(telegram(line))
    assert (document["values"], document["units"]) == (values, units)


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("4B384547303034303436333935353037", "K8EG004046395507"),
        ("3960221976967177082151037881335713", "3960221976967177082151037881335713"),
        ("09610", "09610"),
        ("31323334", "31323334"),
        ("00000000000000", None),
        ("", None),
    ],
)
def test_an_identity_in_octets_becomes_text(text, identity):
    assert read(telegram(f"0-0:96.1.1({text})")).get("id") == identity


# -- meters behind the port ----------------------------------------------------------------------


def meters(*lines: str):
    return read(telegram(*lines)).get("meters", [])


def test_the_gas_reading_of_an_old_telegram_stands_on_its_own_line():
    assert meters(
        "0-1:24.1.0(3)",
        "0-1:24.3.0(161107190000)(00)(60)(1)(0-1:24.2.1)(m3)",
        "(00001.001)",
        "0-1:24.4.0(1)",
    ) == [
        {
            "channel": 1,
            "type": "003",
            "value": 1.001,
            "unit": "m3",
            "time": "2016-11-07T19:00:00",
            "obis": "24.3.0",
            "valve": "1",
        }
    ]


def test_a_meter_that_was_never_read_has_no_value():
    assert meters("0-1:24.1.0(003)", "0-1:24.2.1(632525252525W)(00000.000*m3)") == [
        {"channel": 1, "type": "003"}
    ]


def test_channels_are_kept_apart_and_empty_ones_left_out():
    found = meters(
        "0-4:24.2.1(170102161005W)(00012.3*GJ)",
        "0-2:96.1.0()",
        "0-1:24.2.3(170102161005S)(00000.107*m3)",
        "0-1:96.1.2(353431343430303030303030303030303030)",
    )
    assert [(m["channel"], m["value"], m["unit"], m["obis"]) for m in found] == [
        (1, 0.107, "m3", "24.2.3"),
        (4, 12.3, "GJ", "24.2.1"),
    ]
    assert found[0]["time"] == "2017-01-02T16:10:05+02:00"


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "reason", "said"),
    [
        (b"", "unparseable", "payload of 0 bytes"),
        (b"{}", "unparseable", "begins with '/'"),
        (b"/XYZ5\r\n\r\n1-0:1.8.1(1*kWh)\r\n", "unparseable", "no line begins with '!'"),
        (b"/XYZ5\r\n\r\n!12\r\n", "unparseable", "four hexadecimal digits"),
        (telegram("x"), "unparseable", "ADDRESS(value), got 'x'"),
        (telegram("1-0:1.8.1(1*kWh"), "unparseable", "byte 16"),
        (telegram("(1*kWh)"), "unparseable", "a value without an address"),
        (telegram("1-0:1.8.1(1,5*kWh)"), "unparseable", "'1,5' is no number of 'kWh'"),
        (telegram("1-0:1.8.1(" + "9" * 99 + "*kWh)"), "absurd_number", "99 digits"),
        (telegram("1.8.1(1*kWh)", "1.8.1(2*kWh)"), "duplicate_key", "1.8.1 stands twice"),
        (telegram("1.8.1*255(1*kWh)", "1.8.1(2*kWh)"), "duplicate_key", "1.8.1 stands twice"),
        (telegram(*SETS) + telegram(*SETS), "unparseable", "a second telegram"),
        (telegram(*SETS)[:-6] + b"0000\r\n", "bad_checksum", "the telegram says 0000"),
        (message("1.8.1(1*kWh)") + b"x", "unparseable", "more stands after the BCC"),
        (message("1.8.1(1*kWh)")[:-1], "unparseable", "before the BCC"),
        (b"/" * (MAX_BYTES + 1), "too_large", "at most"),
        (message(*["1(1)"] * (MAX_GROUPS + 1)), "too_large", "values in one message"),
    ],
)
def test_a_refusal_says_where_and_why(payload, reason, said):
    error = refused(payload)
    assert error.reason == reason
    assert said in error.detail


def test_an_address_twice_that_says_the_same_is_no_contradiction():
    assert read(telegram(*SETS, SETS[1]))["values"] == SAID


# -- round trips and fuzz ------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.tuples(st.integers(1, 89), st.integers(0, 99), st.integers(0, 63)),
        st.integers(0, 999_999_999),
        min_size=1,
        max_size=20,
    )
)
def test_registers_make_the_round_trip(registers):
    shown = {
        f"1-0:{c}.{d}.{e}": f"{n // 1000:06d}.{n % 1000:03d}" for (c, d, e), n in registers.items()
    }
    document = read(telegram(*[f"{key}({text}*kWh)" for key, text in shown.items()]), strict)
    assert document["values"] == {key: float(text) for key, text in shown.items()}


@given(st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2099, 12, 31)), st.sampled_from("SW"))  # noqa: DTZ001
def test_times_make_the_round_trip(local, season):
    document = read(telegram(f"0-0:1.0.0({local:%y%m%d%H%M%S}{season})"))
    offset = dt.timezone(dt.timedelta(hours=2 if season == "S" else 1))
    assert at(document["time"]) == local.replace(microsecond=0, tzinfo=offset)


def outcome(payload: bytes) -> None:
    for reader in (parse, in_amsterdam):
        try:
            document = reader(payload, Context())
        except DecodeError as error:
            assert error.reason in REASONS  # noqa: PT017 - either
        else:
            json.dumps(document, allow_nan=False)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_document_or_a_refusal(payload):
    outcome(payload)
    outcome(b"/XYZ5\r\n\r\n" + payload + b"\r\n!\r\n")
    outcome(message(payload.decode("latin-1")))


@given(
    st.lists(
        st.from_regex(
            r"[0-9]{1,2}-[0-4]:(24|96|1|98|0)\.[0-9]{1,2}\.[0-4](\([0-9SW.*kWhm]{0,15}\)){1,8}",
            fullmatch=True,
        ),
        max_size=12,
    )
)
def test_sets_with_any_groups_give_a_document_or_a_refusal(lines):
    outcome(telegram(*lines))


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_mutated_telegram_gives_a_document_or_a_refusal(place, byte):
    changed = bytearray(telegram(*SETS, "0-1:24.2.1(170102161005W)(00000.107*m3)", crc=False))
    changed[place % len(changed)] = byte
    outcome(bytes(changed))

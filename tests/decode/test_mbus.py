"""Wired M-Bus: frames, headers, records, names, values that are none, refusals."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.deciding import Decided, Decider
from gateway.decode.document import Context, Parse
from gateway.decode.mbus import MAX_BYTES, compile_mbus
from gateway.decode.mbus_records import MAX_RECORDS, Records
from gateway.errors import DecodeError
from gateway.profiles import load_profiles
from gateway.profiles.formats import Mbus
from gateway.records import Batch, Device
from tests.compiled import PROFILES
from tests.decode.mbus_reading import ANSWER, PARSE, REASONS, VOLUME, WHO, read, refused
from tests.mbus_encoding import (
    address,
    answer,
    bcd,
    binary,
    digits,
    fixed,
    frame,
    long_header,
    maker,
    mode_5,
    short_header,
)


def test_an_answer_becomes_who_it_is_and_what_it_says():
    document = read(ANSWER)
    meters = document.pop("meters")
    assert meters == [document]
    records = document.pop("records")
    assert document == {
        "id": "12345678", "manufacturer": "XYZ", "version": 3, "medium": "water", "address": 1,
        "access": 17, "status": 4, "security": 0,
        "values": {"volume": 54.321, "time": "2026-01-02T08:05:00", "volume_s1": 12.0},
    }  # fmt: skip
    assert [found["name"] for found in records] == ["volume", "time", "time", "volume_s1"]
    assert records[0] == {
        "name": "volume", "dif": "0c", "vif": "13", "quantity": "volume", "unit": "m3",
        "function": "instantaneous", "storage": 0, "tariff": 0, "subunit": 0, "value": 54.321,
    }  # fmt: skip
    assert records[1]["value"] is None


def test_the_document_is_json():
    json.dumps(read(ANSWER))


def test_requests_and_acknowledgements_around_an_answer_are_left_out():
    request = bytes([0x10, 0x7B, 0x01, 0x7C, 0x16])
    select = frame(0x52, bytes(8), control=0x53)
    assert read(request + b"\xe5" + select + ANSWER + b"\xe5") == read(ANSWER)
    assert refused(request + b"\xe5").reason == "no_payload"
    assert refused(frame(0x50, b"", control=0x53)).reason == "no_payload"


def test_answers_of_several_meters_stand_side_by_side():
    other = answer("87654321", "ABC", 1, 0x04, digits("06", "00001234"))
    document = read(ANSWER + other)
    assert list(document) == ["meters"]
    assert [meter["id"] for meter in document["meters"]] == ["12345678", "87654321"]
    assert [meter["values"].get("energy") for meter in document["meters"]] == [None, 1234]


def test_a_second_telegram_of_a_meter_goes_on_where_the_first_said_that_more_follows():
    first = answer(*WHO, VOLUME, b"\x1f\xaa", access=1)
    second_ = answer(*WHO, digits("3B", "000120"), b"\x0f\xbb\xcc", access=2)
    document = read(first + b"\xe5" + second_)
    assert document["values"] == {"volume": 54.321, "flow_rate": 0.12}
    assert document["manufacturer_data"] == "aabbcc"
    assert document["access"] == 1
    assert "more" not in document
    assert read(first)["more"] is True
    # Without the word that more follows it is another reading of the same meter.
    assert len(read(answer(*WHO, VOLUME) + second_)["meters"]) == 2


def test_the_fixed_structure_names_its_counters_by_their_units():
    document = read(fixed("12345678", 0x04, (0x05, 0x29), 0x4, bcd("00006531"), bcd("00000069")))
    assert document["values"] == {"energy": 6531, "volume": 0.069}
    assert document["medium"] == "heat"
    assert document["status"] == 4
    assert "manufacturer" not in document
    historic = fixed("12345678", 0, (0x29, 0x3E), 0x7, bcd("00000135"), bcd("00000100"))
    assert read(historic)["values"] == {"volume": 0.135, "volume_s1": 0.1}
    stored = fixed("12345678", 0x03, (0x2C, 0x2C), 0x7, binary(135, 4), binary(-1, 4))
    assert read(stored)["values"] == {"volume_s1": 135, "volume_s1_2": -1}
    broken = fixed("12345678", 0, (0x29, 0x3F), 0x7, bytes.fromhex("0000000A"), bcd("00000100"))
    assert read(broken)["values"] == {"number": 100}
    joules = fixed("12345678", 0, (0x0E, 0x14), 0x4, bcd("00000036"), bcd("00001500"))
    assert read(joules)["values"] == {"energy": 10, "power": 1.5}


def test_the_fixed_structure_has_its_size():
    assert "16 bytes" in refused(frame(0x73, bytes(15))).detail


def test_headers_short_or_none_leave_who_it_is_to_the_address():
    short = read(frame(0x7A, short_header(access=9, status=2) + VOLUME, primary=42))
    assert (short["address"], short["access"], short["status"]) == (42, 9, 2)
    none = read(frame(0x78, VOLUME, primary=43))
    assert none["address"] == 43
    assert "id" not in none
    assert "access" not in none
    assert short["values"] == none["values"] == {"volume": 54.321}


def test_the_old_mode_2_has_its_high_bytes_first():
    head = bytes.fromhex("12345678") + maker("XYZ")[::-1] + bytes([3, 7, 1, 0, 0, 0])
    document = read(frame(0x76, head + b"\x0c\x13" + bcd("00054321")[::-1]))
    assert (document["id"], document["manufacturer"]) == ("12345678", "XYZ")
    assert document["values"] == {"volume": 54.321}


def test_an_alarm_is_a_byte():
    document = read(frame(0x71, b"\x05"))
    assert document["alarm"] == 5
    assert document["values"] == {}


def test_an_application_error_is_no_reading_but_keeps_no_other_meter_from_being_read():
    error = refused(frame(0x70, b"\x08", primary=7))
    assert error.reason == "no_reading"
    assert "address 7 reports application error 8: too many readouts" in error.detail
    assert refused(frame(0x70, b"")).reason == "no_reading"
    assert read(frame(0x70, b"\x08") + ANSWER) == read(ANSWER)


@pytest.mark.parametrize(
    ("field", "said"),
    [(maker("AAA"), "AAA"), (maker("ZZZ"), "ZZZ"), (b"\x00\x00", "0000"), (b"\xff\xff", "FFFF")],
)
def test_a_manufacturer_is_three_letters_or_its_number(field, said):
    head = bcd("12345678") + field + bytes([1, 7, 1, 0, 0, 0])
    assert read(frame(0x72, head + VOLUME))["manufacturer"] == said


def test_a_signature_of_old_meters_is_no_security_mode():
    head = long_header(*WHO, configuration=0xB627)
    assert read(frame(0x72, head + VOLUME))["values"] == {"volume": 54.321}


def test_mode_5_comes_over_wires_too():
    key = bytes(range(16))
    head = bcd("12345678") + maker("XYZ") + bytes([3, 7])
    sender = maker("XYZ") + address("12345678", 3, 7)
    body = mode_5(key, sender, VOLUME, access=5, ci=0x72, head=head)
    sent = frame(0x72, body[1:])
    devices = {"XYZ-12345678": Device(device_id="XYZ-12345678", parameters={"mbus_key": key.hex()})}
    document = read(sent, Context(devices=devices))
    assert document["values"] == {"volume": 54.321}
    assert document["security"] == 5
    assert refused(sent).reason == "missing_key"


# -- records -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "reason", "said"),
    [
        (b"", "unparseable", "empty"),
        (b"\x00", "unparseable", "00H where an M-Bus frame"),
        (b"\x68\x05", "unparseable", "cut off"),
        (b"\x68\x05\x06\x68" + bytes(9), "unparseable", "twice a length"),
        (b"\x68\x02\x02\x68" + bytes(9), "unparseable", "at least 3"),
        (ANSWER[:-1], "unparseable", "cut off"),
        (ANSWER[:-1] + b"\x17", "unparseable", "ends with 17H"),
        (ANSWER[:-2] + bytes([ANSWER[-2] ^ 1, 0x16]), "bad_checksum", "it says"),
        (ANSWER + b"\x99", "unparseable", "99H where"),
        (bytes([0x10, 0x7B, 0x01, 0x00, 0x16]), "bad_checksum", "sum to 7CH"),
        (bytes([0x10, 0x7B]), "unparseable", "cut off"),
        (frame(0x72, bytes(11)), "unparseable", "header of 12 bytes"),
        (frame(0x7A, bytes(3)), "unparseable", "header of 4 bytes"),
        (frame(0x00, bytes(20)), "unparseable", "format dlms"),
        (frame(0x99, bytes(20)), "unparseable", "CI 99H is no data"),
        (frame(0x79, bytes(20)), "unparseable", "wireless"),
        (frame(0x71, b""), "unparseable", "an alarm without"),
        (answer(*WHO, b"\x04"), "unparseable", "cut off"),
        (answer(*WHO, b"\x84\x84"), "unparseable", "cut off"),
        (answer(*WHO, b"\x04\x93"), "unparseable", "cut off"),
        (answer(*WHO, b"\x04\x13\x01\x02"), "unparseable", "cut off"),
        (answer(*WHO, b"\x0d\x78"), "unparseable", "cut off"),
        (answer(*WHO, b"\x0d\x78\x05abc"), "unparseable", "5 bytes of data"),
        (answer(*WHO, b"\x0d\x78\xcf"), "unparseable", "reserved"),
        (answer(*WHO, b"\x0d\x78\xff"), "unparseable", "reserved"),
        (answer(*WHO, b"\x02\x7c\x30abc"), "unparseable", "cut off"),
        (answer(*WHO, b"\x84" + b"\x80" * 11 + b"\x00\x13" + bytes(4)), "unparseable", "DIFEs"),
        (answer(*WHO, b"\x04\x93" + b"\xbb" * 11 + b"\x3b" + bytes(4)), "unparseable", "VIFEs"),
        (frame(0x72, long_header(*WHO, configuration=0x0810) + bytes(16)), "unparseable",
         "security mode 8"),
        (frame(0x72, long_header(*WHO, configuration=0x0520) + bytes(16)), "unparseable",
         "2 blocks of 16 bytes"),
        (frame(0x7A, short_header(configuration=0x0510) + bytes(16)), "unparseable", "whose"),
        (b"\xe5" * (MAX_BYTES + 1), "too_large", "at most"),
    ],
)  # fmt: skip
def test_what_is_refused_says_where_and_why(payload, reason, said):
    error = refused(payload)
    assert error.reason == reason
    assert said in error.detail


def test_the_profile_may_bound_the_payload():
    parse = compile_mbus(Mbus(format="mbus", max_bytes=40))
    with pytest.raises(DecodeError) as error:
        parse(ANSWER, Context())
    assert error.value.reason == "too_large"


def test_records_are_bounded():
    with pytest.raises(DecodeError) as error:
        Records().take(b"\x00\x13" * (MAX_RECORDS + 1), 0)
    assert error.value.reason == "too_large"


def test_bare_records_begin_at_the_byte_that_the_profile_says():
    sent = VOLUME + digits("13", "00012000", storage=1)
    for at, head in ((0, ""), (1, "1f"), (3, "1f0013")):
        parse = compile_mbus(Mbus(format="mbus", records_at=at))
        document = parse(bytes.fromhex(head) + sent, Context())
        assert [one["value"] for one in document.pop("records")] == [54.321, 12.0]
        assert document == {"head": head, "values": {"volume": 54.321, "volume_s1": 12.0}}


@pytest.mark.parametrize("payload", [b"", b"\x1f", b"\x1f" + VOLUME[:-1], b"\x1f\x0e\x00"])
def test_bare_records_that_are_not_there_or_cut_are_refused(payload):
    with pytest.raises(DecodeError) as error:
        compile_mbus(Mbus(format="mbus", records_at=1))(payload, Context())
    assert error.value.reason == "unparseable"


def test_one_changed_byte_is_found():
    for place in range(len(ANSWER)):
        changed = bytearray(ANSWER)
        changed[place] ^= 0x10
        refused(bytes(changed))


def test_a_frame_cut_anywhere_is_refused():
    for end in range(len(ANSWER)):
        refused(ANSWER[:end])


def test_a_message_is_parsed_once_for_all_who_ask_and_a_refusal_stays_one():
    devices: dict[str, Device] = {}
    first, again = Context(devices=devices), Context(devices=devices)
    assert read(ANSWER, first) is read(ANSWER, again)
    payload = ANSWER[:-3]
    assert refused(payload, first).detail == refused(payload, again).detail


# -- any bytes whatever --------------------------------------------------------------------------


_HEADERS = st.builds(
    lambda difs, vifs, data: bytes(difs) + bytes(vifs) + data,
    st.lists(st.integers(0, 255), max_size=4),
    st.lists(st.integers(0, 255), max_size=4),
    st.binary(max_size=12),
)


def outcome(payload: bytes, parse: Parse = PARSE) -> dict[str, object]:
    """The document, which JSON can say; empty where the payload is refused as it may be."""
    try:
        document = parse(payload, Context())
    except DecodeError as error:
        if error.reason not in REASONS:
            raise
        return {}
    json.dumps(document, allow_nan=False)
    return document


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_refused(payload):
    outcome(payload)
    outcome(payload, compile_mbus(Mbus(format="mbus", records_at=1)))


@given(st.integers(0, 255), st.binary(max_size=80), st.lists(_HEADERS, max_size=6))
def test_any_bytes_in_a_frame_are_a_document_or_refused(ci, start, records):
    outcome(frame(ci, (start + b"".join(records))[:250]))


@given(st.lists(_HEADERS, max_size=12), st.integers(0, 0xFFFF))
def test_any_records_are_a_document_or_refused(records, configuration):
    head = long_header(*WHO, configuration=configuration)
    document = outcome(frame(0x72, (head + b"".join(records))[:250]))
    assert None not in document.get("values", {}).values()


@given(st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4))
def test_a_mutated_frame_is_a_document_or_refused(changes):
    changed = bytearray(ANSWER)
    for place, value in changes:
        changed[place % len(changed)] = value
    changed[-2] = sum(changed[4:-2]) % 256
    outcome(bytes(changed))


# -- in service ----------------------------------------------------------------------------------


_HEX_IN_JSON = """\
profile: under-test
version: 1.0.0
extends: kinds/water-meter
title: {en: Under test, zh: 受测}
match: {topic: "mbus-json/{gateway}/up"}
decode: {format: mbus, envelope: {format: json, payload: frame.data, encoding: hex}}
read:
  device_id: "{manufacturer}-{id}"
  measured_at: {from: values.time, zone: Europe/Berlin, optional: true}
  status: {from: status, bits: {2: battery_low}}
  volume: {from: values.volume, unit: m3}
"""


_SEVERAL = """\
profile: under-test
version: 1.0.0
extends: kinds/water-meter
title: {en: Under test, zh: 受测}
match: {topic: "mbus-line/{gateway}/up"}
decode: {format: mbus}
read:
  each: meters
  when: {medium: [water, cold_water, warm_water]}
  device_id: "{manufacturer}-{id}"
  volume: {from: values.volume, unit: m3}
ignore: {each: meters, when: {medium: heat}}
"""


def decided(text_: str, folder, topic: str, payload: bytes) -> Decided:
    file = folder / "under-test.yaml"
    file.write_text(text_)
    profiles = load_profiles([PROFILES / "kinds", file])
    found = Decided()
    Decider(profiles, {}, {}, registry_known=False).decide(
        Batch([topic], [payload], [1_767_340_800_000_000_000], 0), found
    )
    return found


def test_hexadecimal_in_json_is_an_envelope(tmp_path):
    message = json.dumps({"port": 2, "frame": {"data": ANSWER.hex()}}).encode()
    found = decided(_HEX_IN_JSON, tmp_path, "mbus-json/g1/up", message)
    (reading,) = found.readings
    assert reading.device_id == "XYZ-12345678"
    assert reading.quantities == {"volume": 54.321}
    assert reading.status == ("battery_low",)
    assert reading.measured_at == 1_767_337_500_000_000_000


def test_each_meter_of_a_line_can_be_a_reading(tmp_path):
    payload = (
        answer("00000001", "ABC", 1, 0x07, VOLUME)
        + answer("00000002", "ABC", 1, 0x04, digits("06", "00001234"))
        + answer("00000003", "ABC", 1, 0x16, VOLUME)
    )
    found = decided(_SEVERAL, tmp_path, "mbus-line/g1/up", payload)
    assert [reading.device_id for reading in found.readings] == ["ABC-00000001", "ABC-00000003"]

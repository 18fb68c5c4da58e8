"""Wireless M-Bus: frame formats, link layers, ciphers and their keys, compact frames, refusals."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.deciding import Decided, Decider
from gateway.decode.document import Context
from gateway.decode.wmbus import MAX_BYTES, compile_wmbus
from gateway.errors import DecodeError
from gateway.profiles import load_profiles
from gateway.profiles.formats import Wmbus
from gateway.records import Batch, Device
from tests.compiled import PROFILES
from tests.mbus_encoding import (
    address,
    binary,
    cmac,
    compact,
    crc,
    day,
    digits,
    extended,
    format_a,
    format_b,
    long_header,
    maker,
    minute,
    mode_5,
    mode_7,
    number,
    record,
    short_header,
    telegram,
)

REASONS = {
    "unparseable", "too_large", "bad_checksum", "missing_key", "no_reading", "no_payload",
    "unknown_word",
}  # fmt: skip
PARSE = compile_wmbus(Wmbus(format="wmbus"))
WHO = ("12345678", "XYZ", 3, 0x07)
SENDER = maker("XYZ") + address("12345678", 3, 0x07)
KEY = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
OTHER = bytes(reversed(KEY))
RECORDS = digits("13", "00054321") + record("6D", minute("2026-01-02T08:05"))
SAID = {"volume": 54.321, "time": "2026-01-02T08:05:00"}
PLAIN = telegram(*WHO, b"\x7a" + short_header(access=9, status=4) + RECORDS)
LONG = telegram(*WHO, b"\x7a" + short_header() + RECORDS + digits("13", "00000001", storage=1) * 12)


def known(key: bytes | str = KEY, device_id: str = "XYZ-12345678") -> Context:
    told = key.hex() if isinstance(key, bytes) else key
    device = Device(device_id=device_id, parameters={"mbus_key": told})
    return Context(devices={device_id: device})


def read(payload: bytes, context: Context | None = None):
    return PARSE(payload, context or Context())


def refused(payload: bytes, context: Context | None = None, parse=PARSE) -> DecodeError:
    with pytest.raises(DecodeError) as error:
        parse(payload, context or Context())
    assert error.value.reason in REASONS
    return error.value


# -- frame formats -------------------------------------------------------------------------------


def test_a_telegram_says_who_sent_it_and_what():
    document = read(PLAIN)
    assert [found["name"] for found in document.pop("records")] == ["volume", "time"]
    assert document == {
        "id": "12345678", "manufacturer": "XYZ", "version": 3, "medium": "water", "access": 9,
        "status": 4, "security": 0, "values": SAID,
    }  # fmt: skip


@pytest.mark.parametrize("plain", [PLAIN, LONG, telegram(*WHO, b"\x78" + RECORDS)])
def test_a_telegram_says_the_same_with_and_without_crcs(plain):
    said = read(plain)
    assert read(format_a(plain)) == said
    assert read(format_b(plain)) == said
    for form, sent in (("a", format_a(plain)), ("b", format_b(plain)), ("plain", plain)):
        assert compile_wmbus(Wmbus(format="wmbus", frame=form))(sent, Context()) == said


def test_the_crc_of_the_standard():
    # EN 13757-4: the check value of this CRC over "123456789" is C2B7.
    assert crc(b"123456789") == bytes.fromhex("C2B7")


@pytest.mark.parametrize("form", ["a", "b"])
@pytest.mark.parametrize("plain", [PLAIN, LONG])
def test_one_changed_byte_is_found(form, plain):
    sent = {"a": format_a, "b": format_b}[form](plain)
    parse = compile_wmbus(Wmbus(format="wmbus", frame=form))
    for place in range(len(sent)):
        changed = bytearray(sent)
        changed[place] ^= 0x04
        assert refused(bytes(changed), parse=parse).reason in {"bad_checksum", "unparseable"}


@pytest.mark.parametrize("sent", [PLAIN, format_a(PLAIN), format_a(LONG), format_b(LONG)])
def test_a_telegram_cut_anywhere_is_refused(sent):
    for end in range(len(sent)):
        refused(sent[:end])


@pytest.mark.parametrize(
    ("payload", "reason", "said"),
    [
        (b"", "unparseable", "at least 10 bytes"),
        (bytes(20), "unparseable", "a length of 0"),
        (PLAIN + b"\x00", "unparseable", "bytes by its length"),
        (telegram(*WHO, b"\x78", control=0x99), "unparseable", "99H is no control field"),
        (telegram(*WHO, b"", control=0x40), "no_payload", "carries no data"),
        (telegram(*WHO, b""), "no_payload", "carries no data"),
        (telegram(*WHO, b"\x8a" + short_header()), "no_payload", "no value"),
        (telegram(*WHO, b"\x8b" + long_header(*WHO)), "no_payload", "no value"),
        (telegram(*WHO, b"\x69" + bytes(8)), "no_payload", "no value"),
        (telegram(*WHO, b"\x6e" + short_header() + b"\x0d"), "no_reading", "could not decipher"),
        (telegram(*WHO, b"\x6e" + short_header() + b"\xf0"), "no_reading", "maker's own"),
        (telegram(*WHO, b"\x8c\x00"), "unparseable", "cut off"),
        (telegram(*WHO, b"\x8c\x00\x01"), "no_payload", "nothing follows"),
        (telegram(*WHO, b"\x90\x0f\x00"), "unparseable", "cut off"),
        (telegram(*WHO, b"\x90\x02\x00\x40" + b"\x78"), "unparseable", "fragment"),
        (telegram(*WHO, b"\x90\x02\x00\x04" + b"\x78"), "unparseable", "authentication type 0"),
        (telegram(*WHO, b"\x90\x03\x00\x00\x00" + b"\x78"), "unparseable", "by its control"),
        (telegram(*WHO, b"\xa0" + bytes(9)), "unparseable", "CI A0H is no data"),
        (telegram(*WHO, b"\x7a" + short_header(configuration=0x0930) + bytes(48)), "unparseable",
         "security mode 9"),
        (telegram(*WHO, b"\x7a" + short_header(configuration=0x1F30) + bytes(48)), "unparseable",
         "security mode 31"),
        (telegram(*WHO, b"\x7a" + short_header(configuration=0x0710)), "unparseable", "cut off"),
        (telegram(*WHO, b"\x7a" + short_header(configuration=0x0710) + bytes(17)), "unparseable",
         "without key derivation"),
        (bytes(MAX_BYTES + 1), "too_large", "at most"),
    ],
)  # fmt: skip
def test_what_is_refused_says_where_and_why(payload, reason, said):
    error = refused(payload)
    assert error.reason == reason
    assert said in error.detail


# -- who it is -----------------------------------------------------------------------------------


def test_a_radio_module_sends_for_its_meter():
    head = long_header("87654321", "ABC", 1, 0x04, access=5)
    document = read(telegram(*WHO, b"\x72" + head + digits("06", "00001234")))
    assert (document["id"], document["manufacturer"], document["medium"]) == (
        "87654321", "ABC", "heat",
    )  # fmt: skip
    assert (document["sender"], document["sender_manufacturer"]) == ("12345678", "XYZ")
    assert document["values"] == {"energy": 1234}


def test_an_unknown_device_type_is_its_number():
    assert read(telegram("12345678", "XYZ", 3, 0x3B, b"\x78" + RECORDS))["medium"] == "3B"


# -- mode 5 --------------------------------------------------------------------------------------

FIVE = telegram(*WHO, mode_5(KEY, SENDER, RECORDS, access=42))


@pytest.mark.parametrize("form", [lambda plain: plain, format_a, format_b])
def test_mode_5_is_read_with_the_key_of_the_registry(form):
    document = read(form(FIVE), known())
    assert document["values"] == SAID
    assert document["security"] == 5
    assert document["access"] == 42


def test_the_vector_of_mode_5_is_of_the_meter_that_the_long_header_names():
    meter = maker("ABC") + address("87654321", 1, 0x04)
    head = meter[2:6] + meter[:2] + meter[6:]
    body = mode_5(KEY, meter, RECORDS, ci=0x72, head=head)
    assert read(telegram(*WHO, body), known(device_id="ABC-87654321"))["values"] == SAID
    assert refused(telegram(*WHO, body), known()).reason == "missing_key"


def test_a_device_is_found_by_topic_by_name_or_by_its_number():
    for device_id in ("XYZ-12345678", "12345678"):
        assert read(FIVE, known(device_id=device_id))["values"] == SAID
    device = Device(device_id="cellar", parameters={"mbus_key": KEY.hex()})
    context = Context(levels={"device_id": "cellar"}, devices={"cellar": device})
    assert read(FIVE, context)["values"] == SAID


def test_records_may_follow_the_enciphered_blocks_in_plain():
    body = mode_5(KEY, SENDER, RECORDS) + number("3B", 120, 2)
    assert read(telegram(*WHO, body), known())["values"] == {**SAID, "flow_rate": 0.12}


def test_mode_5_without_enciphered_blocks_is_plain():
    body = b"\x7a" + short_header(configuration=0x0500) + b"\x2f\x2f" + RECORDS
    assert read(telegram(*WHO, body))["values"] == SAID


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (Context(), "the registry has no parameter mbus_key of device XYZ-12345678"),
        (known(OTHER), "is no key that fits"),
        (known("00"), "is not 32 hexadecimal digits"),
        (known("x" * 32), "is not 32 hexadecimal digits"),
        (known(KEY + KEY), "is not 32 hexadecimal digits"),
        (known(device_id="ABC-12345678"), "the registry has no parameter"),
    ],
)
@pytest.mark.parametrize(
    "sent",
    [
        FIVE,
        telegram(*WHO, mode_7(KEY, "12345678", RECORDS)),
        telegram(*WHO, extended(b"\x78" + RECORDS, SENDER, key=KEY)),
    ],
)
def test_a_key_that_lacks_or_does_not_fit_is_told_and_never_shown(sent, context, said):
    error = refused(sent, context)
    assert error.reason == "missing_key"
    assert said in error.detail
    for key in (KEY, OTHER):
        shown = f"{error} {error!r} {error.detail}".lower()
        assert key.hex() not in shown
        assert str(key).lower() not in shown


# -- mode 7 --------------------------------------------------------------------------------------


def test_the_cmac_of_the_tests_is_that_of_rfc_4493():
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    message = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411"
    )
    assert cmac(key, b"").hex() == "bb1d6929e95937287fa37d129b756746"
    assert cmac(key, message[:16]).hex() == "070a16b46b4d4144f79bdd9dd04a287c"
    assert cmac(key, message).hex() == "dfa66747de9ae63030ca32611497c827"


@pytest.mark.parametrize("mac", [2, 4, 8, 12, 16])
@pytest.mark.parametrize("with_length", [False, True])
def test_mode_7_is_read_and_authentic(mac, with_length):
    body = mode_7(KEY, "12345678", RECORDS, counter=0x01020304, mac=mac, with_length=with_length)
    document = read(telegram(*WHO, body), known())
    assert document["values"] == SAID
    assert document["security"] == 7
    assert document["authentic"] is True


def test_mode_7_without_a_mac_is_read_and_not_authentic():
    document = read(telegram(*WHO, mode_7(KEY, "12345678", RECORDS, mac=0)), known())
    assert document["values"] == SAID
    assert "authentic" not in document


def test_one_changed_bit_of_an_authentic_message_is_found():
    sent = telegram(*WHO, mode_7(KEY, "12345678", RECORDS, counter=7))
    assert read(sent, known())["authentic"] is True
    for place in range(15, len(sent)):
        changed = bytearray(sent)
        changed[place] ^= 0x01
        assert refused(bytes(changed), known()).reason in {"missing_key", "unparseable"}, place


def test_mode_7_needs_the_counter_of_the_authentication_layer():
    body = mode_7(KEY, "12345678", RECORDS)
    error = refused(telegram(*WHO, body[2 + body[1] :]), known())
    assert error.reason == "unparseable"
    assert "message counter" in error.detail


# -- extended link layer -------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("receiver", [b"", maker("GWY") + address("00000001", 1, 0x31)])
def test_an_extended_link_layer_is_taken_off_and_deciphered(key, receiver):
    body = extended(b"\x78" + RECORDS, SENDER, key=key, receiver=receiver)
    document = read(telegram(*WHO, body), known())
    assert document["values"] == SAID
    assert (document["id"], document["security"]) == ("12345678", 0)


@pytest.mark.parametrize("head", [b"\x8c\x20\x01", b"\x8e\x20\x01" + SENDER])
def test_a_short_extended_link_layer_is_taken_off(head):
    assert read(telegram(*WHO, head + b"\x78" + RECORDS))["values"] == SAID


def test_the_crc_within_a_plain_session_is_judged():
    body = bytearray(extended(b"\x78" + RECORDS, SENDER))
    body[-1] ^= 1
    assert refused(telegram(*WHO, bytes(body))).reason == "bad_checksum"


def test_another_cipher_of_the_link_layer_is_refused():
    body = b"\x8d\x20\x01" + binary(2 << 29, 4) + bytes(20)
    assert "cipher 2" in refused(telegram(*WHO, body)).detail


def test_mode_5_may_stand_in_an_extended_link_layer():
    body = b"\x8c\x20\x01" + mode_5(KEY, SENDER, RECORDS)
    assert read(telegram(*WHO, body), known())["values"] == SAID


# -- compact frames ------------------------------------------------------------------------------

HEADERS = "02FF20 0413 4413 615B 6167"
COMPACT = compile_wmbus(Wmbus(format="wmbus", formats=[HEADERS]))
DATA = [binary(0, 2), binary(6408, 4), binary(6000, 4), b"\x08", b"\x13"]
WHOLE = b"\x78" + b"".join(
    bytes.fromhex(head) + value for head, value in zip(HEADERS.split(), DATA, strict=True)
)


def test_a_compact_frame_says_what_the_whole_one_does():
    whole = COMPACT(telegram(*WHO, WHOLE), Context())
    assert whole["values"] == {
        "vif_ff20": 0, "volume": 6.408, "volume_s1": 6.0, "flow_temperature_min_s1": 8,
        "external_temperature_min_s1": 19,
    }  # fmt: skip
    assert COMPACT(telegram(*WHO, compact(HEADERS, *DATA)), Context()) == whole
    enciphered = extended(compact(HEADERS, *DATA), SENDER, key=KEY)
    assert COMPACT(telegram(*WHO, enciphered), known())["values"] == whole["values"]
    short = b"\x7b" + short_header(access=4) + compact(HEADERS, *DATA)[1:]
    assert COMPACT(telegram(*WHO, short), Context())["values"] == whole["values"]


def test_a_compact_frame_of_another_format_is_refused_with_its_signature():
    error = refused(telegram(*WHO, compact("0413 023B", binary(1, 4), binary(2, 2))), parse=COMPACT)
    assert error.reason == "unknown_word"
    assert f"format {crc(bytes.fromhex('0413023B')).hex().upper()}H" in error.detail
    assert refused(telegram(*WHO, compact(HEADERS, *DATA))).reason == "unknown_word"


def test_the_crc_of_the_whole_frame_is_judged():
    sent = bytearray(telegram(*WHO, compact(HEADERS, *DATA)))
    sent[-1] ^= 1
    assert refused(bytes(sent), parse=COMPACT).reason == "bad_checksum"


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\x00"])
def test_a_compact_frame_has_the_size_of_its_format(change):
    sent = telegram(*WHO, change(compact(HEADERS, *DATA)))
    assert refused(sent, parse=COMPACT).reason == "unparseable"
    assert refused(telegram(*WHO, b"\x79\x00"), parse=COMPACT).reason == "unparseable"


@pytest.mark.parametrize("headers", ["0413 0D78", "04 93", "2F2F", "0413 057C", "00 13", "84 00"])
def test_formats_that_are_no_headers_are_faults_of_the_profile(headers):
    with pytest.raises(ValueError, match="header"):
        Wmbus(format="wmbus", formats=[headers])


# -- any bytes whatever --------------------------------------------------------------------------


def outcome(payload: bytes) -> None:
    for context in (Context(), known()):
        try:
            json.dumps(COMPACT(payload, context), allow_nan=False)
        except DecodeError as error:
            if error.reason not in REASONS:
                raise


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_refused(payload):
    outcome(payload)


@given(st.binary(max_size=240))
def test_any_body_is_a_document_or_refused(body):
    outcome(telegram(*WHO, body))
    outcome(telegram(*WHO, extended(body, SENDER, key=KEY)))


@given(
    st.sampled_from([0x72, 0x7A, 0x79, 0x7B, 0x73, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x6E, 0x74]),
    st.binary(max_size=100),
)
def test_any_layer_is_a_document_or_refused(ci, body):
    outcome(telegram(*WHO, bytes([ci]) + body))


@given(
    st.sampled_from([
        PLAIN, format_a(LONG), format_b(LONG), FIVE,
        telegram(*WHO, mode_7(KEY, "12345678", RECORDS)),
        telegram(*WHO, extended(b"\x78" + RECORDS, SENDER, key=KEY)),
        telegram(*WHO, compact(HEADERS, *DATA)),
    ]),
    st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4),
)  # fmt: skip
def test_a_mutated_telegram_is_a_document_or_refused(seed, changes):
    changed = bytearray(seed)
    for place, value in changes:
        changed[place % len(changed)] = value
    outcome(bytes(changed))


# -- in service ----------------------------------------------------------------------------------

_PROFILE = """\
profile: under-test
version: 1.0.0
extends: kinds/water-meter
title: {en: Under test, zh: 受测}
match: {topic: "wmbus-json/{gateway}/up"}
decode: {format: wmbus, envelope: {format: json, payload: telegram, encoding: hex}}
read:
  device_id: "{manufacturer}-{id}"
  measured_at: {from: values.time, zone: Europe/Berlin, optional: true}
  volume: {from: values.volume, unit: m3}
"""


@pytest.mark.parametrize("device_id", [None, "XYZ-12345678"])
def test_keys_are_the_registrys_and_telegrams_may_come_as_hexadecimal(tmp_path, device_id):
    file = tmp_path / "under-test.yaml"
    file.write_text(_PROFILE)
    profiles = load_profiles([PROFILES / "kinds", file])
    devices = known(device_id=device_id).devices if device_id else {}
    decider = Decider(profiles, devices, {}, registry_known=False)
    decided = Decided()
    message = json.dumps({"rssi": -71, "telegram": FIVE.hex().upper()}).encode()
    decider.decide(Batch(["wmbus-json/g1/up"], [message], [1_767_340_800_000_000_000], 0), decided)
    if device_id is None:
        assert [row.reason for row in decided.quarantined] == ["missing_key"]
        return
    (reading,) = decided.readings
    assert reading.device_id == "XYZ-12345678"
    assert reading.quantities == {"volume": 54.321}


def test_a_date_of_a_due_day_stands_with_its_value():
    body = (
        b"\x78" + digits("13", "00054321", storage=1) + record("6C", day("2025-12-31"), storage=1)
    )
    assert read(telegram(*WHO, body))["values"] == {"volume_s1": 54.321, "date_s1": "2025-12-31"}

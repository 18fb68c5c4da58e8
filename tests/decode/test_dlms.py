"""DLMS messages: data, transports, ciphering, layouts, times, and refusals."""

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.deciding import Decided, Decider
from gateway.decode.axdr import MAX_DEPTH, MAX_ITEMS, Reader, date_time
from gateway.decode.dlms import MAX_BYTES, compile_dlms
from gateway.decode.document import Context
from gateway.decode.dsmr import compile_dsmr
from gateway.errors import DecodeError
from gateway.profiles import load_profiles
from gateway.profiles.formats import Dlms, Dsmr
from gateway.records import Batch, Device
from tests.axdr_encoding import (
    aidon,
    array,
    blocks,
    ciphered,
    hdlc,
    kaifa,
    kamstrup,
    mbus,
    moment,
    notification,
    obis,
    octet_string,
    scaler_unit,
    structure,
    u16,
    u32,
    visible,
    whole,
    wrapper,
)
from tests.compiled import PROFILES

REASONS = {
    "unparseable", "too_deep", "too_large", "bad_checksum", "missing_key", "duplicate_key",
    "bad_time", "absurd_number",
}  # fmt: skip
TITLE = b"KFM\x10\x00\x00\x00\x23"
KEY, AUTHENTICATION = bytes(range(16)), bytes(range(0xD0, 0xE0))

PARSERS = {
    layout: compile_dlms(Dlms(format="dlms", layout=layout))
    for layout in ("obis", "kamstrup", "kaifa")
}
AT = moment("2026-01-02 08:00:00", -60)
ROWS = [
    ("1-1:0.2.129", visible("AIDON_V0001"), None),
    ("0-0:96.1.0", visible("7359990000000001"), None),
    ("1-0:1.7.0", u32(2140), (0, 27)),
    ("1-0:31.7.0", whole(16, -57), (-1, 33)),
    ("1-0:32.7.0", u16(2335), (-1, 35)),
    ("0-0:1.0.0", octet_string(AT), None),
    ("1-0:1.8.0", u32(123456), (1, 30)),
]
AIDON = aidon(ROWS)
SAID = {
    "id": "7359990000000001",
    "time": "2026-01-02T08:00:00+01:00",
    "values": {
        "1-1:0.2.129": "AIDON_V0001",
        "0-0:96.1.0": "7359990000000001",
        "1-0:1.7.0": 2140,
        "1-0:31.7.0": -5.7,
        "1-0:32.7.0": 233.5,
        "0-0:1.0.0": "2026-01-02T08:00:00+01:00",
        "1-0:1.8.0": 1234560,
    },
    "units": {"1-0:1.7.0": "W", "1-0:31.7.0": "A", "1-0:32.7.0": "V", "1-0:1.8.0": "Wh"},
}


def read(payload: bytes, layout: str = "obis", context: Context | None = None):
    return PARSERS[layout](payload, context or Context())


def refused(payload: bytes, layout: str = "obis", context: Context | None = None) -> DecodeError:
    with pytest.raises(DecodeError) as error:
        read(payload, layout, context)
    assert error.value.reason in REASONS
    return error.value


def registered(device_id: str = "m1", **parameters: object) -> Context:
    device = Device(device_id=device_id, parameters=parameters)
    return Context(levels={"device_id": "m1"}, devices={device_id: device})


# -- transports ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        AIDON,
        b"\xe6\xe7\x00" + AIDON,
        hdlc(AIDON),
        hdlc(AIDON, flags=False),
        hdlc(AIDON, part=40),
        hdlc(AIDON, address=b"\x02\x04\x06\x05\x21"),
        b"\x7e" + hdlc(AIDON),
        wrapper(AIDON),
        mbus(AIDON),
        mbus(AIDON, part=50),
        mbus(AIDON, part=9),
        b"".join(hdlc(block) for block in blocks(AIDON, 30)),
    ],
)
def test_a_message_says_the_same_in_every_transport(sent):
    assert read(sent) == SAID


@pytest.mark.parametrize("sent", [hdlc(AIDON), hdlc(AIDON, part=40)])
def test_one_changed_byte_of_a_frame_is_found(sent):
    for place in range(1, len(sent)):
        changed = bytearray(sent)
        changed[place] ^= 0x04
        if sent[place] == 0x7E:
            continue  # a flag between frames
        assert refused(bytes(changed)).reason in {"bad_checksum", "unparseable"}


@pytest.mark.parametrize("sent", [AIDON, wrapper(AIDON), mbus(AIDON, part=50)])
def test_a_message_cut_anywhere_is_refused(sent):
    for end in range(len(sent)):
        refused(sent[:end])


@pytest.mark.parametrize(
    ("payload", "reason", "said"),
    [
        (b"", "unparseable", "empty"),
        (b"\x7e\x7e", "unparseable", "0 DLMS messages"),
        (hdlc(AIDON) * 2, "unparseable", "2 DLMS messages"),
        (hdlc(AIDON, part=40)[:60], "unparseable", "cut off"),
        (b"\xa0\x02", "unparseable", "an HDLC frame of 2 bytes"),
        (b"\xa0", "unparseable", "must begin"),
        (b"\x7e\x55", "unparseable", "55H where an HDLC frame"),
        (wrapper(AIDON) + b"x", "unparseable", "the wrapper says"),
        (b"\x68\x04\x04\x68", "unparseable", "no M-Bus frame"),
        (mbus(AIDON)[:-2] + b"\x00\x16", "bad_checksum", "it says 00H"),
        (mbus(AIDON)[:-1] + b"\x17", "unparseable", "end with 16H"),
        (mbus(AIDON) * 2, "unparseable", "segment 1 of a DLMS message"),
        (hdlc(blocks(AIDON, 30)[1]), "unparseable", "block 2"),
        (b"\xc4\x01", "unparseable", "begins with C4H"),
        (AIDON + b"\x00", "unparseable", "follow the data"),
        (b"\x0f\x00\x00\x00\x00\x05", "unparseable", "0 or 12 bytes"),
        (notification(b"\x63"), "unparseable", "63H is no COSEM type"),
        (notification(b"\x09\x80"), "unparseable", "80H is no length"),
        (notification(b"\x01\x01" * 20 + b"\x00"), "too_deep", f"deeper than {MAX_DEPTH}"),
        (notification(array(*[b"\x00"] * (MAX_ITEMS + 1))), "too_large", "items"),
        (bytes(MAX_BYTES + 1), "too_large", "at most"),
        (notification(b"\x0c\x01\xff"), "unparseable", "no UTF-8"),
        (aidon([ROWS[2], ("1-0:1.7.0", u32(1), (0, 27))]), "duplicate_key", "stands twice"),
        (aidon([("1-0:1.7.0", u32(1), (100, 27))]), "absurd_number", "scaler 100"),
        (notification(b"\x00", b"\x07\xea\x0d\x01" + AT[4:]), "bad_time", "month must be"),
    ],
)
def test_a_refusal_says_where_and_why(payload, reason, said):
    error = refused(payload)
    assert error.reason == reason
    assert said in error.detail


# -- ciphering -----------------------------------------------------------------------------------

KEYS = {"dlms_key": KEY.hex(), "dlms_authentication_key": AUTHENTICATION.hex().upper()}
SEALED = ciphered(AIDON, TITLE, KEY, AUTHENTICATION)


def test_a_ciphered_message_opens_with_the_keys_of_the_registry():
    told = {"system_title": "4B464D1000000023"}
    for device_id in ("m1", "4B464D1000000023", "4b464d1000000023"):
        context = registered(device_id, **KEYS)
        assert read(hdlc(SEALED, part=60), context=context) == SAID | told | {"authentic": True}
        only = ciphered(AIDON, TITLE, KEY)
        assert read(mbus(only), context=context) == SAID | told | {"authentic": False}


def test_a_message_that_the_registry_has_no_key_for_says_which_is_missing():
    error = refused(SEALED)
    assert error.reason == "missing_key"
    assert "no parameter dlms_key of the device with system title 4B464D1000000023" in error.detail
    error = refused(SEALED, context=registered(dlms_key=KEY.hex()))
    assert (error.reason, "dlms_authentication_key" in error.detail) == ("missing_key", True)


@pytest.mark.parametrize(
    "keys",
    [
        KEYS | {"dlms_key": "00" * 16},
        KEYS | {"dlms_authentication_key": "00" * 16},
        KEYS | {"dlms_key": KEY.hex()[:-2]},
        KEYS | {"dlms_key": "secret words that are no digits"},
        KEYS | {"dlms_key": 17},
    ],
)
def test_a_key_that_does_not_fit_is_told_without_showing_it(keys):
    for sent in (SEALED, ciphered(AIDON, TITLE, KEY)):
        if sent is not SEALED and keys["dlms_key"] == KEY.hex():
            continue
        error = refused(sent, context=registered(**keys))
        assert error.reason == "missing_key"
        for key in keys.values():
            assert str(key) not in error.detail.replace("17 ", "") or key == 17


@pytest.mark.parametrize("place", range(10, len(SEALED)))
def test_a_changed_byte_of_a_sealed_message_is_found(place):
    changed = bytearray(SEALED)
    changed[place] ^= 0x01
    assert refused(bytes(changed), context=registered(**KEYS)).reason in {
        "missing_key",
        "unparseable",
    }


def test_a_p1_telegram_may_be_ciphered():
    telegram = b"/XYZ5\r\n\r\n1-0:1.8.0(000001.5*kWh)\r\n!\r\n"
    parse = compile_dsmr(Dsmr(format="dsmr"))
    sealed = ciphered(telegram, TITLE, KEY, AUTHENTICATION)
    assert parse(sealed, registered(**KEYS)) == parse(telegram, Context())
    with pytest.raises(DecodeError, match="missing_key"):
        parse(sealed, Context())


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"\xdb\x07" + bytes(20), "a system title has 8 bytes"),
        (SEALED + b"\x00", "bytes are ciphered"),
        (b"\xdb\x08" + TITLE + b"\x05\xb0\x00\x00\x00\x01", "compression or a suite"),
        (b"\xdb\x08" + TITLE + b"\x05\x30\x00\x00\x00\x01", "tag is cut off"),
    ],
)
def test_a_broken_seal_is_unparseable(payload, said):
    error = refused(payload, context=registered(**KEYS))
    assert (error.reason, said in error.detail) == ("unparseable", True)


# -- layouts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        structure(obis("1-0:1.8.0"), u32(5), scaler_unit(-1, 30)),
        structure(visible("LIST"), obis("1-0:1.8.0"), u32(5), scaler_unit(-1, 30)),
        structure(obis("1-0:1.8.0"), structure(u32(5), scaler_unit(-1, 30))),
        structure(obis("1-0:1.8.0"), u32(5), whole(15, -1), whole(22, 30)),
        array(structure(array(structure(obis("1-0:1.8.0"), u32(5), scaler_unit(-1, 30))))),
    ],
)
def test_a_pair_is_found_in_any_nesting(data):
    document = read(notification(data))
    assert document == {"values": {"1-0:1.8.0": 0.5}, "units": {"1-0:1.8.0": "Wh"}}


def test_pairs_follow_each_other_without_scaler():
    data = structure(obis("1-0:1.8.0"), u32(5), obis("1-0:2.8.0"), b"\x00", obis("1-0:1.7.0"))
    assert read(notification(data)) == {"values": {"1-0:1.8.0": 5}, "units": {}}


def description(kind: int, code: str, attribute: int) -> bytes:
    return structure(u16(kind), obis(code), whole(15, attribute), u16(0))


@pytest.mark.parametrize("itself", [True, False])
def test_values_may_follow_a_list_of_their_descriptions(itself):
    told = [description(40, "0-0:25.9.0", 2)] if itself else []
    told += [
        description(8, "0-0:1.0.0", 2),
        description(3, "1-0:1.8.0", 2),
        description(3, "1-0:1.8.0", 3),
        description(1, "0-0:96.1.0", 2),
    ]
    values = [octet_string(AT), u32(77), scaler_unit(1, 30), octet_string(b"XYZ1234")]
    document = read(notification(structure(array(*told), *values)))
    assert document == {
        "id": "XYZ1234",
        "time": "2026-01-02T08:00:00+01:00",
        "values": {
            "0-0:1.0.0": "2026-01-02T08:00:00+01:00",
            "1-0:1.8.0": 770,
            "0-0:96.1.0": "XYZ1234",
        },
        "units": {"1-0:1.8.0": "Wh"},
    }


def test_kamstrups_list_is_scaled_by_its_description():
    sent = kamstrup(
        moment("2026-01-02 08:00:05"),
        [
            ("1-1:0.0.5", visible("5706567000000000")),
            ("1-1:96.1.1", visible("000000000000000000")),
            ("1-1:1.7.0", u32(4596)),
            ("1-1:31.7.0", u32(1832)),
            ("1-1:32.7.0", u16(231)),
            ("0-1:1.0.0", octet_string(moment("2026-01-02 08:00:00"))),
            ("1-1:1.8.0", u32(123456)),
            ("1-1:4.8.0", u32(3)),
        ],
    )
    document = read(hdlc(sent), "kamstrup")
    assert document["values"] == {
        "1-1:0.0.5": "5706567000000000",
        "1-1:96.1.1": "000000000000000000",
        "1-1:1.7.0": 4596,
        "1-1:31.7.0": 18.32,
        "1-1:32.7.0": 231,
        "0-1:1.0.0": "2026-01-02T08:00:00",
        "1-1:1.8.0": 1234560,
        "1-1:4.8.0": 30,
    }
    assert document["units"] == {
        "1-1:1.7.0": "W",
        "1-1:31.7.0": "A",
        "1-1:32.7.0": "V",
        "1-1:1.8.0": "Wh",
        "1-1:4.8.0": "var.h",
    }
    assert (document["id"], document["time"]) == ("5706567000000000", "2026-01-02T08:00:00")


NAMES = [octet_string(b"KFM_001"), octet_string(b"7340157000000001"), octet_string(b"MA304H4")]
POWERS = [u32(425), u32(0), u32(0), u32(4)]
HOURLY = [octet_string(AT), u32(478133), u32(0), u32(25660), u32(159478)]


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        (POWERS[:1], 1),
        ([*NAMES, *POWERS, u32(97), u32(2298)], 9),
        ([*NAMES, *POWERS, u32(97), u32(2298), *HOURLY], 14),
        ([*NAMES, *POWERS, *[u32(97)] * 3, *[u32(2298)] * 3], 13),
        ([*NAMES, *POWERS, *[u32(97)] * 3, *[u32(2298)] * 3, *HOURLY], 18),
    ],
)
def test_kaifas_lists_are_read_by_position(values, keys):
    document = read(hdlc(kaifa(AT, values)), "kaifa")
    said, units = document["values"], document["units"]
    assert len(said) == keys
    assert (said["1-0:1.7.0"], units["1-0:1.7.0"]) == (425, "W")
    assert document["time"] == "2026-01-02T08:00:00+01:00"
    if keys > 1:
        assert (document["id"], said["1-0:4.7.0"]) == ("7340157000000001", 4)
        assert (said["1-0:31.7.0"], said["1-0:32.7.0"]) == (0.097, 229.8)
    if keys in {13, 18}:
        assert (said["1-0:71.7.0"], said["1-0:72.7.0"]) == (0.097, 229.8)
    if keys in {14, 18}:
        assert (said["1-0:1.8.0"], units["1-0:1.8.0"]) == (478133, "Wh")
        assert (said["1-0:4.8.0"], units["1-0:4.8.0"]) == (159478, "var.h")


def test_a_list_of_another_length_is_refused():
    assert "layout: obis" in refused(kaifa(AT, POWERS), "kaifa").detail
    assert "a list where one value" in refused(kaifa(AT, [array()]), "kaifa").detail


# -- data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x00", None),
        (b"\xff", None),
        (b"\x03\x01", True),
        (b"\x04\x0a\xa5\xc0", "1010010111"),
        (b"\x0d\x09", 9),
        (b"\x16\x1e", 30),
        (b"\x17" + struct.pack(">f", 0.1), 0.1),
        (b"\x17" + struct.pack(">f", math.nan), None),
        (b"\x17" + struct.pack(">f", 3.4028234663852886e38), 3.4028234663852886e38),
        (b"\x18" + struct.pack(">d", math.inf), None),
        (b"\x18" + struct.pack(">d", 52185.7825309), 52185.7825309),
        (b"\x0c\x03\xe2\x82\xac", "€"),
        (b"\x19" + AT, AT),
        (b"\x1a" + AT[:5], AT[:5]),
        (b"\x1b" + AT[5:9], AT[5:9]),
        (b"\x09\x81\x80" + bytes(128), bytes(128)),
        (b"\x13\x12\x04\x00\x01\x00\x02", [1, 2]),
        (b"\x13\x02\x02\x11\x12\x06\x01\x00\x02\x03\x00\x04", [[1, 2], [3, 4]]),
        (b"\x13\x01\x00\x02\x11\x04\x01\x02\x03\x04", [[1, 2], [3, 4]]),
    ],
)
def test_a_value_of_each_type(data, value):
    assert Reader(data).read(0) == (value, len(data))


@pytest.mark.parametrize(
    "data", [b"\x13\x00\x01\x00", b"\x13\x12\x03\x00\x01\x00", b"\x13\x12\x04"]
)
def test_a_compact_array_that_does_not_come_out_even_is_refused(data):
    with pytest.raises(DecodeError, match="unparseable"):
        Reader(data).read(0)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (AT, "2026-01-02T08:00:00+01:00"),
        (moment("2026-07-02 08:00:00", -120, 0x80), "2026-07-02T08:00:00+02:00"),
        (moment("2026-07-02 08:00:00", 300), "2026-07-02T08:00:00-05:00"),
        (moment("2026-07-02 08:00:00"), "2026-07-02T08:00:00"),
        (moment("2026-07-02 08:00:255"), "2026-07-02T08:00:00"),
        (moment("2026-07-254 08:00:00"), None),
        (moment("2026-255-01 08:00:00"), None),
        (moment("65535-01-01 08:00:00"), None),
    ],
)
def test_a_date_time_has_the_offset_that_the_meter_tells(data, text):
    assert date_time(data) == text


@pytest.mark.parametrize(
    "data", [moment("2026-02-29 08:00:00"), moment("2026-07-02 08:00:00", 2000)]
)
def test_an_impossible_date_time_is_refused(data):
    with pytest.raises(DecodeError, match="bad_time"):
        date_time(data)


@given(st.sampled_from([5, 6, 15, 16, 17, 18, 20, 21]), st.integers(-(2**63), 2**64 - 1))
def test_integers_make_the_round_trip(tag, value):
    low, high = {
        5: (-(2**31), 2**31), 6: (0, 2**32), 15: (-128, 128), 16: (-(2**15), 2**15), 17: (0, 256),
        18: (0, 65536), 20: (-(2**63), 2**63), 21: (0, 2**64),
    }[tag]  # fmt: skip
    value = low + (value - low) % (high - low)
    assert Reader(whole(tag, value)).read(0) == (value, len(whole(tag, value)))


@given(st.integers(0, 2**32 - 1), st.integers(-9, 9))
def test_a_scaled_value_is_the_number_that_the_meter_shows(value, scaler):
    shown = read(aidon([("1-0:1.8.0", u32(value), (scaler, 30))]))["values"]["1-0:1.8.0"]
    assert shown == float(f"{value}e{scaler}")


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_of_32_bits_stays_itself(number):
    (shown, _) = Reader(b"\x17" + struct.pack(">f", number)).read(0)
    assert struct.pack(">f", shown) == struct.pack(">f", number)


# -- fuzz ----------------------------------------------------------------------------------------


def outcome(payload: bytes) -> None:
    for parse in PARSERS.values():
        try:
            document = parse(payload, registered(**KEYS))
        except DecodeError as error:
            assert error.reason in REASONS  # noqa: PT017 - either
        else:
            json.dumps(document, allow_nan=False)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_document_or_a_refusal(payload):
    for sent in (payload, hdlc(payload), mbus(payload), wrapper(payload), notification(payload)):
        outcome(sent)
    outcome(ciphered(payload, TITLE, KEY, AUTHENTICATION))


SCALARS = st.one_of(
    st.builds(whole, st.sampled_from([5, 6, 15, 16, 17, 18, 20, 21, 22]), st.integers(0, 2**64)),
    st.builds(octet_string, st.binary(max_size=14)),
    st.builds(octet_string, st.binary(min_size=12, max_size=12)),
    st.builds(obis, st.sampled_from(["1-0:1.8.0", "0-0:1.0.0", "0-0:96.1.0", "1-1:31.7.0"])),
    st.builds(scaler_unit, st.integers(-128, 127), st.integers(0, 255)),
    st.builds(lambda number: b"\x18" + struct.pack(">d", number), st.floats()),
    st.builds(description, st.integers(1, 8), st.just("1-0:1.8.0"), st.integers(2, 4)),
    st.sampled_from([b"\x00", b"\x03\x01", visible("text")]),
)


@given(
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=6).map(lambda items: structure(*items)),
        max_leaves=25,
    )
)
def test_any_data_gives_a_document_or_a_refusal(data):
    outcome(notification(data))


@given(st.integers(0, 500), st.integers(0, 255))
def test_a_mutated_message_gives_a_document_or_a_refusal(place, byte):
    for sent in (AIDON, hdlc(AIDON), mbus(AIDON, 50), SEALED):
        changed = bytearray(sent)
        changed[place % len(changed)] = byte
        outcome(bytes(changed))


# -- the profiles of the Norwegian ports ---------------------------------------------------------


def test_list_1_of_a_norwegian_port_is_left_out_on_purpose():
    profiles = load_profiles([PROFILES])
    first = {
        "dlms-han-aidon": hdlc(aidon([("1-0:1.7.0", u32(2140), (0, 27))])),
        "dlms-han-kaifa": hdlc(kaifa(AT, [u32(2140)])),
    }
    for name, payload in first.items():
        decider, outcome = Decider(profiles, {}, {}, registry_known=False), Decided()
        decider.decide(Batch([f"{name}/m1/up"], [payload], [0], 0), outcome)
        assert (outcome.readings, outcome.quarantined) == ([], [])


def test_a_ciphered_message_gives_readings_with_the_keys_of_its_device():
    profiles = load_profiles([PROFILES])
    devices = {"m1": Device(device_id="m1", parameters=KEYS)}
    outcome = Decided()
    decider = Decider(profiles, devices, {}, registry_known=True)
    decider.decide(Batch(["dlms-push/m1/up"], [hdlc(SEALED)], [0], 0), outcome)
    assert [refused.detail for refused in outcome.quarantined] == []
    readings = {reading.channel: reading.quantities for reading in outcome.readings}
    assert readings == {
        "total": {"energy_import": 1234.56},
        "L1": {"voltage": 233.5, "amperage": -5.7},
    }

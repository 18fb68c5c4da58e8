"""DL/T 698.45: published frames, frames of an independent encoder, and refusals."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.dlt698 import MAX_BYTES, MAX_FRAMES, MAX_ITEMS, compile_dlt698, crc_x25
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles.formats import Dlt698
from tests.frames_cn import (
    NULL,
    WAKE_UP,
    array,
    date_time_s,
    double_long,
    double_long_unsigned,
    frame698,
    get_response,
    long64_unsigned,
    long_signed,
    long_unsigned,
    oad,
    record,
    refusal,
    report,
    result,
    sized,
    structure,
    x25,
)

METER = "000000000001"
parse = compile_dlt698(Dlt698(format="dlt698"))


def read(payload: bytes):
    return parse(payload, Context())


def values(*results: bytes):
    return read(frame698(METER, get_response(*results))).get("values", {})


def value(name: str, data: bytes):
    return values(result(name, data)).get(name)


def refused(payload: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as error:
        parse(payload, Context())
    return error.value


ENERGY = frame698(METER, get_response(result("00100201", double_long_unsigned(123456))))

# -- published frames ----------------------------------------------------------------------------


def test_a_published_answer_of_energies_in_high_resolution():
    frame = bytes.fromhex(
        "684600C3039178412800062D8501000010040001010515000000000000000015000000000000000015"
        "0000000000000000150000000000000000150000000000000000 0000C35216"
    )
    document = read(frame)
    assert document["address"] == "28417891"
    assert document["service"] == "get_response"
    assert document["values"] == {"00100400": [0.0] * 5}


def test_a_published_request_adds_nothing():
    frame = bytes.fromhex("68150043039178412800eb640501000010040000 0ccb16")
    assert read(frame) == {"meters": []}


@given(st.binary(max_size=64))
def test_the_checksum_is_crc_16_x25(data):
    assert crc_x25(data).to_bytes(2, "little") == x25(data)
    assert crc_x25(b"123456789") == 0x906E  # the check value of the catalogue of CRCs


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("00000201", double_long(-26), -0.26),
        ("00100200", array(*map(double_long_unsigned, (10000, 4000, 6000))), [100.0, 40.0, 60.0]),
        ("00100400", array(long64_unsigned(1234567), NULL), [123.4567, None]),
        ("00800201", double_long_unsigned(7), 0.07),
        ("20000200", array(*map(long_unsigned, (2201, 2202, 2203))), [220.1, 220.2, 220.3]),
        ("20000201", long_unsigned(2201), 220.1),
        ("20010200", array(double_long(-1500), double_long(0), NULL), [-1.5, 0.0, None]),
        ("20010400", double_long(12), 0.012),
        ("20040200", array(*map(double_long, (5005, -1, 5006, 0))), [500.5, -0.1, 500.6, 0.0]),
        ("20050201", double_long(-15), -1.5),
        ("20060201", double_long(15), 1.5),
        ("200A0200", array(*map(long_signed, (998, -1000))), [0.998, -1.0]),
        ("200F0200", long_unsigned(4999), 49.99),
        ("20100200", long_signed(-55), -5.5),
        ("20110200", long_unsigned(361), 3.61),
        ("20170200", double_long(12345), 1.2345),
        ("40000200", date_time_s(2026, 1, 2, 8, 30, 0), "2026-01-02T08:30:00"),
        ("40010200", b"\x09\x06" + bytes.fromhex(METER), METER),
        ("40020200", b"\x0a\x03M-1", "M-1"),
        ("20140200", array(b"\x04\x10\x80\x01", b"\x04\x03\xa0"), ["1000000000000001", "101"]),
    ],
)
def test_a_value_is_what_the_display_shows(name, data, found):
    assert value(name, data) == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x03\x01", True),
        (b"\x0f\xff", -1),
        (b"\x11\xff", 255),
        (b"\x14" + b"\xff" * 8, -1),
        (b"\x16\x02", 2),
        (b"\x17" + struct.pack(">f", 231.4), 231.4),
        (b"\x17" + struct.pack(">f", float("nan")), None),
        (b"\x17" + struct.pack(">f", 16777217.0), 16777216.0),
        (b"\x18" + struct.pack(">d", 0.1), 0.1),
        (b"\x18" + struct.pack(">d", float("inf")), None),
        (b"\x0c\x06" + "电表".encode(), "电表"),
        (b"\x19\x07\xea\x01\x02\x05\x08\x1e\x00\x00\x00", "2026-01-02T08:30:00"),
        (b"\x1a\x07\xea\x01\x02\x05", "2026-01-02"),
        (b"\x1b\x08\x1e\x00", "08:30:00"),
        (b"\x1b\x18\x00\x00", None),
        (b"\x1a\x07\xea\x02\x1d\x05", None),
        (b"\x1a\x07\xec\x02\x1d\x05", "2028-02-29"),
        (date_time_s(0xFFFF, 255, 255, 255, 255, 255), None),
        (date_time_s(2026, 13, 1, 0, 0, 0), None),
        (b"\x50\x00\x10", "0010"),
        (b"\x51" + oad("00100200"), "00100200"),
        (b"\x52" + oad("50040200") + b"\x01" + oad("00100200"), ["50040200", "00100200"]),
        (b"\x53" + oad("00107F00"), "00107F00"),
        (b"\x54\x01\x00\x0f", [1, 15]),
        (b"\x55\x07\x05" + bytes.fromhex(METER), METER),
        (b"\x55\x08\x25\x01" + bytes.fromhex(METER), METER),
        (b"\x56\x01\xab", "ab"),
        (b"\x59\xfe\x21", [-2, 33]),
        (b"\x5f\x06\x02\x08\x01\x00", "0602080100"),
        (b"\x60\x01\x00" + oad("00100200"), ["00100200"]),
        (NULL, None),
        (array(), []),
        (structure(NULL, b"\x11\x01", array(b"\x11\x02")), [None, 1, [2]]),
    ],
)
def test_every_type_of_data(data, found):
    assert value("F1000200", data) == found


def test_a_long_array_has_its_length_in_two_bytes():
    assert value("F1000200", array(*[b"\x11\x01"] * 300)) == [1] * 300


def test_demands_come_with_their_times():
    at = date_time_s(2026, 1, 2, 8, 30, 0)
    never = date_time_s(0xFFFF, 255, 255, 255, 255, 255)
    first, second = structure(double_long_unsigned(12345), at), structure(NULL, never)
    assert values(result("10100200", array(first, second)), result("10100201", first)) == {
        "10100200": [1.2345, None],
        "10100200_time": ["2026-01-02T08:30:00", None],
        "10100201": 1.2345,
        "10100201_time": "2026-01-02T08:30:00",
    }
    assert values(result("10100201", second)) == {}


def test_several_objects_and_the_meters_clock():
    document = read(
        frame698(
            METER,
            get_response(
                result("00100201", double_long_unsigned(26)),
                refusal("20000200", 6),
                refusal("20010200", 77),
                result("40000200", date_time_s(2026, 1, 2, 8, 30, 0)),
            ),
        )
    )
    meters = document.pop("meters")
    assert meters == [document]
    assert document == {
        "address": METER,
        "service": "get_response",
        "values": {"00100201": 0.26, "40000200": "2026-01-02T08:30:00"},
        "errors": {"20000200": "no_such_object", "20010200": "refused_77"},
        "time": "2026-01-02T08:30:00",
    }


# -- records, reports, proxies -------------------------------------------------------------------


def test_rows_of_a_record():
    daily = record(
        "50040200",
        ["20210200", "00100200"],
        (date_time_s(2026, 1, 1, 0, 0, 0), array(double_long_unsigned(100))),
        (date_time_s(2026, 1, 2, 0, 0, 0), NULL),
    )
    wanted = [
        {
            "oad": "50040200",
            "address": METER,
            "values": {"20210200": "2026-01-01T00:00:00", "00100200": [1.0]},
        },
        {"oad": "50040200", "address": METER, "values": {"20210200": "2026-01-02T00:00:00"}},
    ]
    assert read(frame698(METER, b"\x85\x03\x00" + daily + b"\x00\x00"))["records"] == wanted
    assert read(frame698(METER, b"\x85\x04\x00\x01" + daily + b"\x00\x00"))["records"] == wanted
    assert (
        read(
            frame698(METER, b"\x88\x02\x00\x01" + daily + b"\x00\x00"),
        )["records"]
        == wanted
    )


def test_rows_of_a_concentrator_name_their_meters():
    related = oad("60120300") + b"\x02\x00" + oad("202A0200")
    related += b"\x01" + oad("50040200") + b"\x01" + oad("00100201")
    rows = b"\x01\x01" + b"\x55\x07\x05" + bytes.fromhex("000000000009") + double_long_unsigned(7)
    (row,) = read(frame698(METER, b"\x85\x03\x00" + related + rows + b"\x00\x00"))["records"]
    assert row == {
        "oad": "60120300",
        "address": "000000000009",
        "values": {"202A0200": "000000000009", "00100201": 0.07},
    }


def test_a_record_that_is_refused():
    apdu = b"\x85\x03\x00" + oad("50040200") + b"\x01\x00" + oad("00100200") + b"\x00\x09\x00\x00"
    assert read(frame698(METER, apdu))["errors"] == {"50040200": "block_unavailable"}


def test_a_report_and_the_time_it_was_sent():
    sent = b"\x00\x01" + date_time_s(2026, 1, 2, 8, 30, 5)[1:] + b"\x01\x00\x05"
    apdu = report(result("00100201", double_long_unsigned(26)), tail=sent)
    document = read(frame698(METER, apdu, control=0x83))
    assert (document["service"], document["values"]) == ("report_notification", {"00100201": 0.26})
    assert document["time"] == "2026-01-02T08:30:05"


def test_a_report_that_rides_along():
    tail = b"\x01\x01\x01" + result("20000201", long_unsigned(2200)) + b"\x00"
    assert read(
        frame698(METER, get_response(result("00100201", double_long_unsigned(26)), tail=tail))
    )["values"] == {"00100201": 0.26, "20000201": 220.0}


def test_a_concentrators_answer_for_other_meters():
    each = [
        b"\x07\x05" + bytes.fromhex(f"00000000000{i}") + b"\x01"
        + result("00100201", double_long_unsigned(i))
        for i in (3, 4)
    ]  # fmt: skip
    document = read(frame698(METER, b"\x89\x01\x00\x02" + b"".join(each) + b"\x00\x00"))
    assert [(m["address"], m["values"]) for m in document["meters"]] == [
        ("000000000003", {"00100201": 0.03}),
        ("000000000004", {"00100201": 0.04}),
    ]


def test_an_answer_in_several_apdus_says_that_more_follows():
    def part(last: int) -> bytes:
        results = b"\x01" + result("00100201", double_long_unsigned(26))
        return frame698(METER, bytes([0x85, 5, 0, last, 0, 1, 1]) + results + b"\x00\x00")

    assert read(part(0))["more_follows"]
    assert "more_follows" not in read(part(1))


# -- frames --------------------------------------------------------------------------------------


def test_frames_of_one_meter_make_one_item_until_an_object_comes_again():
    voltage = frame698(METER, get_response(result("20000201", long_unsigned(2200))))
    other = frame698("000000000002", get_response(result("20000201", long_unsigned(2300))))
    document = read(WAKE_UP + ENERGY + voltage + b"\xfe" + ENERGY + other + b"\xfe")
    assert [(m["address"], m["values"]) for m in document["meters"]] == [
        (METER, {"00100201": 1234.56, "20000201": 220.0}),
        (METER, {"00100201": 1234.56}),
        ("000000000002", {"20000201": 230.0}),
    ]
    assert document["values"] == {"00100201": 1234.56, "20000201": 220.0}


def test_an_extended_logical_address_is_no_part_of_the_meters():
    frame = frame698(METER, get_response(result("20000201", long_unsigned(2200))), logical=5)
    assert read(frame)["address"] == METER


def test_scrambled_user_data():
    apdu = get_response(result("20000201", long_unsigned(2200)))
    hidden = bytes((byte + 0x33) % 256 for byte in apdu)
    assert read(frame698(METER, hidden, control=0xCB))["values"] == {"20000201": 220.0}


def test_an_apdu_in_parts_is_put_together():
    apdu = get_response(result("00100200", array(*map(double_long_unsigned, range(9)))))
    parts = [
        frame698(METER, header + piece, control=0xE3)
        for header, piece in (
            (b"\x00\x00", apdu[:20]),
            (b"\x01\xc0", apdu[20:40]),
            (b"\x02\x40", apdu[40:]),
        )
    ]
    assert read(b"".join(parts))["values"]["00100200"] == [i / 100 for i in range(9)]
    assert "not in the message" in refused(b"".join(parts[:2])).detail
    assert "out of order" in refused(parts[1]).detail
    assert "without its number" in refused(frame698(METER, b"\x00", control=0xE3)).detail
    assert read(frame698(METER, b"\x00\x80", control=0xE3)) == {"meters": []}


def test_heartbeats_and_confirmations_add_nothing():
    for apdu in (b"\x82\x00", b"\x86\x01\x00", b"\x87\x01\x00", b"\xee\x00", b"\x85\x06\x00"):
        assert read(frame698(METER, apdu)) == {"meters": []}
    assert read(frame698(METER, b"\x01\x00\x00", control=0x81)) == {"meters": []}
    assert read(frame698(METER, b"")) == {"meters": []}


def test_a_secured_answer_in_plain_is_read():
    inner = get_response(result("20000201", long_unsigned(2200)))
    secured = b"\x90\x00" + sized(len(inner)) + inner + b"\x01\x00\x04\x01\x02\x03\x04"
    assert read(frame698(METER, secured))["values"] == {"20000201": 220.0}
    assert read(frame698(METER, b"\x90\x02\x16")) == {"meters": []}


def test_an_enciphered_answer_asks_for_a_key():
    error = refused(frame698(METER, b"\x90\x01\x04\xde\xad\xbe\xef\x00"))
    assert error.reason == "missing_key"
    assert "deadbeef" not in error.detail


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\0", b"\xfe\r\n"])
def test_a_line_end_or_zero_bytes_behind_a_frame_are_no_fault(end):
    assert read(ENERGY + end) == read(ENERGY)
    assert read(ENERGY + end + ENERGY + end) == read(ENERGY + ENERGY)
    assert refused(end + ENERGY).reason == "unparseable"
    assert refused(ENERGY + end + b"\x01").reason == "unparseable"


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", range(len(ENERGY)))
def test_a_frame_cut_anywhere_is_refused(end):
    assert refused(ENERGY[:end]).reason == "unparseable"


@pytest.mark.parametrize("place", range(len(ENERGY)))
def test_one_changed_byte_is_found(place):
    changed = bytearray(ENERGY)
    changed[place] ^= 0x01
    assert refused(bytes(changed)).reason in {"bad_checksum", "unparseable"}


def answered(data: bytes) -> bytes:
    return frame698(METER, get_response(result("F1000200", data), tail=b""))


@pytest.mark.parametrize(
    ("payload", "reason", "said"),
    [
        (b"", "unparseable", "empty"),
        (WAKE_UP, "unparseable", "nothing but wake-up"),
        (ENERGY + b"\x01" + ENERGY, "unparseable", "01H where a frame"),
        (ENERGY[:12] + b"\x00\x00" + ENERGY[14:], "bad_checksum", "HCS"),
        (ENERGY[:-3] + b"\x00\x00\x16", "bad_checksum", "FCS"),
        (answered(b"\x63"), "unparseable", "data type 99"),
        (answered(b"\x01\x7f"), "unparseable", "127 items must follow, 0"),
        (answered(b"\x09\x85"), "unparseable", "no length: 85H"),
        (answered(b"\x06\x00"), "unparseable", "4 bytes must follow, 1 are there"),
        (answered(b"\x01\x01" * 40 + b"\x00"), "too_deep", "16"),
        (answered(b"\x60\x01\x02"), "unparseable", "got 2"),
        (frame698(METER, b"\x85\x01\x00" + oad("00100200") + b"\x02"), "unparseable", "got 2"),
        (
            frame698(METER, get_response(refusal("00100200", 1), tail=b"\x01\x03")),
            "unparseable",
            "3",
        ),
        (
            frame698(METER, get_response(refusal("00100200", 1), tail=bytes(3))),
            "unparseable",
            "left over",
        ),
        (frame698(METER, b"\x90\x00\x00"), "unparseable", "empty secured"),
        (
            frame698(METER, b"\x85\x03\x00" + oad("50040200") + b"\x00\x01\x00"),
            "unparseable",
            "at least one column",
        ),
        (
            frame698(
                METER,
                b"\x85\x03\x00" + record("50040200", ["00100200"], *[[NULL]] * (MAX_ITEMS + 1)),
            ),
            "too_large",
            "rows",
        ),
        (b"\xfe" * (MAX_BYTES + 1), "too_large", "at most"),
        (frame698("01", b"") * (MAX_FRAMES + 1), "too_large", "frames"),
        (
            frame698(METER, get_response(*[refusal("00100200", 1)] * 2500)) * 5,
            "too_large",
            "answers",
        ),
    ],
)
def test_a_refusal_says_where_and_why(payload, reason, said):
    error = refused(payload)
    assert error.reason == reason
    assert said in error.detail


# -- round trips and fuzz ------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_energies_make_the_round_trip(hundredths):
    found = value("00100201", double_long_unsigned(hundredths))
    assert found == float(f"{hundredths // 100}.{hundredths % 100:02d}")


REASONS = {"unparseable", "bad_checksum", "too_large", "too_deep", "missing_key"}


def outcome(payload: bytes) -> None:
    try:
        document = parse(payload, Context())
    except DecodeError as error:
        assert error.reason in REASONS  # noqa: PT017 - either this or a document
    else:
        json.dumps(document, allow_nan=False)


APDUS = [
    get_response(result("00100200", array(double_long_unsigned(1), NULL))),
    get_response(result("10100200", array(structure(NULL, date_time_s(2026, 1, 2, 8, 30, 0))))),
    get_response(refusal("00100200", 1), result("40000200", date_time_s(2026, 1, 2, 8, 30, 0))),
    report(result("20000200", array(long_unsigned(1)))),
    b"\x85\x03\x00" + record("50040200", ["00100200", "202A0200"], (NULL, NULL)) + b"\x00\x00",
]


@given(st.sampled_from(APDUS), st.integers(0, 60), st.integers(0, 255), st.integers(0, 60))
def test_apdus_with_one_changed_byte_and_cut_give_a_document_or_a_refusal(apdu, place, byte, end):
    changed = bytearray(apdu)
    changed[place % len(changed)] = byte
    outcome(frame698(METER, bytes(changed)))
    outcome(frame698(METER, bytes(changed[:end])))


@given(
    st.binary(max_size=100), st.sampled_from([b"", b"\x85\x01\x00", b"\x88\x02\x00", b"\x89\x01"])
)
def test_any_bytes_give_a_document_or_a_refusal(payload, head):
    outcome(payload)
    outcome(frame698(METER, head + payload))
    outcome(frame698(METER, head + oad("00100200") + b"\x01" + payload, control=0xC3))

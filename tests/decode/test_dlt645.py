"""DL/T 645: published frames, frames of an independent encoder, and whatever else a bus carries."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.decode.dlt645 import MAX_BYTES, MAX_FRAMES, compile_dlt645
from gateway.decode.dlt645_items import ITEMS_1997, ITEMS_2007, Readers, width
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles.formats import Dlt645
from tests.corpora import corpora
from tests.frames_cn import WAKE_UP, answer645, bcd, frame645

FOLDER = corpora()
CASES = [
    case
    for line in (
        (FOLDER / "frames-cn" / "cases.jsonl").read_text("utf-8").splitlines() if FOLDER else []
    )
    if (case := json.loads(line))["model"] == "dlt645-2007"
]
METER = "000000000161"
ENERGY = answer645(METER, "00010000", bcd("000000.26"))
VOLTAGE = answer645(METER, "02010100", bcd("100.1"))

of_2007 = compile_dlt645(Dlt645(format="dlt645"))
of_1997 = compile_dlt645(Dlt645(format="dlt645", edition="1997"))


def read(payload: bytes, parse=of_2007):
    return parse(payload, Context())["meters"]


def values(payload: bytes, parse=of_2007):
    (meter,) = read(payload, parse)
    return meter.get("values", {})


def refused(payload: bytes, parse=of_2007) -> DecodeError:
    with pytest.raises(DecodeError) as error:
        parse(payload, Context())
    return error.value


# -- published frames ----------------------------------------------------------------------------


@pytest.mark.corpora
@pytest.mark.skipif(not CASES, reason="corpora not here")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_published_frame_says_what_was_published(case):
    payload = bytes.fromhex(case["payload_hex"])
    if case["expected"] is None:
        assert refused(payload).reason in {"bad_checksum", "unparseable"}
        return
    (meter,) = read(payload)
    wanted = case["expected"] if isinstance(case["expected"], list) else [case["expected"]]
    assert meter["address"] == METER
    for each in wanted:
        (number,) = (value for value in each.values() if isinstance(value, float))
        assert meter["values"].pop(each["di"]) == number
    assert meter["values"] == {}


def test_a_frame_of_the_1997_edition_as_in_a_controllers_manual():
    frame = bytes.fromhex("68030000000000688104 44E93334EC16")
    assert read(frame, of_1997) == [{"address": "000000000003", "values": {"B611": 100}}]


# -- layouts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("di", "sent", "value"),
    [
        ("00000000", "-000123.45", -123.45),
        ("00010000", "999999.99", 999999.99),
        ("00013F0C", "000001.00", 1.0),
        ("00030000", "-000100.26", -100.26),
        ("00050000", "800000.01", 800000.01),
        ("003D0000", "000004.02", 4.02),
        ("02010300", "235.4", 235.4),
        ("02020100", "012.345", 12.345),
        ("02020200", "-012.345", -12.345),
        ("02030000", "-01.2345", -1.2345),
        ("02060000", "0.998", 0.998),
        ("02060100", "-1.000", -1.0),
        ("02800001", "000.012", 0.012),
        ("02800002", "49.98", 49.98),
        ("02800007", "-012.5", -12.5),
        ("02800008", "03.61", 3.61),
        ("03110000", "000007", 7),
        ("03300D00", "000002", 2),
        ("04000409", "001200", 1200),
        ("04000306", "000150", 150),
    ],
)
def test_a_number_is_what_the_display_shows(di, sent, value):
    assert values(answer645(METER, di, bcd(sent))) == {di: value}


@pytest.mark.parametrize(
    ("di", "data", "value"),
    [
        ("04000101", bcd("26022806"), "2026-02-28"),
        ("04000102", bcd("235959"), "23:59:59"),
        ("0400010C", bcd("26022806235959"), "2026-02-28T23:59:59"),
        ("04000401", bcd("012345678901"), "012345678901"),
        ("04000402", bcd("000000000000"), "000000000000"),
        ("0400040B", b"601-ZDD".rjust(10, b"\x00"), "DDZ-106"),
        ("04000503", b"\x40\x01", 0x0140),
        ("04800001", b"2.1v".rjust(32, b"\x00"), "v1.2"),
        ("05060001", bcd("2601010000"), "2026-01-01T00:00:00"),
    ],
)
def test_times_texts_and_states(di, data, value):
    assert values(answer645(METER, di, data)) == {di: value}


def test_a_demand_comes_with_its_time():
    frame = answer645(METER, "01010000", bcd("12.3456"), bcd("2601020830"))
    assert values(frame) == {"01010000": 12.3456, "01010000_time": "2026-01-02T08:30:00"}


def test_frozen_energies_are_a_list_with_their_places_kept():
    fields = bcd("000010.00"), b"\xff\xff\xff\xff", bcd("000003.00")
    assert values(answer645(METER, "05060101", *fields)) == {"05060101": [10.0, None, 3.0]}
    demands = (bcd("01.0000"), bcd("2601020830"), bcd("00.5000"), bytes(5))
    assert values(answer645(METER, "05060901", *demands)) == {
        "05060901": [1.0, 0.5],
        "05060901_time": ["2026-01-02T08:30:00", None],
    }


@pytest.mark.parametrize(
    ("di", "data"),
    [
        ("00010000", b"\xff\xff\xff\xff"),
        ("00010000", b"\x0a\x00\x00\x00"),
        ("00000000", b"\xff\xff\xff\xff"),
        ("02030000", b"\x00\x00\xfa"),
        ("02010100", b"\x00\xe0"),
        ("01010000", b"\xff" * 8),
        ("04000101", bcd("26022905")),
        ("04000101", bcd("00000000")),
        ("04000102", bcd("240000")),
        ("04000102", b"\xff\xff\xff"),
        ("0400010C", bcd("26130106000000")),
        ("04000402", b"\xff" * 6),
        ("0400040B", b"\xff" * 10),
    ],
)
def test_what_is_no_number_and_no_possible_time_is_absent(di, data):
    assert values(answer645(METER, di, data)) == {}


def test_the_29th_of_february_is_a_day_in_a_leap_year_only():
    assert values(answer645(METER, "04000101", bcd("28022902"))) == {"04000101": "2028-02-29"}


def test_date_and_time_of_day_make_the_meters_time():
    frames = answer645(METER, "04000101", bcd("26010104")) + answer645(
        METER, "04000102", bcd("080910")
    )
    (meter,) = read(frames)
    assert meter["time"] == "2026-01-01T08:09:10"


def test_an_identifier_that_the_standard_does_not_name_is_kept_as_sent():
    assert values(answer645(METER, "EE010203", b"\x01\xab")) == {"EE010203": "01ab"}
    assert values(answer645(METER, "EE010203")) == {}


def test_a_profile_names_a_makers_own_identifiers():
    parse = compile_dlt645(
        Dlt645(format="dlt645", items={"EE010203": "XX.XX", "02010100": "±XXXX.XX"})
    )
    assert values(answer645(METER, "EE010203", bcd("12.34")), parse) == {"EE010203": 12.34}
    assert values(answer645(METER, "02010100", bcd("-0220.05")), parse) == {"02010100": -220.05}


@pytest.mark.parametrize(
    "items", [{"EE0102": "XX"}, {"EE010203": "YY"}, {"ee010203": "XX"}, {"9010": "XX"}]
)
def test_a_wrong_layout_is_a_fault_of_the_profile(items):
    with pytest.raises(ValidationError):
        Dlt645(format="dlt645", items=items)


# -- blocks --------------------------------------------------------------------------------------


def test_a_block_unfolds_into_its_items():
    frame = answer645(METER, "0201FF00", bcd("220.1"), b"\xff\xff", bcd("221.3"))
    assert values(frame) == {"02010100": 220.1, "02010300": 221.3}
    frame = answer645(METER, "0203FF00", *(bcd(f"0{i}.0000") for i in range(4)))
    assert values(frame) == {f"02030{i}00": float(i) for i in range(4)}
    frame = answer645(METER, "0001FF00", *(bcd(f"00000{i}.00") for i in range(5)))
    assert values(frame) == {f"00010{i}00": float(i) for i in range(5)}
    frame = answer645(METER, "000100FF", *(bcd(f"00000{i}.00") for i in range(3)))
    assert values(frame) == {f"0001000{i}": float(i) for i in range(3)}
    frame = answer645(METER, "040005FF", *(bytes([i, 0]) for i in range(7)))
    assert values(frame) == {f"0400050{i + 1}": i for i in range(7)}
    frame = answer645(
        METER, "0101FF00", bcd("01.0000"), bcd("2601020830"), bcd("02.0000"), bytes(5)
    )
    assert values(frame) == {
        "01010000": 1.0,
        "01010000_time": "2026-01-02T08:30:00",
        "01010100": 2.0,
    }


def test_a_block_may_be_closed_by_aa():
    frame = answer645(METER, "0201FF00", bcd("220.1"), b"\xaa")
    assert values(frame) == {"02010100": 220.1}


def test_a_block_in_several_frames_is_put_together():
    first = answer645(METER, "0001FF00", bcd("000010.00"), bcd("000001.00")[:2], control=0xB1)
    second = answer645(METER, "0001FF00", bcd("000001.00")[2:], b"\x01", control=0xB2)
    third = answer645(METER, "0001FF00", bcd("000009.00"), b"\x02", control=0x92)
    (meter,) = read(first + WAKE_UP + second + third)
    assert meter == {
        "address": METER,
        "values": {"00010000": 10.0, "00010100": 1.0, "00010200": 9.0},
    }


def test_a_block_whose_rest_is_not_there_says_so():
    first = answer645(METER, "0001FF00", bcd("000010.00"), bcd("000001.00")[:2], control=0xB1)
    (meter,) = read(first)
    assert meter == {"address": METER, "values": {"00010000": 10.0}, "more_follows": True}
    meter, other = read(first + answer645("000000000162", "02010100", bcd("220.0")))
    assert meter["more_follows"]
    assert "more_follows" not in other


def test_the_rest_of_a_block_without_its_beginning_is_refused():
    rest = answer645(METER, "0001FF00", bcd("000010.00"), b"\x01", control=0x92)
    assert refused(rest).reason == "unparseable"
    begun = answer645(METER, "0002FF00", bcd("000010.00"), control=0xB1)
    assert "beginning" in refused(begun + rest).detail


# -- messages of several frames ------------------------------------------------------------------


def test_frames_of_one_meter_make_one_item_until_an_identifier_comes_again():
    other = answer645("000000000162", "00010000", bcd("000007.00"))
    frames = [ENERGY, VOLTAGE, ENERGY, other, other, VOLTAGE]
    assert [
        (meter["address"][-3:], sorted(meter["values"])) for meter in read(b"".join(frames))
    ] == [
        ("161", ["00010000", "02010100"]),
        ("161", ["00010000"]),
        ("162", ["00010000"]),
        ("162", ["00010000"]),
        ("161", ["02010100"]),
    ]


def test_an_identifier_that_was_absent_the_first_time_opens_a_new_item_all_the_same():
    absent = answer645(METER, "00010000", b"\xff" * 4)
    assert read(absent + ENERGY) == [{"address": METER}, *read(ENERGY)]
    assert read(absent) == [{"address": METER}]


@given(st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_wake_up_bytes_may_stand_before_between_and_after_frames(counts):
    a, b, c, d = (b"\xfe" * count for count in counts)
    assert read(a + ENERGY + b + VOLTAGE + c + ENERGY + d) == read(ENERGY + VOLTAGE + ENERGY)


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\0", b"\0\0\r\n", b"\xfe\r\n"])
def test_a_line_end_or_zero_bytes_behind_a_frame_are_no_fault(end):
    assert read(ENERGY + end) == read(ENERGY)
    assert read(ENERGY + end + VOLTAGE + end) == read(ENERGY + VOLTAGE)
    assert refused(end + ENERGY).reason == "unparseable"
    assert refused(ENERGY[:-1] + end).reason == "unparseable"
    assert refused(ENERGY + end + b"\x01").reason == "unparseable"


def test_requests_and_confirmations_add_nothing():
    request = frame645(METER, 0x11, bytes.fromhex("00000100"))
    clock = frame645("999999999999", 0x08, bytes(6))
    assert read(request) == []
    assert read(clock + frame645(METER, 0x94)) == []
    assert read(request + ENERGY) == read(ENERGY)


def test_a_meter_may_say_its_address():
    (meter,) = read(frame645(METER, 0x93, bcd(METER)))
    assert meter == {"address": METER, "values": {"04000401": METER}}


@pytest.mark.parametrize(
    ("byte", "words"),
    [(0x02, "no_such_data"), (0x06, "no_such_data, not_authorised"), (0x00, "none")],
)
def test_an_error_answer_says_what_the_meter_refused(byte, words):
    assert read(frame645(METER, 0xD1, bytes([byte]))) == [{"address": METER, "error": words}]


def test_an_error_among_answers_leaves_their_values():
    (meter,) = read(ENERGY + frame645(METER, 0xD1, b"\x02") + VOLTAGE)
    assert meter == {
        "address": METER,
        "values": {"00010000": 0.26, "02010100": 100.1},
        "error": "no_such_data",
    }


# -- the 1997 edition ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("di", "data", "found"),
    [
        ("9010", bcd("001234.56"), {"9010": 1234.56}),
        ("901F", bcd("000003.00") + bcd("000001.00") + b"\xaa", {"9010": 3.0, "9011": 1.0}),
        ("9110", bcd("000001.00"), {"9110": 1.0}),
        ("9410", bcd("001200.00"), {"9410": 1200.0}),
        ("A010", bcd("01.2345"), {"A010": 1.2345}),
        ("B010", bcd("02291430"), {"B010": "02-29T14:30"}),
        ("B010", bcd("02301430"), {}),
        ("B61F", bcd("0220") + bcd("0221") + bcd("0222"), {"B611": 220, "B612": 221, "B613": 222}),
        ("B621", bcd("05.12"), {"B621": 5.12}),
        ("B630", bcd("01.5000"), {"B630": 1.5}),
        ("B650", bcd("0.950"), {"B650": 0.95}),
        ("C010", bcd("26010104"), {"C010": "2026-01-01"}),
        ("C032", bcd("000000001234"), {"C032": "000000001234"}),
    ],
)
def test_items_of_the_1997_edition(di, data, found):
    assert values(answer645(METER, di, data, control=0x81), of_1997) == found


def test_the_other_edition_is_named_where_it_is_heard():
    old = answer645(METER, "9010", bcd("001234.56"), control=0x81)
    assert "decode.edition: '1997'" in refused(old).detail
    assert "decode.edition: '2007'" in refused(ENERGY, of_1997).detail


def test_blocks_errors_and_clock_of_the_1997_edition():
    first = answer645(METER, "901F", bcd("000003.00"), control=0xA1)
    second = answer645(METER, "901F", bcd("000001.00"), control=0x82)
    clock = answer645(METER, "C010", bcd("26010104"), control=0x81) + answer645(
        METER, "C011", bcd("080910"), control=0x81
    )
    (meter,) = read(first + second + clock + frame645(METER, 0xC1, b"\x02"), of_1997)
    assert meter["values"]["9011"] == 1.0
    assert (meter["time"], meter["error"]) == ("2026-01-01T08:09:10", "wrong_identifier")


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", range(len(ENERGY)))
def test_a_frame_cut_anywhere_is_refused(end):
    assert refused(ENERGY[:end]).reason == "unparseable"
    assert refused(VOLTAGE + ENERGY[: max(end, 1)]).reason == "unparseable"


@pytest.mark.parametrize("place", range(len(ENERGY)))
def test_one_changed_byte_is_found(place):
    changed = bytearray(ENERGY)
    changed[place] ^= 0x01
    assert refused(bytes(changed)).reason in {"bad_checksum", "unparseable"}


@pytest.mark.parametrize(
    ("payload", "reason", "said"),
    [
        (b"", "unparseable", "empty"),
        (WAKE_UP, "unparseable", "nothing but wake-up"),
        (ENERGY + b"\x01" + VOLTAGE, "unparseable", "byte 20: 01H where a frame"),
        (b"A" + ENERGY, "unparseable", "byte 0: 41H"),
        (ENERGY[:-2] + b"\x00\x16", "bad_checksum", "sum to 8AH, it says 00H"),
        (frame645(METER, 0x91, b"\x00\x00"), "unparseable", "2 bytes of data"),
        (answer645(METER, "00010000", b"\x00" * 5), "unparseable", "4 bytes, got 5 bytes"),
        (answer645(METER, "0201FF00", b"\x00" * 8), "unparseable", "1 to 3 items of 2 bytes"),
        (answer645(METER, "0201FF00"), "unparseable", "1 to 3 items of 2 bytes"),
        (frame645(METER, 0xD1), "unparseable", "does not say which"),
        (b"\xfe" * (MAX_BYTES + 1), "too_large", "at most"),
        (frame645(METER, 0x94) * (MAX_FRAMES + 1), "too_large", "frames"),
    ],
)
def test_a_refusal_says_where_and_why(payload, reason, said):
    error = refused(payload)
    assert error.reason == reason
    assert said in error.detail


# -- round trips and fuzz ------------------------------------------------------------------------


@given(st.integers(0, 99_999_999), st.integers(0, 3), st.integers(0, 0x3F), st.integers(0, 12))
def test_energies_make_the_round_trip(hundredths, quantity, tariff, day):
    di = f"00{quantity + 5:02X}{tariff:02X}{day:02X}"
    shown = f"{hundredths:08d}"
    (found,) = values(answer645(METER, di, bcd(f"{shown[:6]}.{shown[6:]}"))).values()
    assert f"{found:.2f}" == f"{hundredths // 100}.{hundredths % 100:02d}"
    assert found == float(f"{hundredths // 100}.{hundredths % 100:02d}")


def plausible():
    """Frames of right form with any content, and pieces of them."""
    di = st.sampled_from(
        [
            "00010000",
            "0001FF00",
            "02020100",
            "01010000",
            "040005FF",
            "05060901",
            "04000101",
            "0400040B",
            "FFFFFFFF",
        ]
    )
    control = st.sampled_from([0x91, 0xB1, 0x92, 0xB2, 0xD1, 0x93, 0x81, 0x11, 0x94])
    data = st.binary(max_size=40)
    answer = st.builds(
        lambda di, control, data: answer645(METER, di, data, control=control), di, control, data
    )
    plain = st.builds(lambda control, data: frame645(METER, control, data), control, data)
    return st.lists(st.one_of(answer, plain, st.just(ENERGY)), min_size=1, max_size=4).map(b"".join)


def outcome(payload: bytes, parse) -> None:
    try:
        document = parse(payload, Context())
    except DecodeError as error:
        assert error.reason in {"unparseable", "bad_checksum", "too_large"}  # noqa: PT017 - either
    else:
        json.dumps(document, allow_nan=False)


@given(plausible(), st.integers(0, 400), st.integers(0, 255))
def test_frames_with_any_content_give_a_document_or_a_refusal(payload, place, byte):
    for parse in (of_2007, of_1997):
        outcome(payload, parse)
        changed = bytearray(payload)
        changed[place % len(changed)] = byte
        outcome(bytes(changed), parse)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_document_or_a_refusal(payload):
    outcome(payload, of_2007)
    outcome(payload, of_1997)


# -- the tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("edition", "table"), [("2007", ITEMS_2007), ("1997", ITEMS_1997)])
def test_every_row_of_the_tables_reads_its_first_item(edition, table):
    readers = Readers(edition, {})
    for pattern, layout in table.items():
        wire = bytes.fromhex(re.sub(r"[(\[](\w+)-\w+[)\]]", r"\1", pattern))[::-1]
        found = {}
        fill = b"A" if layout[0] == "A" else b"\x11"  # text, or a number and a possible time
        readers[wire](found, wire + fill * readers.size(wire))
        assert readers.size(wire) == width(layout.rstrip("*"))
        assert wire[::-1].hex().upper() in found


def test_readers_that_are_kept_are_bounded():
    readers = Readers("2007", {})
    for i in range(5000):
        assert readers[i.to_bytes(4, "little")]
    assert len(readers) <= 4096

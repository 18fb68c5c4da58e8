"""CJ/T 188: the published frame, both orders of the identifier, heat, history, and refusals."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.cjt188 import MAX_BYTES, MAX_FRAMES, compile_cjt188
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles.formats import Cjt188
from tests.corpora import corpora
from tests.frames_cn import WAKE_UP, answer188, bcd, frame188, quantity188

FOLDER = corpora()
CASES = [
    case
    for line in (
        (FOLDER / "frames-cn" / "cases.jsonl").read_text("utf-8").splitlines() if FOLDER else []
    )
    if (case := json.loads(line))["model"] == "cjt188-2004"
]
WATER, HEAT, GAS = "78330011223344", "12340000005678", "56780000001234"
CLOCK = bcd("20260102083000")
OPEN = b"\x00\x00"

parse = compile_cjt188(Cjt188(format="cjt188"))


def volumes(volume: bytes, settlement: bytes, clock: bytes = CLOCK, state: bytes = OPEN) -> bytes:
    return answer188(WATER, 0x10, volume, settlement, clock, state)


def heat(energy: bytes, kind: int = 0x20, flow: str = "0001.2345") -> bytes:
    return answer188(
        HEAT,
        kind,
        quantity188("000100.00", 0x05),
        energy,
        quantity188("000012.50", 0x17),
        quantity188(flow, 0x35),
        quantity188("000345.67", 0x2C),
        bcd("0055.25"),
        bcd("0038.50"),
        bcd("004321"),
        CLOCK,
        b"\x04\x00",
    )


COLD = volumes(quantity188("000123.45", 0x2C), quantity188("000100.00", 0x2C))


def read(payload: bytes, parse=parse):
    return parse(payload, Context())["meters"]


def refused(payload: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as error:
        parse(payload, Context())
    return error.value


# -- readings ------------------------------------------------------------------------------------


@pytest.mark.corpora
@pytest.mark.skipif(not CASES, reason="corpora not here")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_published_frame_says_what_was_published(case):
    payload = bytes.fromhex(case["payload_hex"])
    expected = case["expected"]
    if expected is None:
        assert refused(payload).reason == "bad_checksum"
        return
    (meter,) = read(payload)
    assert meter == {
        "address": expected["address"],
        "type": "10",
        "di": expected["di"],
        "volume": expected["volume_m3"],
        "volume_settlement": expected["settlement_volume_m3"],
        "time": expected["measured_at_local"],
        "status": int.from_bytes(bytes.fromhex(expected["status"]), "little"),
        "valve": "closed",
        "battery_low": False,
    }


@pytest.mark.parametrize("kind", [0x10, 0x11, 0x12, 0x13, 0x30])
@pytest.mark.parametrize("di", [(0x1F, 0x90), (0x90, 0x1F)])
def test_water_and_gas_in_both_orders_of_the_identifier(kind, di):
    frame = answer188(
        GAS,
        kind,
        quantity188("000123.45", 0x2C),
        quantity188("000100.00", 0x2C),
        CLOCK,
        OPEN,
        di=di,
    )
    assert read(frame) == [
        {
            "address": GAS,
            "type": f"{kind:02X}",
            "di": "901F",
            "volume": 123.45,
            "volume_settlement": 100.0,
            "time": "2026-01-02T08:30:00",
            "status": 0,
            "valve": "open",
            "battery_low": False,
        }
    ]


def test_heat():
    (meter,) = read(heat(quantity188("001234.56", 0x05)))
    assert meter == {
        "address": HEAT,
        "type": "20",
        "di": "901F",
        "energy": 1234.56,
        "energy_settlement": 100.0,
        "power": 12.5,
        "flow_rate": 1.2345,
        "volume": 345.67,
        "flow_temperature": 55.25,
        "return_temperature": 38.5,
        "operating_hours": 4321,
        "time": "2026-01-02T08:30:00",
        "status": 4,
        "valve": "open",
        "battery_low": True,
    }


def test_a_makers_flow_with_two_decimals_is_told_by_the_profile():
    parse = compile_cjt188(Cjt188(format="cjt188", flow_decimals=2))
    (meter,) = read(heat(quantity188("001234.56", 0x05), flow="000012.34"), parse)
    assert meter["flow_rate"] == 12.34


@pytest.mark.parametrize(
    ("unit", "kwh"),
    [
        (0x02, 0.036),
        (0x05, 36.0),
        (0x08, 36_000.0),
        (0x0A, 3_600_000.0),
        (0x01, 0.00001),
        (0x0B, 0.01),
        (0x0E, 10.0),
        (0x11, 10_000.0),
        (0x13, 1_000_000.0),
    ],
)
def test_units_of_energy_become_kwh(unit, kwh):
    (meter,) = read(heat(quantity188("000036.00", unit)))
    assert meter["energy"] == kwh


@pytest.mark.parametrize(("unit", "m3"), [(0x29, 0.12345), (0x2C, 123.45)])
def test_units_of_volume_become_cubic_metres(unit, m3):
    (meter,) = read(volumes(quantity188("000123.45", unit), quantity188("000100.00", 0x2C)))
    assert meter["volume"] == m3


def test_the_history_has_a_settlement_value():
    for di in ((0x20, 0xD1), (0xD1, 0x20)):
        assert read(answer188(WATER, 0x10, quantity188("000100.00", 0x2C), di=di)) == [
            {"address": WATER, "type": "10", "di": "D120", "volume_settlement": 100.0}
        ]
    (meter,) = read(answer188(HEAT, 0x20, quantity188("000100.00", 0x05), di=(0x2B, 0xD1)))
    assert (meter["di"], meter["energy_settlement"]) == ("D12B", 100.0)


@pytest.mark.parametrize(
    ("state", "valve", "battery_low"),
    [
        (0x00, "open", False),
        (0x01, "closed", False),
        (0x02, None, False),
        (0x03, "fault", False),
        (0x04, "open", True),
        (0xFD, "closed", True),
    ],
)
def test_valve_and_battery(state, valve, battery_low):
    m3 = quantity188("000100.00", 0x2C)
    (meter,) = read(volumes(m3, m3, state=bytes([state, 0xA0])))
    assert (meter.get("valve"), meter["battery_low"]) == (valve, battery_low)
    assert meter["status"] == 0xA000 + state


def test_what_is_no_number_and_no_possible_time_is_absent():
    for clock in (b"\xff" * 7, bytes(7), bcd("20260229000000"), bcd("20260101240000")):
        (meter,) = read(volumes(b"\xff" * 5, b"\x0a\x00\x00\x00\x2c", clock))
        assert set(meter) == {"address", "type", "di", "status", "valve", "battery_low"}
    m3 = quantity188("000100.00", 0x2C)
    (meter,) = read(volumes(m3, m3, bcd("20280229000000")))
    assert meter["time"] == "2028-02-29T00:00:00"


# -- other frames --------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5), min_size=3, max_size=3))
def test_wake_up_bytes_may_stand_anywhere_between_frames(counts):
    a, b, c = (b"\xfe" * count for count in counts)
    assert read(a + COLD + b + COLD + c) == read(COLD) * 2


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\0", b"\0\0\r\n", b"\xfe\r\n"])
def test_a_line_end_or_zero_bytes_behind_a_frame_are_no_fault(end):
    assert read(COLD + end) == read(COLD)
    assert read(COLD + end + COLD + end) == read(COLD) * 2
    assert refused(end + COLD).reason == "unparseable"
    assert refused(COLD[:-1] + end).reason == "unparseable"
    assert refused(COLD + end + b"\x01").reason == "unparseable"


def test_a_short_answer_without_units_is_refused():
    # Four digits pairs and the state: whether they are m3, and of how many decimals, nobody says.
    error = refused(answer188(WATER, 0x10, bcd("00123456"), OPEN))
    assert error.reason == "unparseable"
    assert "19 bytes after SER, got 6" in error.detail


def test_requests_and_confirmations_add_nothing():
    request = frame188(WATER, 0x10, 0x01, b"\x1f\x90\x00")
    assert read(request) == []
    assert read(request + COLD + frame188(WATER, 0x10, 0x84, b"\x17\xa0\x00")) == read(COLD)


def test_an_error_answer_has_the_state_words():
    assert read(frame188(WATER, 0x10, 0xC1, b"\x00\x05\x00")) == [
        {
            "address": WATER,
            "type": "10",
            "error": "0500",
            "status": 5,
            "valve": "closed",
            "battery_low": True,
        }
    ]
    (meter,) = read(frame188(WATER, 0x10, 0xC4, b""))
    assert meter == {"address": WATER, "type": "10", "error": ""}


def test_a_meter_may_say_its_address_and_what_is_no_reading():
    assert read(frame188(WATER, 0x10, 0x83, b"\x0a\x81\x00")) == [{"address": WATER, "type": "10"}]
    (meter,) = read(answer188(WATER, 0x10, b"\x01", di=(0x03, 0x81)))
    assert meter == {"address": WATER, "type": "10", "di": "8103"}


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", range(len(COLD)))
def test_a_frame_cut_anywhere_is_refused(end):
    assert refused(COLD[:end]).reason == "unparseable"


@pytest.mark.parametrize("place", range(len(COLD)))
def test_one_changed_byte_is_found(place):
    changed = bytearray(COLD)
    changed[place] ^= 0x01
    assert refused(bytes(changed)).reason in {"bad_checksum", "unparseable"}


M3 = quantity188("000100.00", 0x2C)


@pytest.mark.parametrize(
    ("payload", "reason", "said"),
    [
        (b"", "unparseable", "empty"),
        (WAKE_UP, "unparseable", "nothing but wake-up"),
        (COLD + b"\x16" + COLD, "unparseable", "byte 35: 16H where a frame"),
        (COLD[:-2] + b"\xff\x16", "bad_checksum", "it says FFH"),
        (volumes(quantity188("000100.00", 0x2D), M3), "unknown_word", "volume has unit 2DH"),
        (volumes(quantity188("000100.00", 0x05), M3), "unknown_word", "a unit of energy"),
        (answer188(WATER, 0x10, M3), "unparseable", "19 bytes after SER, got 5"),
        (answer188(WATER, 0x40, M3), "unparseable", "meter type 40H"),
        (
            answer188(WATER, 0x10, quantity188("000100.00", 0x17), di=(0x20, 0xD1)),
            "unknown_word",
            "the settlement value has unit 17H",
        ),
        (frame188(WATER, 0x10, 0x81, b"\x1f\x90"), "unparseable", "2 bytes of data"),
        (b"\xfe" * (MAX_BYTES + 1), "too_large", "at most"),
        (frame188(WATER, 0x10, 0x84, b"") * (MAX_FRAMES + 1), "too_large", "frames"),
    ],
)
def test_a_refusal_says_where_and_why(payload, reason, said):
    error = refused(payload)
    assert error.reason == reason
    assert said in error.detail


# -- round trips and fuzz ------------------------------------------------------------------------


@given(st.integers(0, 99_999_999))
def test_volumes_make_the_round_trip(hundredths):
    shown = f"{hundredths // 100:06d}.{hundredths % 100:02d}"
    (meter,) = read(volumes(quantity188(shown, 0x2C), M3))
    assert meter["volume"] == float(shown)


def outcome(payload: bytes) -> None:
    try:
        document = parse(payload, Context())
    except DecodeError as error:
        assert error.reason in {"unparseable", "bad_checksum", "too_large", "unknown_word"}  # noqa: PT017 - either
    else:
        json.dumps(document, allow_nan=False)


@given(
    st.integers(0, 255),
    st.sampled_from([0x81, 0xC1, 0x83, 0x84, 0x01]),
    st.one_of(
        st.binary(max_size=60),
        st.binary(min_size=20, max_size=20).map(lambda data: b"\x1f\x90" + data),
        st.binary(min_size=44, max_size=44).map(lambda data: b"\x90\x1f" + data),
    ),
    st.integers(0, 100),
    st.integers(0, 255),
)
def test_frames_with_any_content_give_a_document_or_a_refusal(kind, control, data, place, byte):
    frame = frame188(WATER, kind, control, data)
    outcome(frame)
    changed = bytearray(COLD + frame)
    changed[place % len(changed)] = byte
    outcome(bytes(changed))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_document_or_a_refusal(payload):
    outcome(payload)

"""Encoders by themselves: frames are well formed, and what does not fit is left out."""

from __future__ import annotations

import base64
import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.catalogue import KINDS
from simulators.clock import DEFAULT_START, HOUR
from simulators.fleet import Choice, Fleet, Group, Order
from simulators.instrument import Setting
from simulators.protocols import dsmr, mbus
from simulators.protocols.catalogue import NEEDS, PROTOCOLS, shows
from simulators.protocols.fields import bcd, in_china, low_first

METER = {
    "type": "periodic", "seq": 1, "ts": DEFAULT_START + 90_061_234,
    "energy": {"import": 1234.56, "T1": 1000.0, "T2": 234.56, "export": 0.07},
    "power": {"active": -0.5, "factor": 0.95}, "voltage": {"L1": 229.8}, "amperage": {"L1": 5.61},
    "frequency": 50.01,
}  # fmt: skip
WATER = {"type": "periodic", "seq": 1, "ts": DEFAULT_START, "volume": 12.345, "valve": "closed"}
HEAT = {
    "type": "periodic", "seq": 1, "ts": DEFAULT_START, "energy": {"heating": 12.34},
    "volume": 1.005, "flow_temperature": 61.2, "return_temperature": 40.1,
}  # fmt: skip
EV = {
    "type": "session", "seq": 1, "ts": DEFAULT_START, "connector": "1", "energy": 10.01,
    "energy_start": 100.0, "energy_end": 110.01, "started_at": DEFAULT_START - HOUR,
    "ended_at": DEFAULT_START, "amount": 15.0,
}  # fmt: skip
BODIES = {
    "electricity_meter": METER, "water_meter": WATER, "gas_meter": WATER, "heat_meter": HEAT,
    "ev_charger": EV,
}  # fmt: skip
SPOKEN = [
    (name, kind)
    for name, protocol in PROTOCOLS.items()
    for kind in protocol.profiles
    if protocol.carries is not None
]


def encoder(name, kind, index=0):
    protocol, region = PROTOCOLS[name], "110105"
    device_id = protocol.device_id(kind, region, index) or f"xx-{region}-{index + 1:05d}"
    return protocol.encoder(kind, region, Setting(1, device_id, index, DEFAULT_START, HOUR))


def encoded(name, kind, *bodies):
    encode = encoder(name, kind)
    return [packet for body in bodies for packet in encode(body)]


def dlt645_items(payload):
    """Data by DI, read from the frames by the standard's layout."""
    items, data = {}, payload.lstrip(b"\xfe")
    while data:
        length = data[9]
        frame = data[: 12 + length]
        assert (frame[0], frame[7], frame[8], frame[-1]) == (0x68, 0x68, 0x91, 0x16)
        assert frame[-2] == sum(frame[:-2]) % 256
        plain = bytes((byte - 0x33) % 256 for byte in frame[10:-2])
        items[plain[3::-1].hex()] = plain[4:]
        data = data[12 + length :]
    return items


def test_dlt645_frames_hold_bcd_low_byte_first_with_33_added():
    [packet] = encoded("dlt645", "electricity_meter", METER)
    items = dlt645_items(packet.payload)
    # 2026-01-06 01:01:01 in China, a Tuesday
    assert items["04000101"] == bytes.fromhex("02060126")
    assert items["04000102"] == bytes.fromhex("010101")
    assert items["0001ff00"].hex() == "563412000000100056340200ffffffffffffffff"
    assert items["0201ff00"].hex() == "9822ffffffff"
    # half a kilowatt the other way: the top bit is the sign
    assert items["02030000"].hex() == "005080"


def test_dlt645_says_not_available_of_a_number_with_too_many_digits():
    broken = METER | {"voltage": {"L1": 6553.5}, "frequency": 123.4, "amperage": {"L1": 900.0}}
    items = dlt645_items(encoded("dlt645", "electricity_meter", broken)[0].payload)
    assert items["0201ff00"][:2] == b"\xff\xff"
    assert items["02800002"] == b"\xff\xff"
    assert items["0202ff00"][:3] == b"\xff\xff\xff"


def test_mbus_frames_have_their_length_twice_and_a_checksum():
    [packet] = encoded("mbus", "electricity_meter", METER)
    frame = packet.payload
    assert frame[0] == frame[3] == 0x68
    assert frame[1] == frame[2] == len(frame) - 6
    assert frame[-2] == sum(frame[4:-2]) % 256
    assert frame[-1] == 0x16


def test_mbus_sends_the_invalid_value_of_a_size_for_what_does_not_fit():
    broken = WATER | {"temperature": -3276.8}
    [packet] = encoded("mbus", "water_meter", broken)
    assert bytes.fromhex("025a0080") in packet.payload
    assert low_first(-32768, 2) is None
    assert low_first(-32767, 2) == b"\x01\x80"


@given(st.integers(DEFAULT_START, DEFAULT_START + 40 * 365 * 24 * HOUR))
def test_mbus_times_of_type_i_are_the_moment(at):
    second, minute, hour, day, month, _ = mbus._time(at)[2:]
    year = 2000 + (day >> 5 | month >> 4 << 3)
    told = datetime(year, month & 15, day & 31, hour & 31, minute, second)  # noqa: DTZ001
    assert told == in_china(at)
    assert hour >> 5 == told.isoweekday()


def test_the_crc_of_a_p1_telegram_is_crc_16_arc():
    # the check value that catalogues of CRCs give
    assert dsmr.crc(b"123456789") == 0xBB3D


def test_cjt188_cuts_litres_as_a_display_of_two_decimals_does():
    [packet] = encoded("cjt188", "water_meter", WATER | {"volume": 12.349})
    assert b"\x34\x12\x00\x00\x2c" in packet.payload


def test_cjt188_energy_begins_again_after_six_digits():
    [packet] = encoded("cjt188", "heat_meter", HEAT | {"energy": {"heating": 12_000_000.25}})
    assert packet.payload.index(b"\x25\x00\x00\x00\x05") > 0


def test_a_lorawan_meter_logs_first_and_begins_its_log_anew_after_a_gap():
    hours = [
        WATER | {"ts": DEFAULT_START + hour * HOUR, "volume": volume}
        for hour, volume in ((0, 1.0), (1, 1.01), (2, 1.03), (5, 1.5), (6, 1.4), (7, 1.6))
    ]
    uplinks = [json.loads(each.payload) for each in encoded("ttn", "water_meter", *hours)]
    payloads = [base64.b64decode(each["uplink_message"]["frm_payload"]) for each in uplinks]
    # the first reading is in the log only; after a gap and after a fall it has one entry again
    assert [(len(each) - 17) // 2 for each in payloads] == [0, 1, 2, 0, 0]
    assert [each["uplink_message"]["f_cnt"] for each in uplinks] == [1, 2, 3, 4, 5]


def test_an_ocmf_record_is_signed_over_its_bytes_by_the_key_that_the_registry_has():
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - beside its one use
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    [packet] = encoded("ocmf", "ev_charger", EV)
    head, record, signature = packet.payload.split(b"|")
    setting = Setting(1, "xx-110105-00001", 0, DEFAULT_START, HOUR)
    known = PROTOCOLS["ocmf"].parameters("ev_charger", setting)["ocmf_public_key"]
    key = load_der_public_key(bytes.fromhex(known))
    assert head == b"OCMF"
    signed = bytes.fromhex(json.loads(signature)["SD"])
    key.verify(signed, record, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(("name", "kind"), SPOKEN)
def test_an_alarm_is_no_reading_of_these_protocols(name, kind):
    alarm = {"type": "alarm", "seq": 2, "ts": DEFAULT_START, "alarms": ["cover_open"]}
    assert encoded(name, kind, alarm) == []


_NUMBER = st.one_of(st.floats(-1e6, 1e9), st.sampled_from([6553.5, -3276.8, 0.0, 1e12]))


def numbers(body):
    """The same body with any numbers in it."""
    return st.fixed_dictionaries(
        {
            name: numbers(value) if isinstance(value, dict)
            else _NUMBER if isinstance(value, float)
            else st.just(value)
            for name, value in body.items()
        }
    )  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), SPOKEN)
@given(st.data())
def test_any_number_is_encoded_or_left_out(name, kind, data):
    bodies = data.draw(st.lists(numbers(BODIES[kind]), min_size=1, max_size=3))
    for packet in encoded(name, kind, *bodies):
        assert packet.topic
        assert packet.payload


@pytest.mark.parametrize(("name", "kind"), SPOKEN)
def test_every_cheat_and_trouble_that_a_protocol_shows_can_be_encoded(name, kind):
    made = KINDS[kind].cheats
    choices = tuple(
        Choice(kind, cheat, 0.0, count=1)
        for cheat, each in made.items()
        if each.code is None or shows(PROTOCOLS[name], each.code)
    )
    group = Group(kind, len(choices), "110105", choices=choices, protocols=((name, 1.0),))
    until = DEFAULT_START + 30 * HOUR
    order = Order(
        kinds=(kind,),
        devices=len(choices),
        seed=4,
        start=DEFAULT_START,
        until=until,
        cheats_from=DEFAULT_START + HOUR,
        groups=(group,),
    )
    events = []
    fleet = Fleet(order, events.append)
    count = sum(1 for _ in fleet.messages())
    fleet.finish(until)
    assert count
    assert {event.code for event in events if event.required} <= set(NEEDS)


@given(st.integers(-(10**9), 10**9), st.integers(1, 6))
def test_bcd_is_the_number_or_nothing(number, size):
    found = bcd(number, size)
    if 0 <= number < 100**size:
        assert int(found[::-1].hex()) == number
    else:
        assert found is None

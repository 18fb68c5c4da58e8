"""Each part of the binary notation through a whole profile: from bytes to canonical readings."""

import base64
import json
import tempfile
from pathlib import Path

import pytest

from gateway.deciding import Decided, Decider
from gateway.decode.checksums import CHECKSUMS
from gateway.profiles import load_profiles
from gateway.records import Batch
from tests.compiled import HEAD, PROFILES, RECEIVED

SECONDS = RECEIVED // 10**9


class Profile:
    """A profile as in service, on the topic ``t/m1``."""

    def __init__(self, kind, text):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "under-test.yaml"
            file.write_text(HEAD.format(kind=kind) + text, encoding="utf-8")
            self.profiles = load_profiles([file], [PROFILES])

    def decide(self, payload):
        raw = bytes.fromhex(payload) if isinstance(payload, str) else payload
        decided = Decided()
        Decider(self.profiles, {}, {}).decide(Batch(["t/m1"], [raw], [RECEIVED]), decided)
        return decided

    def read(self, payload):
        decided = self.decide(payload)
        assert not decided.quarantined, decided.quarantined[0].detail
        return decided.readings

    def one(self, payload):
        (reading,) = self.read(payload)
        return reading

    def refusal(self, payload):
        (kept,) = self.decide(payload).quarantined
        return kept.reason, kept.detail


def quantities(readings):
    return {
        (reading.channel, name): value
        for reading in readings
        for name, value in reading.quantities.items()
    }


def test_a_sequence_of_numbers_in_both_orders_of_bytes():
    profile = Profile("electricity-meter", """
decode:
  format: binary
  endian: le
  seq:
    - {contents: [0x68]}
    - {id: time, type: u4}
    - {id: energy, type: u4be}
    - {id: export, type: u6}
    - {id: power, type: s3}
    - {id: voltage, type: u2, endian: be, value: _ * 0.1}
    - {id: current, type: f4}
    - {id: factor, type: s2be, value: _ / 1000}
read:
  measured_at: {from: time, time: epoch_s}
  energy_import: {from: energy, unit: Wh}
  energy_export: {from: export, unit: Wh}
  power_active: {from: power, unit: W}
  voltage: {from: voltage, unit: V}
  amperage: {from: current, unit: A}
  power_factor: {from: factor}
""")  # fmt: skip
    payload = "68 00b95569 0001e240 40e201000000 18fcff 08fc 0000c040 fc6a"
    reading = profile.one(payload)
    assert reading.measured_at == 1_767_225_600 * 10**9
    assert reading.quantities == {
        "energy_import": 123.456, "energy_export": 123.456, "power_active": -1.0,
        "voltage": 230.0, "amperage": 6.0, "power_factor": -0.918,
    }  # fmt: skip
    assert all(type(value) is float for value in reading.values)
    assert profile.refusal("69" + payload[2:])[0] == "unparseable"
    assert "expected 68, got 69" in profile.refusal("69" + payload[2:])[1]


def test_bcd_digits_with_a_sign_and_what_is_no_digit_is_no_value():
    profile = Profile("heat-meter", """
decode:
  format: binary
  endian: le
  seq:
    - {id: energy, type: bcd, digits: 8}
    - {id: flow, type: bcdbe, digits: 6, sign: bit}
    - {id: supply, type: bcd, digits: 4, value: _ * 0.01}
    - {id: back, type: bcd, digits: 4, sign: digit, value: _ * 0.01}
read:
  energy: {from: energy, unit: kWh}
  flow_rate: {from: flow, unit: L/h, optional: true}
  flow_temperature: {from: supply, unit: Cel, optional: true}
  return_temperature: {from: back, unit: Cel, optional: true}
""")  # fmt: skip
    assert profile.one("78563412 001500 5075 5030").quantities == {
        "energy": 12345678.0, "flow_rate": 1.5, "flow_temperature": 75.5,
        "return_temperature": 30.5,
    }  # fmt: skip
    frost = profile.one("00000000 800100 ffff 75f0").quantities
    assert frost == {
        "energy": 0.0, "flow_rate": -0.1, "return_temperature": -0.75,
    }  # fmt: skip
    assert profile.refusal("ffffffff 000000 0000 0000")[0] == "missing_field"


def test_bit_fields_become_status_words_and_a_number_that_spans_bytes():
    profile = Profile("water-meter", """
decode:
  format: binary
  seq:
    - {id: low, type: b1}
    - {id: leak, type: b1}
    - {id: back, type: b1}
    - {id: valve, type: b2, enum: valve}
    - {id: volume, type: b27}
    - {id: battery, type: b5, value: 1.6 + _ * 0.1}
    - {id: alarms, type: b3le}
  enums: {valve: {0: open, 1: closed, _: fault}}
read:
  status:
    - flags: {low: battery_low, leak: leak, back: reverse_flow}
    - {from: alarms, bits: {0: frost, 2: tilt}}
  volume: {from: volume, unit: L}
  valve: {from: valve}
  battery_voltage: {from: battery, unit: V}
""")  # fmt: skip
    bits = "1" + "0" + "1" + "01" + f"{123456:027b}" + f"{20:05b}" + "000"
    reading = profile.one(int(bits, 2).to_bytes(5, "big") + b"\x05")
    assert reading.quantities == {"volume": 123.456, "valve": "closed", "battery_voltage": 3.6}
    assert set(reading.status) == {"battery_low", "reverse_flow", "frost", "tilt"}


TLV = """
decode:
  format: binary
  endian: le
  seq:
    - repeat: eos
      type:
        - {id: _channel, type: u1}
        - {id: _kind, type: u1}
        - type:
            switch-on: _channel << 8 | _kind
            cases:
              0x0175: [{id: battery, type: u1}]
              0x0367: [{id: temperature, type: s2, value: _ / 10}]
              0x0400..0x04ff: [{id: volume, type: u4}]
              0x0501: [{id: valve, type: u1, enum: valve}]
              0x2001: [{id: history, collect: true, type: record}]
  types:
    record:
      - {id: time, type: u4}
      - {id: volume, type: u4}
  enums: {valve: {0: open, 1: closed}}
read:
  - when: {volume: {is: present}}
    volume: {from: volume, unit: L}
    temperature: {from: temperature, unit: Cel, optional: true}
    valve: {from: valve, optional: true}
  - each: history
    measured_at: {from: time, time: epoch_s}
    volume: {from: volume, unit: L}
ignore:
  - when: {battery: {is: present}}
"""


def test_channels_in_any_order_and_a_history_that_becomes_several_readings():
    profile = Profile("water-meter", TLV)
    both = "0367 9600 0404 40e20100 050101"
    assert profile.one(both).quantities == {
        "volume": 123.456, "temperature": 15.0, "valve": "closed",
    }  # fmt: skip
    assert profile.one("0404 40e20100 0367 ecff").quantities == {
        "volume": 123.456, "temperature": -2.0,
    }  # fmt: skip
    first, second, third = profile.read(
        "0404 40e20100 2001 80a55569 e8030000 017564 2001 90b35569 d0070000"
    )
    assert (first.quantities["volume"], first.quality) == (123.456, "questionable")
    assert [(r.measured_at // 10**9, r.quantities) for r in (second, third)] == [
        (0x6955A580, {"volume": 1.0}), (0x6955B390, {"volume": 2.0}),
    ]  # fmt: skip
    assert (second.quality, third.quality) == ("raw", "raw")
    assert profile.decide("017564").counters.ignored == 1
    assert "has no case for 2457 (0x999)" in profile.refusal("0404 40e20100 0999 00")[1]
    assert profile.refusal("0404 40e201")[0] == "unparseable"


def test_what_a_message_is_chooses_its_fields():
    profile = Profile("gas-meter", """
decode:
  format: binary
  seq:
    - {id: kind, type: u1, enum: kind}
    - id: body
      type:
        switch-on: kind
        cases:
          1: [{id: volume, type: u4}, {id: flags, type: u2}]
          2: alarm
          3..9: [{type: hex, size: eos}]
  types:
    alarm: [{id: code, type: u1, enum: alarm}]
  enums:
    kind: {1: data, 2: alarm, _: other}
    alarm: {1: seal, 2: magnet}
read:
  - when: {kind: data}
    volume: {from: body.volume, unit: L}
    status: {from: body.flags, bits: {15: battery_low}}
  - when: {kind: alarm}
    event: alarm
    status: {from: body.code, words: {seal: seal_broken, magnet: magnetic_field}, optional: false}
ignore:
  - when: {kind: other}
""")  # fmt: skip
    data = profile.one("01 0001e240 8000")
    assert (data.quantities, data.status) == ({"volume": 123.456}, ("battery_low",))
    alarm = profile.one("02 02")
    assert (alarm.event, alarm.status) == ("alarm", ("magnetic_field",))
    assert profile.decide("05 0102").counters.ignored == 1
    assert profile.refusal("02 07")[0] == "unknown_word"
    assert "has no case for 10" in profile.refusal("0a 00")[1]


def test_times_that_count_back_from_the_receipt_and_differences_of_a_register():
    profile = Profile("water-meter", """
decode:
  format: binary
  seq:
    - {id: _age, type: u2}
    - {id: total, type: u4}
    - {id: _step, type: u1}
    - {id: _count, type: u1}
    - id: log
      repeat: expr
      repeat-expr: _count
      type:
        - {id: _used, type: u2}
        - {id: volume, value: "(_index == 0 ? total : _prev.volume) - _used"}
        - {id: time, value: _received - _age - 60 * _step * (_index + 1)}
  instances:
    time: _received - _age
read:
  - measured_at: {from: time, time: epoch_s}
    volume: {from: total, unit: L}
  - each: log
    measured_at: {from: time, time: epoch_s}
    quality: derived
    volume: {from: volume, unit: L}
""")  # fmt: skip
    readings = profile.read("000a 0001e240 0f 03 000a 0014 001e")
    assert [(r.measured_at // 10**9 - SECONDS, r.quantities["volume"], r.quality)
            for r in readings] == [
        (-10, 123.456, "raw"), (-910, 123.446, "derived"), (-1810, 123.426, "derived"),
        (-2710, 123.396, "derived"),
    ]  # fmt: skip
    assert profile.refusal("000a 0001e240 0f 03 000a 0014")[0] == "unparseable"
    assert len(profile.read("000a 0001e240 0f 00")) == 1


def test_a_date_of_digits_is_local_time_and_a_checksum_guards_the_message():
    profile = Profile("water-meter", """
zone: Asia/Shanghai
decode:
  format: binary
  seq:
    - {id: address, type: hexle, size: 4}
    - {id: _y, type: bcd, digits: 2}
    - {id: _m, type: bcd, digits: 2}
    - {id: _d, type: bcd, digits: 2}
    - {id: _h, type: bcd, digits: 2}
    - {id: time, value: "local_time(2000 + _y, _m, _d, _h)"}
    - {id: volume, type: bcd, digits: 8, value: _ / 100}
    - {type: checksum, algorithm: crc16-modbus, endian: le}
read:
  device_id: {from: address}
  measured_at: {from: time, time: iso}
  volume: {from: volume, unit: m3}
""")  # fmt: skip
    body = bytes.fromhex("44332211 26010108 00012345")
    payload = body + CHECKSUMS["crc16-modbus"](body).to_bytes(2, "little")
    reading = profile.one(payload)
    assert (reading.device_id, reading.quantities) == ("11223344", {"volume": 123.45})
    assert reading.measured_at == RECEIVED
    assert profile.refusal(payload[:-1] + bytes([payload[-1] ^ 1]))[0] == "bad_checksum"
    body = bytes.fromhex("44332211 26131108 00012345")
    payload = body + CHECKSUMS["crc16-modbus"](body).to_bytes(2, "little")
    assert profile.refusal(payload)[0] == "missing_field"  # there is no month 13


NESTED = """
decode:
  format: binary
  envelope: {payload: data.hex, encoding: hex}
  seq:
    - {id: volume, type: u4}
    - {id: temperature, type: s1, absent: -128}
read:
  device_id: {from: envelope.imei}
  measured_at: {from: envelope.data.ts, time: epoch_s}
  volume: {from: volume, unit: L}
  temperature: {from: temperature, unit: Cel, optional: true}
"""


def test_bytes_in_hexadecimal_in_an_envelope_of_json():
    profile = Profile("water-meter", NESTED)

    def message(data, **more):
        return json.dumps({"imei": "861", "data": {"ts": SECONDS, "hex": data}, **more}).encode()

    reading = profile.one(message("0001E240 80".replace(" ", "")))
    assert reading.device_id == "861"
    assert reading.measured_at == RECEIVED
    assert reading.quantities == {"volume": 123.456}
    assert profile.one(message("0001e240fe")).quantities["temperature"] == -2.0
    assert profile.refusal(message("0001e2"))[0] == "unparseable"
    # The envelope's own places are as strict as any.
    assert profile.refusal(message("0001e24000", imei=None))[0] in {"missing_field", "wrong_type"}
    assert profile.refusal(message("0001e24000", imei=[1]))[0] == "wrong_type"


def test_an_uplink_of_lorawan_by_its_port():
    profile = Profile("water-meter", """
decode:
  format: binary
  envelope: lorawan
  seq:
    - type:
        switch-on: _port
        cases:
          1: [{id: volume, type: u4}]
          2: [{id: state, type: u1}]
read:
  - when: {volume: {is: present}}
    device_id: {from: envelope.device}
    volume: {from: volume, unit: L}
ignore: {when: {state: {is: present}}}
""")  # fmt: skip

    def uplink(port, data):
        return json.dumps({
            "end_device_ids": {"device_id": "w1", "dev_eui": "70B3D57ED0000001"},
            "received_at": "2026-01-01T00:00:00Z",
            "uplink_message": {"f_port": port, "f_cnt": 7,
                               "frm_payload": base64.b64encode(bytes.fromhex(data)).decode()},
        }).encode()  # fmt: skip

    assert profile.one(uplink(1, "0001e240")).quantities == {"volume": 123.456}
    assert profile.decide(uplink(2, "01")).counters.ignored == 1
    assert "has no case for 3" in profile.refusal(uplink(3, "01"))[1]


@pytest.mark.parametrize("value", ["7fc00000", "7f800000", "ff800000"])
def test_a_float_that_is_no_number_is_no_value(value):
    profile = Profile("gas-meter", """
decode: {format: binary, seq: [{id: v, type: u4}, {id: p, type: f4}]}
read:
  volume: {from: v, unit: L}
  pressure: {from: p, unit: kPa, optional: true}
""")  # fmt: skip
    assert profile.one("00000001" + value).quantities == {"volume": 0.001}


def test_a_register_beyond_any_instrument_is_refused():
    profile = Profile("gas-meter", """
decode: {format: binary, seq: [{id: v, type: u8}]}
read: {volume: {from: v, unit: L}}
""")  # fmt: skip
    assert profile.one("00038d7ea4c67fff").quantities == {"volume": 999999999999.999}
    reason, detail = profile.refusal("00038d7ea4c68000")
    assert (reason, "$.v" in detail) == ("absurd_number", True)

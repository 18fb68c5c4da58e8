"""Chargers, taximeters and dispensers: what carries no reading is no fault, nor a reading."""

import functools
import json

import pytest

from gateway.deciding import Decided, Decider
from gateway.decode.checksums import CHECKSUMS
from gateway.profiles import ProfileSet, load_profiles
from gateway.records import Batch
from gateway.times import nanoseconds
from tests.compiled import PROFILES

RECEIVED = nanoseconds("2026-03-02T08:31:00Z")
PILE = bytes.fromhex("32010600019236")
UNIT = bytes.fromhex("103456000042")


@functools.cache
def profiles() -> ProfileSet:
    kinds = ["ev_charger", "taximeter", "fuel_dispenser"]
    return load_profiles([PROFILES / kind for kind in kinds], [PROFILES])


def decided(topic: str, payload: bytes | object) -> Decided:
    found = Decided()
    sent = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    Decider(profiles(), {}, {}, registry_known=False).decide(
        Batch([topic], [sent], [RECEIVED], 0), found
    )
    return found


def ykc(kind: int, body: bytes) -> bytes:
    """A frame of a charging pile: length, number and type before the body, a checksum after it."""
    told = bytes([7, 0, 0, kind]) + body
    crc = CHECKSUMS["crc16-modbus"](told)
    return bytes([0x68, len(told)]) + told + crc.to_bytes(2, "little")


def ykc_live(state: int, faults: int) -> bytes:
    told = bytes([1, state, 0, 0]) + bytes(31)
    return ykc(0x13, bytes(16) + PILE + told + faults.to_bytes(2, "little"))


def jtt905(kind: int, body: bytes = b"") -> bytes:
    told = kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + UNIT + bytes([0, 7]) + body
    return told + bytes([functools.reduce(lambda a, b: a ^ b, told)])


def tax_port(command: int, answer: int, data: bytes = b"") -> bytes:
    told = bytes([0xFF, command, answer]) + data
    check = functools.reduce(lambda a, b: a ^ b, told)
    return bytes([0xBB, len(told) + 1]) + told + bytes([check])


SILENT = {
    "a pile logs in": ("ykc/b/up", ykc(0x01, PILE + bytes(25))),
    "a pile beats": ("ykc/b/up", ykc(0x03, PILE + bytes([1, 0]))),
    "a pile waits": ("ykc/b/up", ykc_live(2, 0)),
    "a pile's emergency stop has no word": ("ykc/b/up", ykc_live(1, 1)),
    "a taxi's unit beats": ("jtt905/b/up", jtt905(0x0002)),
    "a driver signs on": ("jtt905/b/up", jtt905(0x0B03, bytes(72))),
    "a dispenser has sold nothing": ("taxport/D/1/answer", tax_port(0x89, 0)),
    "a dispenser tells its last sale": (
        "taxport/D/1/answer",
        tax_port(0x86, 1, b"0216300020500147600720"),
    ),
    "EVerest has no car": (
        "everest_api/e/var/session_info",
        {"charged_energy_wh": 0, "datetime": "2026-03-02T08:30:00Z", "state": "Unplugged"},
    ),
    "a record is credited": (
        "ocpi/p/cdr",
        {
            "id": "1-C", "credit": True, "currency": "EUR", "total_energy": 12.25,
            "start_date_time": "2026-03-02T07:00:00Z", "end_date_time": "2026-03-02T08:30:00Z",
            "cdr_location": {"evse_id": "DE*A*E1", "connector_id": "1"},
            "total_cost": {"excl_vat": -6.0},
        },
    ),
    "a charger beats": ("ocpp1.6/C/call", [2, "h", "Heartbeat", {}]),
    "a charger boots": (
        "ocpp1.6/C/call",
        [2, "b", "BootNotification", {"chargePointVendor": "A", "chargePointModel": "B"}],
    ),
    "a charger is answered": ("ocpp1.6/C/call", [3, "h", {"currentTime": "2026-03-02T08:30:00Z"}]),
    "a charger is told no": ("ocpp2.0.1/C/call", [4, "h", "InternalError", "", {}]),
    "a charger is available": (
        "ocpp2.0.1/C/call",
        [2, "s", "StatusNotification", {
            "timestamp": "2026-03-02T08:30:00Z", "connectorStatus": "Available",
            "evseId": 1, "connectorId": 1,
        }],
    ),
    "a charge goes on": (
        "ocpp2.0.1/C/call",
        [2, "u", "TransactionEvent", {
            "eventType": "Updated", "timestamp": "2026-03-02T08:30:00Z", "seqNo": 2,
            "triggerReason": "ChargingStateChanged", "transactionInfo": {"transactionId": "T"},
        }],
    ),
}  # fmt: skip


@pytest.mark.parametrize("said", SILENT)
def test_what_carries_no_reading_is_passed_over(said):
    found = decided(*SILENT[said])
    assert (found.readings, found.quarantined, found.counters.ignored) == ([], [], 1)


def test_a_pile_that_waits_with_its_door_open_is_an_alarm():
    found = decided("ykc/b/up", ykc_live(2, 1 << 12))
    assert [reading.event for reading in found.readings] == ["alarm"]

"""Published frames of Chinese meters, from the bytes to the readings of their profiles."""

import base64
import json
import re

import pytest

from gateway.deciding import Decided, Decider
from gateway.profiles import ProfileSet, load_profiles
from gateway.quantities import BY_NAME, export_key
from gateway.records import Batch, Reading
from gateway.times import nanoseconds
from tests.compiled import PROFILES
from tests.corpora import corpora

FOLDER = corpora()
LINES = (FOLDER / "frames-cn" / "cases.jsonl").read_text("utf-8").splitlines() if FOLDER else []
CASES = {case["id"]: case for case in map(json.loads, LINES)}
pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CASES, reason="corpora not here"),
]

ALL = load_profiles([PROFILES])
NAMES = [
    f"{platform}{frame}"
    for platform in ("", "ctwing-", "onenet-")
    for frame in ("dlt645-2007", "cjt188-water", "cjt188-gas", "cjt188-heat")
]
SET = ProfileSet(
    {name: ALL.profiles[name] for name in ALL.profiles if name.removesuffix("-meter") in NAMES},
    ALL.bases,
)
RECEIVED = nanoseconds("2026-06-01T00:00:00Z")
TOPICS = {
    "dlt645-2007": "dlt645-2007/gw-1/up",
    "cjt188-2004": "cjt188/gw-1/water/up",
}
"""Where a gateway sends the frames that it passes on."""

REASONS = {
    "645-bad-checksum": "bad_checksum",
    "645-cut": "unparseable",
    "188-published": "bad_checksum",
}
READ = [name for name in CASES if name not in REASONS]

NOT_READ = {"di", "settlement_volume_m3"}
"""What the origin tells and no reading has: the question, and the volume of the settlement day."""


def decided(topic: str, *payloads: bytes) -> Decided:
    decider = Decider(SET, {}, {}, registry_known=False)
    outcome, count = Decided(), len(payloads)
    decider.decide(Batch([topic] * count, list(payloads), [RECEIVED] * count, 0), outcome)
    return outcome


def frames(name: str) -> bytes:
    return bytes.fromhex(CASES[name]["payload_hex"])


def wanted(name: str) -> list[dict[str, object]]:
    """What the readings of a case must say, by the keys of the export."""
    said = CASES[name]["expected"]
    rows = []
    for row in said if isinstance(said, list) else [said]:
        told = {key: value for key, value in row.items() if key not in NOT_READ}
        if "address" in told:
            told["device_id"] = told.pop("address")
        if "measured_at_local" in told:
            told["measured_at"] = nanoseconds(f"{told.pop('measured_at_local')}+08:00")
        if "status" in told:  # the standard's byte: bits 0 and 1 the valve, bit 2 the battery
            bits = int(str(told.pop("status"))[:2], 16)
            told["status"] = ("battery_low",) if bits & 4 else ()
            told["valve"] = {0: "open", 1: "closed", 3: "fault"}[bits & 3]
        rows.append(told)
    return rows


def told(reading: Reading, keys: set[str]) -> dict[str, object]:
    row: dict[str, object] = {
        name: getattr(reading, name) for name in ("device_id", "channel", "measured_at", "status")
    }
    for name, value in reading.quantities.items():
        row[export_key(BY_NAME[reading.kind][name])] = value
    return {key: row.get(key) for key in keys}


def numbers(readings: list[Reading]) -> list[tuple[str | None, str, object]]:
    return sorted(
        (reading.channel, name, value)
        for reading in readings
        for name, value in reading.quantities.items()
        if not isinstance(value, str)
    )


def test_every_case_is_known():
    assert REASONS.keys() == {name for name, case in CASES.items() if case["expected"] is None}
    assert {case["model"] for case in CASES.values()} == TOPICS.keys()


@pytest.mark.parametrize("name", READ)
def test_a_published_frame_gives_the_reading_that_its_source_gives(name):
    outcome = decided(TOPICS[CASES[name]["model"]], frames(name))
    assert outcome.quarantined == []
    rows = wanted(name)
    assert len(outcome.readings) == len(rows)
    assert {reading.kind for reading in outcome.readings} == {CASES[name]["kind"]}
    for row in rows:
        assert any(told(reading, set(row)) == row for reading in outcome.readings), row
    assert len(numbers(outcome.readings)) == len(rows)


@pytest.mark.parametrize("name", REASONS)
def test_a_frame_that_must_not_be_read_is_quarantined_with_its_reason(name):
    outcome = decided(TOPICS[CASES[name]["model"]], frames(name))
    assert outcome.readings == []
    assert [refused.reason for refused in outcome.quarantined] == [REASONS[name]]


@pytest.mark.parametrize("name", READ)
def test_a_byte_that_is_changed_or_missing_makes_no_reading(name):
    whole = frames(name)
    begin = whole.index(0x68)
    damaged = [whole[:end] for end in range(begin + 1, len(whole))]
    for place in range(begin, len(whole)):
        for bits in (0x01, 0x80, 0xFF):
            changed = bytearray(whole)
            changed[place] ^= bits
            damaged.append(bytes(changed))
    topic = TOPICS[CASES[name]["model"]]
    outcome = decided(topic, *damaged)
    between = 3 if name == "645-two" else 0  # cut between the frames, the first is whole
    assert outcome.counters.quarantined == len(damaged) - between
    assert outcome.counters.stored + outcome.counters.duplicates == between
    assert {value for *_, value in numbers(outcome.readings)} <= {0.26}


ENVELOPES = {
    "ctwing": lambda data: {
        "upPacketSN": -1,
        "upDataSN": -1,
        "topic": "v1/up/ad",
        "timestamp": 1780272000000,
        "tenantId": "1",
        "serviceId": "",
        "protocol": "lwm2m",
        "productId": "1",
        "payload": {"APPdata": base64.b64encode(data).decode()},
        "messageType": "dataReport",
        "deviceType": "",
        "deviceId": "0001",
        "assocAssetId": "",
        "IMSI": "undefined",
        "IMEI": "860000000000001",
    },
    "onenet": lambda data: {
        "msg": {
            "at": 1780272000000,
            "imei": "860000000000001",
            "type": 1,
            "ds_id": "3200_0_5505",
            "value": data.hex(),
            "dev_id": 1,
        },
        "msg_signature": "x",
        "nonce": "y",
    },
}
"""How the platforms of China's operators wrap a frame in JSON."""


@pytest.mark.parametrize("platform", ENVELOPES)
@pytest.mark.parametrize("name", CASES)
def test_a_frame_in_a_platforms_json_says_the_same(name, platform):
    plain = decided(TOPICS[CASES[name]["model"]], frames(name))
    sort = "water" if CASES[name]["kind"] == "water_meter" else "electricity"
    wrapped = json.dumps(ENVELOPES[platform](frames(name))).encode()
    outcome = decided(f"{platform}/p-1/{sort}/up", wrapped)
    assert numbers(outcome.readings) == numbers(plain.readings)
    assert {r.device_id for r in outcome.readings} == {r.device_id for r in plain.readings}
    assert [r.reason for r in outcome.quarantined] == [r.reason for r in plain.quarantined]
    assert all(re.match(f"{platform}-", reading.profile) for reading in outcome.readings)

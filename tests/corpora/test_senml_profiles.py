"""The packs of RFC 8428 through their profiles: each record is the quantity of a reading."""

import json

import pytest

from gateway.deciding import Decided, Decider
from gateway.profiles import load_profiles
from gateway.records import Batch
from gateway.times import nanoseconds
from tests.compiled import PROFILES
from tests.corpora import corpora

FOLDER = corpora()
CASES = [
    json.loads(line)
    for line in (
        (FOLDER / "senml" / "cases.jsonl").read_text("utf-8").splitlines() if FOLDER else []
    )
]
pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CASES, reason="corpora not here"),
]

RECEIVED = nanoseconds("2010-06-08T18:05:00Z")
QUANTITIES = {"voltage": "voltage", "current": "amperage", "Cel": "temperature"}
"""What a record is: by its name behind the device's, else by its unit."""


@pytest.fixture(scope="module")
def profiles():
    files = [
        PROFILES / kind / f"senml-{kind.replace('_', '-')}.yaml"
        for kind in ("electricity_meter", "water_meter")
    ]
    return load_profiles(files, bases=[PROFILES])


def payload_of(case) -> bytes:
    if "payload_hex" in case:
        return bytes.fromhex(case["payload_hex"])
    return case["payload_text"].encode()


def told(record) -> tuple[str, str, int]:
    """Device, quantity and time of an expected record."""
    device, _, name = record["name"].rpartition(":")
    if name not in QUANTITIES:
        device, name = record["name"], record["unit"]
    time = RECEIVED if record["time"] is None else round(record["time"] * 1000) * 10**6
    return device, QUANTITIES[name], time


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_every_record_is_a_quantity_of_a_reading(case, profiles):
    decided = Decided()
    decider = Decider(profiles, {}, {}, registry_known=False)
    batch = Batch([f"senml/{case['kind']}/any"], [payload_of(case)], [RECEIVED], 0)
    decider.decide(batch, decided)
    assert decided.quarantined == []
    assert decided.flags == []
    got = {
        (reading.device_id, name, reading.measured_at): value
        for reading in decided.readings
        for name, value in reading.quantities.items()
        if value is not None
    }
    assert got == {told(record): record["value"] for record in case["expected"]}
    assert {reading.kind for reading in decided.readings} == {case["kind"]}
    timed = case["expected"][0]["time"] is not None
    assert {reading.quality for reading in decided.readings} == {"raw" if timed else "questionable"}

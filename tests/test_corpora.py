"""Payloads of real devices, as published, come out as their documentation says."""

import json

import pytest

from gateway.deciding import Decided, Decider
from gateway.profiles import load_profiles
from gateway.quantities import BY_NAME, export_key
from gateway.records import Batch, Reading
from gateway.times import nanoseconds
from tests.compiled import PROFILES
from tests.corpora import corpora

pytestmark = pytest.mark.corpora

PROFILE_SET = load_profiles([PROFILES])
FOLDER = corpora()
assert FOLDER is not None, "collected only where the corpora are: see conftest"
LINES = (FOLDER / "json-mqtt" / "cases.jsonl").read_text(encoding="utf-8").splitlines()
CASES = [json.loads(line) for line in LINES]
TIMES = {"measured_at", "received_at", "started_at", "ended_at"}
RECEIVED = nanoseconds("2026-06-01T00:00:00Z")


DECIDER = Decider(PROFILE_SET, {}, {}, registry_known=False)
FRESH = DECIDER.snapshot()


def decided(topic: str, *payloads: bytes) -> Decided:
    decider = DECIDER
    decider.restore(FRESH)  # to compile all profiles anew would take seconds
    outcome, count = Decided(), len(payloads)
    decider.decide(Batch([topic] * count, list(payloads), [RECEIVED] * count, 0), outcome)
    return outcome


def exported(reading: Reading) -> dict[str, object]:
    """A reading by the keys of the export; money also under its bare name."""
    row: dict[str, object] = {
        name: getattr(reading, name)
        for name in ("device_id", "kind", "event", "channel", "sequence", "measured_at")
    }
    for name, value in reading.quantities.items():
        quantity = BY_NAME[reading.kind][name]
        row[export_key(quantity, reading.currency or "CNY")] = value
        if quantity.type == "money":
            row[name] = value
    return row


def differing(expected: dict[str, object], row: dict[str, object]) -> dict[str, object]:
    wanted = {
        key: nanoseconds(str(value)) if key in TIMES and value is not None else value
        for key, value in expected.items()
    }
    return {key: (value, row.get(key)) for key, value in wanted.items() if row.get(key) != value}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_published_payload_gives_the_readings_that_its_documentation_says(case):
    outcome = decided(case["topic"], case["payload_text"].encode())
    assert [refused.detail for refused in outcome.quarantined] == []
    rows = [exported(reading) for reading in outcome.readings]
    for expected in case["expected"]:
        left = min((differing(expected, row) for row in rows), key=len)
        assert left == {}
    assert len(rows) >= len(case["expected"])
    assert {reading.kind for reading in outcome.readings} == {case["kind"]}
    assert outcome.readings[0].profile.startswith(f"{case['model']}@")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_published_payload_cut_anywhere_is_quarantined_whole(case):
    payload = case["payload_text"].encode()
    ends = range(0, len(payload), max(7, len(payload) // 40))
    outcome = decided(case["topic"], *[payload[:end] for end in ends])
    assert (len(outcome.readings), len(outcome.quarantined)) == (0, len(ends))


def test_the_comparison_can_fail():
    case = CASES[0]
    (reading,) = decided(case["topic"], case["payload_text"].encode()).readings
    for key, value in case["expected"][0].items():
        changed = {**case["expected"][0], key: f"{value}0" if key != "measured_at" else None}
        assert set(differing(changed, exported(reading))) == {key}

"""Readings, flags and results for the tests of stores."""

from __future__ import annotations

import random
from typing import Any

from gateway.records import Counters, Flag, Quarantined, Reading, Results

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def reading(number: int = 0, **fields: Any) -> Reading:
    """A water meter's reading at offset ``number``; quantities as keyword ``quantities``."""
    quantities = fields.pop("quantities", {"volume": number + 0.25, "temperature": 11.5})
    values: dict[str, Any] = {
        "device_id": f"w-{number % 7}",
        "kind": "water_meter",
        "event": "periodic",
        "channel": None,
        "measured_at": START + number * SECOND,
        "received_at": START + number * SECOND + 5_000_000,
        "sequence": number,
        "quality": "raw",
        "status": (),
        "currency": None,
        "profile": "water/reference@1.0.0",
        "ledger_offset": number,
        "names": tuple(quantities),
        "values": tuple(quantities.values()),
    }
    return Reading(**(values | fields))


def sale(number: int, **quantities: Any) -> Reading:
    """A sale of a fuel dispenser at offset ``number``."""
    return reading(
        number,
        device_id=f"f-{number % 3}",
        kind="fuel_dispenser",
        event="transaction",
        channel="1",
        currency="CNY",
        profile="fuel/reference@1.0.0",
        quantities=quantities,
    )


def mixed(seed: int, count: int, first: int = 0) -> list[Reading]:
    """Readings of several kinds and layouts in random order."""
    chosen = random.Random(seed)
    made = []
    for number in range(first, first + count):
        match chosen.randrange(5):
            case 0:
                made.append(reading(number))
            case 1:
                made.append(reading(number, quantities={"volume": 1.5, "valve": "open"}))
            case 2:
                made.append(reading(number, quantities={}, event="alarm", status=("leak", "tilt")))
            case 3:
                amount = chosen.randrange(1, 10**8) / 100
                made.append(sale(number, volume=chosen.random() * 50, amount=amount))
            case _:
                made.append(
                    sale(number, volume=1.0, product="92", started_at=START + number, amount=7.23)
                )
    return made


def flag(number: int = 0, **fields: Any) -> Flag:
    """A flag at offset ``number``."""
    values: dict[str, Any] = {
        "id": f"flag-{number}",
        "device_id": f"w-{number % 7}",
        "kind": "water_meter",
        "channel": None,
        "code": "register_decrease",
        "severity": "major",
        "measured_at": START + number * SECOND,
        "since": START + number * SECOND,
        "until": START + (number + 10) * SECOND,
        "evidence": {"observed": 1.5, "expected": 2, "unit": "m3"},
        "basis": "JJG 162-2019",
        "profile": "water/reference@1.0.0",
        "ledger_offset": number,
    }
    return Flag(**(values | fields))


def quarantined(number: int = 0, **fields: Any) -> Quarantined:
    """A row of quarantine at offset ``number``."""
    values: dict[str, Any] = {
        "ledger_offset": number,
        "received_at": START + number * SECOND,
        "topic": f"meters/x/water/w-{number}/up",
        "payload": b'{"broken"',
        "stage": "decode",
        "reason": "unparseable",
        "detail": "offset 9: unexpected end",
        "profile": None,
        "device_id": None,
    }
    return Quarantined(**(values | fields))


def results(
    readings: list[Reading] | None = None,
    flags: list[Flag] | None = None,
    quarantine: list[Quarantined] | None = None,
    *,
    next_offset: int | None = None,
    snapshot: bytes | None = None,
) -> Results:
    """Results whose checkpoint and counters follow from what they hold."""
    readings, flags, quarantine = readings or [], flags or [], quarantine or []
    if next_offset is None:
        offsets = [item.ledger_offset for item in (*readings, *flags, *quarantine)]
        next_offset = max(offsets, default=-1) + 1
    counters = Counters(
        stored=next_offset - len(quarantine), quarantined=len(quarantine), readings=len(readings)
    )
    return Results(readings, flags, quarantine, next_offset, counters, snapshot)

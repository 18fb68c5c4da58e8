"""Messages to measure with: a realistic mix of the open JSON format, the same for every subject.

Every message is one reading, about 200 bytes with some six values, a number and a time of its own;
registers grow as consumption does, so that an honest check finds nothing to flag.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INTERVAL_MS = 60_000
# Of a hundred instruments in a mixed district.
SHARES = (
    ("water_meter", 30),
    ("gas_meter", 25),
    ("fuel_dispenser", 20),
    ("taximeter", 20),
    ("ev_charger", 5),
)
TYPES = {"fuel_dispenser": "transaction"}


class Instrument:
    """One device: where it stands, and what it says next."""

    def __init__(self, number: int, kind: str, rng: random.Random) -> None:
        self.kind = kind
        self.device_id = f"{kind[:2].upper()}-{number:06d}"
        self.topic = f"meters/110000/{kind}/{self.device_id}/up"
        self.register = rng.randrange(1_000_00, 9_000_00)
        self.second = self.register // 2
        self.place = (116.3 + rng.random() / 5, 39.8 + rng.random() / 5)
        self._rng = rng
        self._values: Callable[[int], str] = getattr(self, f"_{kind}")

    def payload(self, sequence: int, at: int) -> bytes:
        """Message number ``sequence`` at ``at`` (epoch ms)."""
        head = f'{{"type":"{TYPES.get(self.kind, "periodic")}","seq":{sequence},"ts":{at},'
        return (head + self._values(at) + "}").encode()

    def _water_meter(self, _at: int) -> str:
        rng = self._rng
        flow = rng.randrange(0, 900)
        self.register += flow // 60
        return (
            f'"volume":{self.register / 1000:.3f},"volume_reverse":{self.second / 1e6:.3f},'
            f'"flow_rate":{flow / 1000:.3f},"temperature":{rng.randrange(60, 180) / 10},'
            f'"pressure":{rng.randrange(2800, 3600) / 10},"battery_voltage":3.61,"valve":"open"'
        )

    def _gas_meter(self, _at: int) -> str:
        rng = self._rng
        flow = rng.randrange(0, 2400)
        self.register += flow // 60
        temperature = rng.randrange(50, 250) / 10
        factor = round(103.3 / 101.325 * 293.15 / (273.15 + temperature), 5)
        self.second += round(flow // 60 * factor)
        return (
            f'"volume":{self.register / 1000:.3f},"volume_base":{self.second / 1000:.3f},'
            f'"flow_rate":{flow / 1000:.3f},"temperature":{temperature},"pressure":103.3,'
            f'"conversion_factor":{factor},"battery_voltage":3.58'
        )

    def _fuel_dispenser(self, at: int) -> str:
        volume = self._rng.randrange(800, 5500)
        amount = round(volume * 7.32)
        self.register += volume
        self.second += amount
        seconds = volume // 60
        return (
            f'"nozzle":"1","started_at":{at - seconds * 1000},"ended_at":{at},"product":"92#",'
            f'"volume":{volume / 100:.2f},"unit_price":7.32,"amount":{amount / 100:.2f},'
            f'"totaliser_volume":{self.register / 100:.2f},'
            f'"totaliser_amount":{self.second / 100:.2f}'
        )

    def _taximeter(self, _at: int) -> str:
        rng = self._rng
        speed = rng.randrange(0, 700)
        self.register += speed // 6
        self.second += speed // 12
        # A minute's way, turned somewhere: at most 1.2 km.
        turn = rng.random() * speed / 6
        self.place = (self.place[0] + turn * 1e-5, self.place[1] + (speed / 6 - turn) * 8e-6)
        longitude, latitude = self.place
        return (
            f'"total_distance":{self.register / 100:.2f},'
            f'"occupied_distance":{self.second / 100:.2f},"speed":{speed / 10},'
            f'"longitude":{longitude:.5f},"latitude":{latitude:.5f},'
            f'"occupied":true,"pulses":{self.register * 10}'
        )

    def _ev_charger(self, _at: int) -> str:
        rng = self._rng
        power = rng.randrange(0, 7000)
        self.register += power // 60
        return (
            f'"connector":"1","energy_import":{self.register / 1000:.3f},"power":{power / 1000},'
            f'"voltage":{rng.randrange(2250, 2350) / 10},"amperage":{power / 230:.1f},'
            f'"state_of_charge":{rng.randrange(10, 100)}'
        )


@dataclass(frozen=True, slots=True)
class Load:
    """Messages in the order of sending.

    ``ids[i]`` is the device and number of message ``i``, ``at[i]`` when it was measured (epoch ms).
    """

    instruments: list[Instrument]
    topics: list[str]
    payloads: list[bytes]
    ids: list[tuple[str, int]]
    at: list[int]

    def __len__(self) -> int:
        return len(self.topics)

    @property
    def mean_bytes(self) -> float:
        """The mean size of a payload."""
        return sum(map(len, self.payloads)) / len(self.payloads)

    def write_registry(self, path: Path) -> Path:
        """Registers every instrument, as an operator would have."""
        lines = [
            json.dumps({"device_id": each.device_id, "kind": each.kind, "region": "110000"})
            for each in self.instruments
        ]
        path.write_text("\n".join(lines) + "\n")
        return path

    def write_capture(self, path: Path) -> Path:
        """The same messages as a capture file, each received within a minute of its reading."""
        spread = INTERVAL_MS / len(self.instruments)
        with path.open("w", encoding="utf-8") as out:
            for i, (topic, payload) in enumerate(zip(self.topics, self.payloads, strict=True)):
                received = self.at[i] / 1000 + i % len(self.instruments) * spread / 1000
                text = datetime.fromtimestamp(received, UTC).isoformat(timespec="microseconds")
                line = {
                    "received_at": text.replace("+00:00", "Z"),
                    "topic": topic,
                    "payload": payload.decode(),
                }
                out.write(json.dumps(line) + "\n")
        return path


def fleet(devices: int, seed: int) -> list[Instrument]:
    """Instruments of all kinds in their shares, well mixed."""
    rng = random.Random(seed)
    kinds = [kind for kind, share in SHARES for _ in range(share)]
    chosen = [kinds[number % len(kinds)] for number in range(devices)]
    rng.shuffle(chosen)
    return [
        Instrument(number, kind, random.Random(seed + number)) for number, kind in enumerate(chosen)
    ]


def stream(instruments: list[Instrument]) -> Iterator[tuple[Instrument, int]]:
    """For ever: whose turn it is, and the number of its message, from the device's first, 0, on."""
    sequence = 0
    while True:
        for instrument in instruments:
            yield instrument, sequence
        sequence += 1


def make_load(messages: int, devices: int = 1000, seed: int = 20260101) -> Load:
    """``messages`` messages of the past, the last of them just now."""
    instruments = fleet(devices, seed)
    begin = time.time_ns() // 1_000_000 - (messages // devices + 2) * INTERVAL_MS
    load = Load(instruments, [], [], [], [])
    for (instrument, sequence), _ in zip(stream(instruments), range(messages), strict=False):
        at = begin + sequence * INTERVAL_MS
        load.topics.append(instrument.topic)
        load.payloads.append(instrument.payload(sequence, at))
        load.at.append(at)
        load.ids.append((instrument.device_id, sequence))
    return load

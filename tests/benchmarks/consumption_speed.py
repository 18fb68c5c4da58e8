"""What the checks of consumption cost: ``python tests/benchmarks/consumption_speed.py``.

Prints, asserts not: microseconds of processor time a reading with their pass and without it, side
by side, and the bytes that a meter's memory of it takes, live and in the snapshot.
"""

from __future__ import annotations

import gc
import json
import tracemalloc
from time import process_time
from timeit import repeat
from typing import TYPE_CHECKING

import msgspec

from gateway.checks import CATALOGUE, Judge
from gateway.checks.consumption import CONSUMPTION
from tests.checks.metering import Meter, registered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.records import Device, Flag, Reading

METERS, DAYS = 20, 20


def main() -> None:
    """Prints the costs of three kinds of meter."""
    for kind, interval in (("water_meter", 60), ("electricity_meter", 15), ("gas_meter", 60)):
        meters = [Meter(kind, seed=n, interval=interval, device_id=f"d{n}") for n in range(METERS)]
        off = {s.code: False for s in CONSUMPTION if CATALOGUE[s.code].applies_to(kind)}
        readings = [r for meter in meters for r in meter.readings(DAYS)]
        readings.sort(key=lambda r: r.received_at)
        registry = registered({"q3": 2.5, "q4": 3.125, "time_zone": "Asia/Shanghai"})
        took = {}
        for name, checks in (("with", {}), ("without", off)):
            best = min(
                repeat(
                    "judge(registry, meter, readings, checks)",
                    globals={
                        "judge": _judge,
                        "registry": registry,
                        "meter": meters[0],
                        "readings": readings,
                        "checks": checks,
                    },
                    timer=process_time,
                    number=1,
                    repeat=5,
                )
            )
            took[name] = round(1e6 * best / len(readings), 3)
        print(
            json.dumps({"kind": kind, "us_a_reading": took, **_sizes(registry, meters, readings)})
        )


def _judge(
    registry: Mapping[str, Device],
    meter: Meter,
    readings: list[Reading],
    checks: dict[str, bool],
) -> Judge:
    judge = Judge(registry, {}, registry_known=False)
    bound = judge.bind(meter.layout, checks, "benchmark")
    flags: list[Flag] = []
    run = bound.run
    for reading in readings:
        run(reading, flags)
    return judge


def _sizes(
    registry: Mapping[str, Device], meters: list[Meter], readings: list[Reading]
) -> dict[str, float]:
    judge = _judge(registry, meters[0], readings, {})
    uses = [
        use
        for device in judge.state().awake.values()
        for key, use in device.series.items()
        if key.startswith("use")
    ]
    packed = sum(len(msgspec.msgpack.encode(use)) for use in uses) / len(uses)
    gc.collect()
    tracemalloc.start()
    copies = [msgspec.msgpack.decode(msgspec.msgpack.encode(u), type=type(u)) for u in uses]
    live = tracemalloc.get_traced_memory()[0] / len(copies)
    tracemalloc.stop()
    return {"live_bytes": round(live), "snapshot_bytes": round(packed)}


if __name__ == "__main__":
    main()

"""What judging one reading costs: ``python tests/benchmarks/judge_speed.py`` (prints, asserts not).

A fuel dispenser's sale with six quantities, a sequence, two registers and limits on five of the
quantities, in order, spread over 1,000 nozzles; Python's own part of it is timed by ``timeit``.
"""

from __future__ import annotations

import json
from timeit import repeat

from gateway.checks import Judge
from gateway.profiles.layout import Layout, Register
from gateway.records import Flag, Reading

NAMES = ("flow_rate", "temperature", "density", "pulses", "totaliser_volume", "totaliser_amount")
LIMITS = {
    "flow_rate": {"low": 0.0, "high": 200.0},
    "temperature": {"low": -50.0, "high": 80.0},
    "density": {"low": 600.0, "high": 1000.0},
    "pulses": {"low": 0.0},
    "totaliser_volume": {"low": 0.0},
}
DEVICES, ROUNDS = 1_000, 40


def readings(first: int) -> list[Reading]:
    """Readings of all devices in turn, from message number ``first`` on."""
    made = []
    for number in range(first, first + ROUNDS):
        measured = 1_760_000_000_000_000_000 + number * 60_000_000_000
        for device in range(DEVICES):
            values = (35.2, 18.5, 742.1, 4000.0 + number, 1000.0, 8000.0)
            made.append(
                Reading(
                    f"pump-{device:06d}", "fuel_dispenser", "periodic", None, measured,
                    measured + 250_000_000, number, "raw", (), "CNY", "reference@1.0.0",
                    number * DEVICES + device, NAMES, values,
                )
            )  # fmt: skip
    return made


def main() -> None:
    """Prints microseconds a reading, the best of several."""
    layout = Layout(
        "fuel_dispenser", "periodic", "reference@1.0.0", NAMES,
        {name: Register(1e8, 0.01) for name in ("totaliser_volume", "totaliser_amount")},
        2**32, False, True,
    )  # fmt: skip
    judge = Judge({}, {})
    bound = judge.bind(layout, {"value_out_of_range": LIMITS}, "benchmark")
    batches = [readings(start * ROUNDS) for start in range(6)]
    flags: list[Flag] = []
    todo = iter(batches)

    def through_judge() -> None:
        for reading in next(todo):
            judge.judge(bound, reading, flags)

    def direct() -> None:
        run = bound.run
        for reading in next(todo):
            run(reading, flags)

    per = 1e6 / (DEVICES * ROUNDS)
    slow = min(repeat(through_judge, number=1, repeat=3)) * per
    fast = min(repeat(direct, number=1, repeat=3)) * per
    size = len(judge.snapshot()) / DEVICES
    print(json.dumps({"judge_us": round(slow, 3), "run_us": round(fast, 3),
                      "snapshot_bytes_a_device": round(size), "flags": len(flags)}))  # fmt: skip


if __name__ == "__main__":
    main()

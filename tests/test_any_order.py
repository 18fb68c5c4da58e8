"""A capture replayed twice, and once in another order: the same flags from the whole gateway.

Messages are displaced by up to the lateness bound of ten minutes.  What is left out are the codes
whose subject is receipt itself, and what the shuffle gives another sense: which of two contents of
one number came first, and flags that late messages took back.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from gateway.checks.order import LATENESS
from gateway.replay import replay
from gateway.store.duckdb import DuckDBStore

RECEIPT = {"burst_after_silence", "silent_device", "clock_drift", "future_timestamp"}
FLEET = """\
fleet: any-order
seed: 11
start: 2026-01-05T00:00:00+08:00
duration: 5d
region: "110105"
cheats_after: 1d
devices:
  - {kind: electricity_meter, count: 12, interval: 1h, cheats: {register_set_back: {count: 1},
      tariff_shifted: {count: 1}, register_slow: {count: 1}, phase_lost: {count: 1},
      cloned: {count: 2}, restart_glitch: {count: 2}, energy_reversed: {count: 1}}}
  - {kind: water_meter, count: 8, interval: 1h, cheats: {leak: {count: 1}, backflow: {count: 1},
      cloned: {count: 2}, register_spike: {count: 1}}}
  - {kind: gas_meter, count: 6, interval: 1h, cheats: {base_inflated: {count: 1}}}
  - {kind: taximeter, count: 6, interval: 1h, cheats: {overcharge: {count: 1},
      trips_overlapping: {count: 1}, distance_inflated: {count: 1}}}
  - {kind: ev_charger, count: 4, interval: 1h, cheats: {energy_inflated: {count: 1}}}
  - {kind: fuel_station, sites: 1, cheats: {price_raised: {count: 1}, sales_unbooked: {count: 1}}}
"""


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("any-order")
    (folder / "fleet.yaml").write_text(FLEET)
    simulate = Path(sys.executable).with_name("simulate")
    files = ["-o", folder / "capture.jsonl", "--registry", folder / "registry.jsonl"]
    subprocess.run([simulate, "fleet", folder / "fleet.yaml", *files], check=True)
    return folder


def flags_of(folder: Path, name: str, lines: list[str]) -> dict[str, Any]:
    """Flags by id, as people would compare them."""
    file, data = folder / f"{name}.jsonl", folder / name
    file.write_text("".join(lines))
    replay([file], data, registry=folder / "registry.jsonl")
    store = DuckDBStore(data / "store.duckdb")
    found = {
        flag.id: without_offsets(msgspec.to_builtins(flag))
        for flag in store.flags()
        if flag.status != "withdrawn" and flag.code not in RECEIPT
    }
    store.close()
    for told in found.values():
        if told["evidence"].get("restarted"):
            # How often a counter begins anew is told by receipt: two meters of one name, mixed up.
            del told["evidence"]["count"], told["until"]
    return found


def without_offsets(told: Any) -> Any:
    """Another order in the ledger is another offset of the same message."""
    if isinstance(told, dict):
        return {key: without_offsets(v) for key, v in told.items() if "offset" not in key}
    return [without_offsets(each) for each in told] if isinstance(told, list) else told


def test_the_same_capture_gives_the_same_flags_again_and_in_another_order(capture: Path):
    lines = (capture / "capture.jsonl").read_text().splitlines(keepends=True)
    first = flags_of(capture, "first", lines)
    assert {flag["code"] for flag in first.values()} >= {
        "register_decrease", "tariff_sum_mismatch", "fare_mismatch", "trip_overlap",
        "distance_mismatch", "session_energy_mismatch", "price_mismatch", "unbilled_delivery",
        "conversion_mismatch",
    }  # fmt: skip
    assert flags_of(capture, "again", lines) == first

    rng = Random(4)
    ten_minutes = LATENESS / 10**9
    displaced = sorted(lines, key=lambda line: received(line) + rng.uniform(0, ten_minutes))
    assert displaced != lines
    assert flags_of(capture, "shuffled", displaced) == first


def received(line: str) -> float:
    return datetime.fromisoformat(json.loads(line)["received_at"]).timestamp()

"""A million devices: what their memory takes, and how long it takes to be restored.

``python -m tests.benchmarks.many_devices [--devices N] [--messages N]`` judges ``messages`` hourly
readings of each device of a district in its shares (see `load`); prints bytes a device, resident
and as a snapshot, and the seconds to take the snapshot and to restore it.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from pathlib import Path

from gateway.assembly import collect_seldom, make_decider, read_profiles
from gateway.deciding import Decided
from gateway.records import Batch, Device
from tests.benchmarks.load import fleet, stream

HOUR_MS = 3_600_000
BEGIN_MS = 1_767_225_600_000
AT_ONCE = 5_000
PAGE = 4096


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=4)
    given = parser.parse_args()
    collect_seldom()
    instruments = fleet(given.devices, 1)
    devices = {each.device_id: Device(device_id=each.device_id) for each in instruments}
    decider = make_decider(read_profiles(()), devices, ())
    gc.collect()
    before = resident()
    turns = stream(instruments)
    began = time.perf_counter()
    offset, count = 0, given.devices * given.messages
    while offset < count:
        topics, payloads, received = [], [], []
        for at in range(offset, min(count, offset + AT_ONCE)):
            instrument, number = next(turns)
            moment = BEGIN_MS + number * HOUR_MS + at % given.devices * HOUR_MS // given.devices
            topics.append(instrument.topic)
            payloads.append(instrument.payload(number, moment))
            received.append((moment + 300) * 1_000_000)
        decided = Decided()
        decider.decide(Batch(topics, payloads, received, offset), decided)
        if decided.quarantined:
            raise SystemExit(str(decided.quarantined[0]))
        offset += len(topics)
    judged = time.perf_counter() - began
    gc.collect()
    held = resident() - before
    began = time.perf_counter()
    snapshot = decider.snapshot()
    taken = time.perf_counter() - began
    state = decider.judge.state()
    facts = {
        "devices": given.devices,
        "awake": len(state.awake),
        "resident_bytes_a_device": round(held / given.devices),
        "resident_mib": round(held / 2**20),
        "snapshot_bytes_a_device": round(len(snapshot) / given.devices),
        "snapshot_s": round(taken, 1),
        "us_a_message": round(judged / count * 1e6, 1),
    }
    fresh = make_decider(read_profiles(()), devices, ())
    began = time.perf_counter()
    fresh.restore(snapshot)
    facts["restore_s"] = round(time.perf_counter() - began, 1)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()

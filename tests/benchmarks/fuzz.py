"""Mutated messages of every profile through decode, normalise and check: `make fuzz`.

Seeds are the cases that profiles carry and, where they are found, the corpora.  Whatever comes,
the outcome must be a reading, a duplicate, nothing on purpose, or quarantine: no other exception,
no message that takes long, no memory that grows.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import Progress

from gateway.cases import default_topic, payload_of
from gateway.pipeline import Decided, Decider
from gateway.profiles import ProfileSet, load_profiles
from gateway.records import Batch

PROFILES = Path(__file__).parents[2] / "device_profiles"
RECEIVED = 1_767_225_600_000_000_000
_INTERESTING = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x16, 0x68, 0xFE, 0x22, 0x5C, 0x7B, 0x5B, 0x2D)
_DECIDERS_LIVE = 20_000
"""Messages before a decider is made anew: what checks remember of invented devices is bounded, but
not small, and would hide what a decoder keeps."""


@dataclass
class Outcome:
    """What a run saw."""

    payloads: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""
    grown_mib: float = 0.0


def mutated(seed: bytes, chosen: random.Random) -> bytes:
    """A payload near the seed: bits and bytes changed, parts cut, doubled, moved or blown up."""
    data = bytearray(seed)
    for _ in range(chosen.choice((1, 1, 1, 2, 4, 16))):
        at = chosen.randrange(len(data) + 1)
        what = chosen.randrange(7)
        if what == 0 and data:
            data[at % len(data)] ^= 1 << chosen.randrange(8)
        elif what == 1 and data:
            data[at % len(data)] = chosen.choice(_INTERESTING)
        elif what == 2:
            del data[at : at + chosen.choice((1, 2, 8, 64))]
        elif what == 3:
            data[at:at] = chosen.randbytes(chosen.choice((1, 2, 8)))
        elif what == 4:
            data[at:at] = data[at : at + chosen.choice((1, 4, 32))]
        elif what == 5:
            del data[at:]
        else:
            data[at:at] = bytes([chosen.choice(_INTERESTING)]) * chosen.choice((2, 100, 3000))
    return bytes(data)


def seeds(profiles: ProfileSet) -> list[tuple[str, str, bytes]]:
    """Profile, topic and payload of every case that a profile carries."""
    return [
        (profile.name, case.topic or default_topic(profile), payload_of(profile, case))
        for profile in profiles.profiles.values()
        for case in profile.model.tests
    ]


def fuzz(profiles: ProfileSet, count: int, number: int) -> Iterator[Outcome]:
    """Decides ``count`` mutated messages; yields how far it is, about a thousand times.

    Raises:
        Exception: whatever a decoder let through, with the payload as a note.
    """
    chosen = random.Random(number)
    each: dict[str, list[tuple[str, bytes]]] = {}
    for name, topic, payload in seeds(profiles):
        each.setdefault(name, []).append((topic, payload))
    alone = {
        name: ProfileSet({name: profiles.profiles[name]}, profiles.bases) for name in sorted(each)
    }
    outcome = Outcome()
    a_profile = max(1, count // len(each))
    begun = 0.0
    for name in sorted(each):
        for start in range(0, a_profile, _DECIDERS_LIVE):
            decider = Decider(alone[name], {}, {}, registry_known=False)
            for i in range(min(_DECIDERS_LIVE, a_profile - start)):
                topic, payload = chosen.choice(each[name])
                _decide(decider, outcome, topic, mutated(payload, chosen))
                if i % 1000 == 999:
                    begun = begun or _resident_mib()
                    yield outcome
    outcome.grown_mib = _resident_mib() - begun
    yield outcome


def _decide(decider: Decider, outcome: Outcome, topic: str, payload: bytes) -> None:
    decided = Decided()
    began = time.perf_counter()
    try:
        decider.decide(Batch([topic], [payload], [RECEIVED], 0), decided)
    except BaseException as error:
        error.add_note(f"topic {topic}, payload {payload.hex()}")
        raise
    took = time.perf_counter() - began
    if took > outcome.slowest_s:
        outcome.slowest_s, outcome.slowest = took, f"{topic} {payload[:200].hex()}"
    outcome.payloads += 1
    counters = decided.counters
    if counters.decided != 1:
        raise AssertionError(f"{counters} is no decision: {topic} {payload.hex()}")
    if decided.quarantined:
        outcome.decisions[decided.quarantined[0].reason] += 1
    else:
        outcome.decisions["read" if counters.stored else "ignored or duplicate"] += 1


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", help="one profile only")
    given = parser.parse_args()
    profiles = load_profiles([PROFILES])
    if given.profile:
        profiles = ProfileSet({given.profile: profiles.profiles[given.profile]}, profiles.bases)
    outcome = Outcome()
    with Progress() as progress:
        task = progress.add_task("payloads", total=given.count)
        for outcome in fuzz(profiles, given.count, given.seed):
            progress.update(task, completed=outcome.payloads)
    print(f"{outcome.payloads:,} payloads, seed {given.seed}: no crash")
    for what, times in outcome.decisions.most_common():
        print(f"  {what:24} {times:,}")
    slow = f"slowest {outcome.slowest_s * 1000:.1f} ms: {outcome.slowest[:100]}"
    print(f"{slow}\nmemory grew by {outcome.grown_mib:.0f} MiB")
    sys.exit(outcome.payloads == 0)


if __name__ == "__main__":
    main()

"""Mutated messages of every profile through decode, normalise and check: `make fuzz`.

Seeds are the cases that profiles carry and, where they are found, the corpora.  Whatever comes,
the outcome must be a reading, a duplicate, nothing on purpose, or quarantine: no other exception,
no message that takes long, no memory that grows.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import Progress

from gateway.cases import default_topic, payload_of
from gateway.checks.judge import CHECK_FAILED
from gateway.deciding import Decided, Decider
from gateway.profiles import ProfileSet, load_profiles
from gateway.profiles.models import Case
from gateway.records import Batch
from tests.corpora import corpora

PROFILES = Path(__file__).parents[2] / "device_profiles"
RECEIVED = 1_767_225_600_000_000_000
_INTERESTING = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x16, 0x68, 0xFE, 0x22, 0x5C, 0x7B, 0x5B, 0x2D)
_CORPORA = {
    "dsmr": ("dsmr",),
    "frames-cn": ("dlt645", "cjt188"),
    "json-mqtt": ("json",),
    "mbus": ("mbus", "wmbus"),
    "ocmf": ("ocmf",),
    "senml": ("senml",),
    "ts013": ("binary", "ts013"),
}
"""Formats of the profiles that the payloads of each corpus are thrown at."""
_OF_A_CORPUS = 60
_SLOWEST_S = 2.0
_GROWN_MIB = 200
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


Seed = tuple[str, str, bytes]
"""Profile, topic and payload."""


def seeds(profiles: ProfileSet) -> list[Seed]:
    """Every case that a profile carries."""
    return [
        (profile.name, case.topic or default_topic(profile), payload_of(profile, case))
        for profile in profiles.profiles.values()
        for case in profile.model.tests
    ]


def found_seeds(profiles: ProfileSet, folder: Path) -> list[Seed]:
    """Payloads of real devices: each goes to every profile of its format, fit or not."""
    found: list[Seed] = []
    for name, formats in _CORPORA.items():
        readers = [p for p in profiles.profiles.values() if p.model.decode.format in formats]
        with (folder / name / "cases.jsonl").open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        for profile in readers:
            for row in rows[:: len(rows) // _OF_A_CORPUS + 1]:
                raw = _payload(row)
                if profile.model.decode.envelope == "lorawan":
                    port = row.get("fport", 1)
                    case = Case(payload_hex=raw.hex(), f_port=port, quarantine="any")
                    raw = payload_of(profile, case)
                found.append((profile.name, default_topic(profile), raw))
    return found


def _payload(row: dict[str, Any]) -> bytes:
    if "payload_hex" in row:
        return bytes.fromhex(row["payload_hex"])
    if "payload_base64" in row:
        return base64.b64decode(row["payload_base64"])
    text: str = row["payload_text"]
    return text.encode()


def fuzz(
    profiles: ProfileSet, count: int, number: int, more: Sequence[Seed] = ()
) -> Iterator[Outcome]:
    """Decides ``count`` mutated messages; yields how far it is, about a thousand times.

    Args:
        profiles: each has its share of the messages.
        count: how many.
        number: the seed of the mutations.
        more: seeds besides the cases of the profiles.

    Raises:
        Exception: whatever a decoder let through, with the payload as a note.
    """
    chosen = random.Random(number)
    each: dict[str, list[tuple[str, bytes]]] = {}
    for name, topic, payload in (*seeds(profiles), *more):
        each.setdefault(name, []).append((topic, payload))
    alone = {
        name: ProfileSet({name: profiles.profiles[name]}, profiles.bases) for name in sorted(each)
    }
    outcome = Outcome()
    a_profile = max(1, -(-count // len(each)))
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
        outcome.slowest_s, outcome.slowest = took, f"{topic} {payload[:20_000].hex()}"
    outcome.payloads += 1
    counters = decided.counters
    failed = [why for _, why in decider.judge.not_judged if why.startswith(CHECK_FAILED)]
    if failed:
        raise AssertionError(f"{failed}: {topic} {payload.hex()}")
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
    folder = corpora()
    more = [] if folder is None else found_seeds(profiles, folder)
    own = len(seeds(profiles))
    print(f"{own:,} seeds of {len(profiles.profiles)} profiles, {len(more):,} of the corpora")
    outcome = Outcome()
    with Progress() as progress:
        task = progress.add_task("payloads", total=given.count)
        for outcome in fuzz(profiles, given.count, given.seed, more):
            progress.update(task, completed=outcome.payloads)
    print(f"{outcome.payloads:,} payloads, seed {given.seed}: no crash")
    for what, times in outcome.decisions.most_common():
        print(f"  {what:24} {times:,}")
    slow = f"slowest {outcome.slowest_s * 1000:.1f} ms: {outcome.slowest}"
    print(f"{slow}\nmemory grew by {outcome.grown_mib:.0f} MiB")
    # A codec of a profile may take a tenth of a second before it is stopped; none may take long.
    sys.exit(
        outcome.payloads == 0 or outcome.slowest_s > _SLOWEST_S or outcome.grown_mib > _GROWN_MIB
    )


if __name__ == "__main__":
    main()

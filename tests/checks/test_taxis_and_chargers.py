"""Taxis and chargers of the simulators through the whole gateway: the cheats are found, no others.

Small fleets of each cheat of theirs, with what honest lines do: duplicates, delays, outages.
"""

from __future__ import annotations

import json
from shutil import copyfile
from typing import TYPE_CHECKING, Any

import pytest

from gateway.deciding import Decided, Decider
from gateway.devices import Registry
from gateway.profiles import load_profiles
from gateway.records import Batch
from gateway.registry import read_registry
from simulators.clock import HOUR
from simulators.line import Troubles
from tests.checks.support import final
from tests.compiled import PROFILES
from tests.simulators.fleets import fleet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.records import Flag
    from simulators.faults import Event

MINE = {
    "distance_mismatch", "distance_factor_shift", "waiting_time_mismatch", "impossible_speed",
    "session_energy_mismatch", "signature_invalid", "verification_expired", "tamper_alarm",
    "device_fault",
}  # fmt: skip
LINE = Troubles(duplicate=0.01, late=0.02, restarts=0.3, outages=0.2)


def gateway_of(tmp_path, kind: str, registry: Iterable[dict[str, Any]]) -> Decider:
    """A gateway with the reference profile of one kind: all of them take seconds to compile."""
    name = kind.replace("_", "-")
    for file in (f"kinds/{name}.yaml", f"{kind}/{name}-reference.yaml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        copyfile(PROFILES / file, tmp_path / file)
    lines = tmp_path / "registry.jsonl"
    lines.write_text("".join(json.dumps(line) + "\n" for line in registry))
    devices = Registry(read_registry(lines))
    return Decider(load_profiles([tmp_path]), devices, {}, registry_known=True)


def judged(tmp_path, kind: str, **options) -> tuple[list[Flag], list[Event]]:
    made, events = fleet(kind, troubles=LINE, **options)
    messages = list(made.messages())
    made.finish(made.order.until or 0)
    decider = gateway_of(tmp_path, kind, made.registry())
    outcome = Decided()
    decider.decide(
        Batch(
            [m.topic for m in messages],
            [m.payload for m in messages],
            [m.received_at * 10**6 for m in messages],
            0,
        ),
        outcome,
    )
    decider.judge.foresee(outcome.flags)
    assert outcome.quarantined == []
    flags = [flag for flag in final(outcome.flags).values() if flag.code in MINE]
    return flags, [event for event in events if event.code in MINE]


def overlaps(flag: Flag, event: Event) -> bool:
    return (
        flag.device_id == event.device_id
        and flag.code == event.code
        and flag.since // 10**6 <= event.until + HOUR
        and (flag.until // 10**6 >= event.since or flag.status == "open")
    )


@pytest.mark.parametrize(
    ("kind", "cheat", "code"),
    [
        ("taximeter", "distance_inflated", "distance_mismatch"),
        ("taximeter", "constant_lowered_secretly", "distance_factor_shift"),
        ("taximeter", "waiting_inflated", "waiting_time_mismatch"),
        ("taximeter", "speed_absurd", "impossible_speed"),
        ("ev_charger", "energy_inflated", "session_energy_mismatch"),
        ("ev_charger", "tampered", "tamper_alarm"),
        ("taximeter", "faulty", "device_fault"),
        ("ev_charger", "certificate_expired", "verification_expired"),
    ],
)
def test_every_event_of_a_cheat_is_found_and_nothing_else(tmp_path, kind, cheat, code):
    flags, events = judged(
        tmp_path, kind, devices=4, days=3, interval=HOUR // 2, cheats=((cheat, 0.5),)
    )
    required = [event for event in events if event.required]
    assert {event.code for event in required} == {code}
    missed = [event for event in required if not any(overlaps(flag, event) for flag in flags)]
    assert missed == []
    assert [flag for flag in flags if not any(overlaps(flag, event) for event in events)] == []


@pytest.mark.parametrize("kind", ["taximeter", "ev_charger"])
def test_honest_instruments_and_honest_troubles_are_not_flagged(tmp_path, kind):
    flags, events = judged(
        tmp_path, kind, devices=6, days=4, interval=HOUR // 6, cheats=(("honest", 0.5),)
    )
    assert events == []
    assert flags == []

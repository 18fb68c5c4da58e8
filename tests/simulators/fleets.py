"""Short fleets for tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simulators.catalogue import KINDS
from simulators.clock import DAY, DEFAULT_START, HOUR
from simulators.fleet import Fleet, Order, choose
from simulators.line import NO_TROUBLES, Message, Troubles

if TYPE_CHECKING:
    from simulators.faults import Event

START = DEFAULT_START


def fleet(
    *kinds: str,
    devices: int = 4,
    days: float = 1.0,
    seed: int = 7,
    cheats: tuple[tuple[str, float], ...] = (),
    troubles: Troubles = NO_TROUBLES,
    interval: int | None = None,
    start: int = START,
    cheats_spread: int = 0,
) -> tuple[Fleet, list[Event]]:
    events: list[Event] = []
    order = Order(
        kinds=kinds,
        devices=devices,
        seed=seed,
        start=start,
        until=start + round(days * DAY),
        cheats_from=start + 2 * HOUR,
        cheats_spread=cheats_spread,
        interval=interval,
        choices=choose(kinds, list(cheats)),
        troubles=troubles,
    )
    return Fleet(order, events.append), events


def device_of(message: Message) -> str:
    return message.topic.split("/")[3]


def bodies(messages: list[Message], *types: str) -> list[tuple[str, dict[str, Any]]]:
    """(device, body) of the messages of some types, as they arrived."""
    found = [(device_of(each), json.loads(each.payload)) for each in messages]
    return [(device, body) for device, body in found if not types or body["type"] in types]


def run(*kinds: str, **options: Any) -> tuple[list[Message], list[Event]]:
    made, events = fleet(*kinds, **options)
    messages = list(made.messages())
    made.finish(made.order.until or 0)
    return messages, events


def compared(kind: str, cheat: str, *, also: bool = False, **options: Any) -> Any:
    """Honest and cheating run of the first device that a cheat fits.

    Returns its bodies by number, honest and spoilt, and the events; those that are not required
    only with ``also``.
    """
    made = KINDS[kind]
    first = next(index for index in range(100) if made.cheats[cheat].fits(index))
    options = {"devices": first + 1} | options
    honest, _ = run(kind, **options)
    spoilt, events = run(kind, cheats=((cheat, 1.0),), **options)
    name = f"{made.prefix}-110000-{first + 1:05d}"
    by_number = [
        {body["seq"]: body for device, body in reversed(bodies(messages)) if device == name}
        for messages in (honest, spoilt)
    ]
    mine = [event for event in events if name in (event.device_id, event.suspect)]
    return *by_number, [event for event in mine if also or event.required]

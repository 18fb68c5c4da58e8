"""A certificate that has run out, and two devices under one id."""

from __future__ import annotations

import pytest

from simulators.catalogue import MIXTURE
from simulators.clock import HOUR, MINUTE, parse_time
from tests.simulators.fleets import START, bodies, fleet

BEGIN = START + 2 * HOUR


@pytest.mark.parametrize("kind", MIXTURE)
def test_a_certificate_that_runs_out_is_in_the_registry_and_the_device_measures_on(kind):
    made, events = fleet(kind, devices=2, cheats=(("certificate_expired", 0.01),))
    expired = [
        line["device_id"]
        for line in made.registry()
        if "valid_from" not in line and parse_time(line["verified_until"]) == BEGIN
    ]
    assert len(expired) == 1
    found = bodies(list(made.messages()))
    made.finish(made.order.until)
    [event] = events
    assert (event.device_id, event.code) == (expired[0], "verification_expired")
    after = [body["ts"] for device, body in found if device == expired[0] and body["ts"] > BEGIN]
    assert (event.since, event.until) == (min(after), max(after))


def test_a_visit_ends_an_expired_certificate():
    made, events = fleet(
        "fuel_dispenser", devices=1, days=62, interval=12 * HOUR,
        cheats=(("certificate_expired", 1.0),), seed=3,
    )  # fmt: skip
    first, *later = made.registry()
    renewed = min(parse_time(line["verified_at"]) for line in later)
    assert parse_time(first["verified_until"]) == BEGIN < renewed
    list(made.messages())
    made.finish(made.order.until)
    [event] = events
    assert event.until < renewed < event.until + 12 * HOUR


def test_a_clone_has_numbers_of_its_own_and_comes_in_its_own_time():
    made, events = fleet("water_meter", devices=1, days=2, cheats=(("cloned", 1.0),))
    honest, _ = fleet("water_meter", devices=1, days=2)
    messages = list(made.messages())
    made.finish(made.order.until)
    own = {each.payload for each in honest.messages()}
    foreign = [each for each in messages if each.payload not in own]
    assert own <= {each.payload for each in messages}
    assert len({each.topic for each in messages}) == 1
    numbers = [body["seq"] for _, body in bodies(foreign)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert not {body["seq"] for _, body in bodies(messages) if body["seq"] not in numbers} & {
        *numbers
    }
    for message, (_, body) in zip(foreign, bodies(foreign), strict=True):
        assert 0 < message.received_at - body["ts"] < MINUTE
        assert body["ts"] >= BEGIN
    [event] = [each for each in events if each.required]
    stamps = [body["ts"] for _, body in bodies(foreign)]
    assert (event.code, event.since) == ("identity_clash", min(stamps))
    assert event.until == max(stamps) < made.order.until

"""Readings are judged in the order of measurement, whatever the order of arrival."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.checks.order import HOLD, LATENESS, MOST_HELD, MOST_WAITING, Line, Order
from tests.checks.support import T0, reading, water_layout

LAYOUT = water_layout()
SECOND = 10**9


class Device:
    """Numbers its messages, or not; what is judged is written down."""

    def __init__(self, *, numbered: bool = True) -> None:
        self.judged: list[tuple[int, bool]] = []
        self.order = Order(
            lambda _, one, _at, late, _flags: self.judged.append((one.sequence, late))
        )
        self.line = Line()
        self.expected = None
        self.numbered = numbered

    def receive(self, number: int, measured_s: float, received_s: float) -> None:
        late_min = (received_s - measured_s) / 60
        one = reading(LAYOUT, number, measured_s / 60, offset=number, late=late_min, volume=1.0)
        follows = self.numbered and number == self.expected
        self.order.advance(one.received_at // (10 * SECOND) * (10 * SECOND), [])
        self.order.take(self.line, None, one, one.measured_at, [], number=number, follows=follows)
        self.expected = number + 1

    def end(self, received_s: float) -> list[tuple[int, bool]]:
        self.order.advance(T0 + round(received_s * SECOND) + HOLD + 10 * SECOND, [])
        assert self.line.held == []
        return self.judged


def test_a_device_that_numbers_without_gaps_is_judged_at_once():
    device = Device()
    for n in range(200):
        device.receive(n, n * 60, n * 60 + 1)
    before = len(device.judged)
    device.receive(200, 200 * 60, 200 * 60 + 1)
    assert len(device.judged) == before + 1
    assert device.judged == [(n, False) for n in range(201)]


def test_a_reading_behind_a_gap_waits_for_what_is_missing():
    device = Device()
    for n in range(100):
        device.receive(n, n * 60, n * 60 + 1)
    device.receive(101, 101 * 60, 101 * 60 + 1)
    assert device.judged[-1] == (99, False)
    device.receive(100, 100 * 60, 101 * 60 + 2)
    assert device.end(101 * 60 + 2)[-2:] == [(100, False), (101, False)]


def test_what_comes_after_its_turn_is_late():
    device = Device()
    for n in range(100):
        if n != 50:
            device.receive(n, n * 60, n * 60 + 1)
    device.receive(50, 50 * 60, 100 * 60)
    assert (50, True) in device.end(100 * 60)


def test_a_device_keeps_a_bounded_number_of_readings():
    device = Device(numbered=False)
    for n in range(1000):
        device.receive(n, n, n + 1)
        assert len(device.line.held) <= MOST_HELD
    assert device.end(1001) == [(n, False) for n in range(1000)]


def test_all_devices_together_keep_a_bounded_number_of_readings():
    judged = []
    order = Order(lambda line, one, _at, late, _flags: judged.append((line, one.sequence, late)))
    lines = [Line() for _ in range(MOST_WAITING // 50)]
    for n in range(60):
        one = reading(LAYOUT, n, n, offset=n, late=0, volume=1.0)
        for name, line in enumerate(lines):
            order.take(line, name, one, one.measured_at, [], number=n, follows=False)
            assert sum(len(each.held) for each in lines[:3]) <= 3 * MOST_HELD
        assert sum(len(line.held) for line in lines) <= MOST_WAITING
    assert len(judged) == 10 * len(lines)
    assert all(not late for _, _, late in judged)
    # Those that had waited longest went first, and each device's in order.
    assert sorted(judged) == sorted(
        (name, n, False) for name in range(len(lines)) for n in range(10)
    )


@given(
    st.booleans(),
    st.lists(st.integers(0, LATENESS // SECOND), min_size=30, max_size=60),
    st.sets(st.integers(0, 59), max_size=5),
    st.sampled_from([30, 60, 300]),
)
def test_displaced_by_the_lateness_at_most_all_are_judged_in_order(
    numbered, delays, missing, interval
):
    sent = [n for n in range(len(delays)) if n not in missing]
    arrivals = sorted((n * interval + 1 + delays[n], n) for n in sent)
    device = Device(numbered=numbered)
    for received, n in arrivals:
        device.receive(n, n * interval, received)
    assert device.end(arrivals[-1][0] if arrivals else 0) == [(n, False) for n in sent]

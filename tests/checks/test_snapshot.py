"""A restart neither forgets nor repeats: the state as bytes."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.checks import Judge
from gateway.checks.state import pack
from gateway.checks.window import LAST, SLACK, SPAN
from gateway.profiles.layout import Layout
from gateway.records import Device
from tests.checks.support import judged, reading, water_layout

WATER = water_layout(modulus=32)
TIMED = water_layout(modulus=None, event="alarm")
POWER = Layout("electricity_meter", "periodic", "t@1", ("energy_import",), {}, 32, False, True)
LIMITS = {"value_out_of_range": {"flow_rate": {"low": 0.0, "high": 4.0}}}

water = st.tuples(
    st.sampled_from(["water", "timed"]),
    st.sampled_from(["d1", "d2"]),
    st.sampled_from([None, "x"]),
    st.integers(0, 31),
    st.integers(0, 40),
    st.sampled_from([-20, -2, 0, 60]),
    st.sampled_from([1.0, 2.0, 2.0005, 50_000.0, 99_999.0]),
    st.sampled_from([None, 1.0, 9.0]),
)
power = st.tuples(
    st.just("power"),
    st.sampled_from(["d1", "d3"]),
    st.sampled_from(["total", "T1", "T2"]),
    st.integers(0, 31),
    st.integers(0, 3),
    st.just(0),
    st.sampled_from([1.0, 2.0, 3.0, 5.0]),
    st.none(),
)


def readings_of(events):
    layouts = {"water": WATER, "timed": TIMED, "power": POWER}
    for place, (what, device, channel, number, minute, late, value, flow) in enumerate(events):
        layout = layouts[what]
        quantities = {"energy_import": value}
        if what != "power":
            quantities = {"volume": value, "flow_rate": flow}
        yield (
            layout,
            reading(
                layout,
                None if what == "timed" else number,
                minute,
                offset=place // 2,
                device_id=device,
                channel=channel,
                late=late,
                **quantities,
            ),
        )


class Process:
    """A judge with all layouts bound, as one run of the program has it."""

    def __init__(self):
        self.judge = Judge({"d1": Device(device_id="d1")}, {})
        self._bound = {
            id(layout): self.judge.bind(layout, {} if layout is POWER else LIMITS, "t")
            for layout in (WATER, TIMED, POWER)
        }

    def run(self, events):
        flags = []
        new = [self.judge.judge(self._bound[id(lay)], one, flags) for lay, one in events]
        return new, flags


@settings(max_examples=150)
@given(st.lists(st.one_of(water, power), max_size=60), st.data())
def test_a_restart_anywhere_changes_neither_flags_nor_state(events, data):
    events = list(readings_of(events))
    cut = data.draw(st.integers(0, len(events)))
    whole = Process()
    new, flags = whole.run(events)

    first, second = Process(), Process()
    new_before, flags_before = first.run(events[:cut])
    second.judge.restore(first.judge.snapshot())
    new_after, flags_after = second.run(events[cut:])

    # A device that sleeps after each message and wakes at the next is as one that never slept.
    sleeper = Process()
    new_asleep, flags_asleep = [], []
    for layout, one in events:
        new_now, flags_now = sleeper.run([(layout, one)])
        new_asleep += new_now
        flags_asleep += flags_now
        sleeper.judge.state().let_sleep(0)

    assert new_before + new_after == new == new_asleep
    assert flags_asleep == flags
    assert sleeper.judge.snapshot() == whole.judge.snapshot()
    assert flags_before + flags_after == flags
    assert second.judge.snapshot() == whole.judge.snapshot()
    assert second.judge.not_judged == whole.judge.not_judged


def test_restoring_an_earlier_state_into_a_running_judge_takes_effect():
    layout = water_layout()
    judge = Judge({}, {})
    bound = judge.bind(layout, {}, "t")
    empty = judge.snapshot()
    one = reading(layout, 1, 1, offset=1, volume=1.0)
    assert judged(judge, bound, [one, one])[0] == [True, False]
    judge.restore(empty)
    assert judged(judge, bound, [one])[0] == [True]


def test_a_snapshot_changes_nothing():
    layout = water_layout()
    judge = Judge({}, {})
    bound = judge.bind(layout, {}, "t")
    judged(
        judge, bound, (reading(layout, n, n, offset=n, volume=float(n)) for n in range(3 * SLACK))
    )
    assert judge.snapshot() == judge.snapshot() == pack(judge.state())


def test_a_snapshot_of_an_unknown_version_says_so():
    with pytest.raises(ValueError, match=r"version 99, this program reads 4.*ledger again"):
        Judge({}, {}).restore(msgspec.msgpack.encode({"version": 99}))


@pytest.mark.parametrize("blob", [b"", b"\xc1", b"no snapshot", msgspec.msgpack.encode([1])])
def test_bytes_that_are_no_snapshot_say_so(blob):
    with pytest.raises(ValueError, match="snapshot"):
        Judge({}, {}).restore(blob)


def test_every_torn_snapshot_is_refused():
    layout = water_layout()
    judge = Judge({}, {})
    judged(judge, judge.bind(layout, {}, "t"), [reading(layout, 1, 1, offset=1, volume=1.0)])
    whole = judge.snapshot()
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="snapshot"):
            Judge({}, {}).restore(whole[:length])


def entries(judge):
    return sum(len(window) for window in judge.state().windows())


def test_memory_is_bounded_by_streams_and_span_however_bursts_wander():
    layout = water_layout()
    judge = Judge({}, {})
    bound = judge.bind(layout, {}, "t")
    streams, burst = 8, SPAN // 2  # four spans in all: nearly twice what may be remembered
    most = 0
    for device in range(streams):
        flags = []
        for n in range(burst):
            one = reading(
                layout, n, n, offset=device * burst + n, device_id=f"d{device}", volume=float(n)
            )
            judge.judge(bound, one, flags)
        most = max(most, entries(judge))
    assert most <= (LAST + SLACK) * streams + 2.5 * SPAN
    assert len(judge.snapshot()) <= 28 * (LAST * streams + SPAN) + 1_500 * streams


def test_streams_that_arrive_out_of_order_are_trimmed_too():
    layout = water_layout()
    judge = Judge({}, {})
    bound = judge.bind(layout, {}, "t")
    readings = (
        reading(layout, n ^ 1, n ^ 1, offset=n * SPAN, late=5, volume=float(n)) for n in range(500)
    )
    judged(judge, bound, readings)
    assert entries(judge) <= LAST + SLACK + 1

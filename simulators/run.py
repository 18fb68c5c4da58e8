"""One run of the simulators: a fleet into a capture or a broker, with truth and registry beside."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from simulators.capture import capture_lines, json_line, writing
from simulators.clock import DAY
from simulators.fleet import Fleet, Order
from simulators.publish import Broker, Pace, Publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulators.faults import Event
    from simulators.line import Message


_MESSAGES_A_REPORT = 500


class Request(msgspec.Struct, frozen=True):
    """What to run and where to: exactly one of ``output`` and ``broker`` is given.

    ``factor`` is the speed towards a broker, infinite for as fast as it goes.
    """

    order: Order
    output: str | None = None
    broker: Broker | None = None
    factor: float = 1.0
    truth: str | None = None
    registry: str | None = None


class Summary(msgspec.Struct):
    """What a run did."""

    messages: int = 0
    events: int = 0
    devices: int = 0
    device_days: float = 0.0
    stopped: bool = False


def wall_clock() -> int:
    """Now, in milliseconds."""
    return time.time_ns() // 1_000_000


def _unseen(at: int, messages: int) -> None:
    del at, messages


def execute(
    request: Request,
    started: Callable[[Fleet], None],
    now: Callable[[], int] = wall_clock,
    progress: Callable[[int, int], None] = _unseen,
) -> Summary:
    """Runs until the span ends or SIGINT or SIGTERM comes; files are whole in any case.

    Args:
        request: what to run.
        started: is told of the fleet before the first message.
        now: the wall clock, ms.
        progress: is told now and then how far the run is: the simulated moment, ms, and the number
            of messages that were taken.

    Raises:
        BrokerUnreachable: the broker can't be reached at the start.
        OSError: a file can't be written.
    """
    summary = Summary()
    with ExitStack() as files:
        truth = files.enter_context(writing(request.truth)) if request.truth else None
        fleet = Fleet(request.order, lambda event: _record(event, truth, summary))
        if request.registry:
            with writing(request.registry) as registry:
                for line in fleet.registry():
                    registry.write(json_line(line))
        started(fleet)
        if request.output is not None:
            end = _capture(fleet, request.output, summary, progress)
        else:
            end = asyncio.run(_publish(fleet, request, summary, now, progress))
        fleet.finish(end)
    summary.devices = len(fleet.devices)
    summary.device_days = summary.devices * (end - request.order.start) / DAY
    return summary


def _record(event: Event, truth: BinaryIO | None, summary: Summary) -> None:
    summary.events += 1
    if truth is not None:
        truth.write(json_line(event.line()))
        truth.flush()


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Turns SIGINT and SIGTERM into a call; the old handlers come back."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in before:
        signal.signal(each, lambda *_: stop())
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _reported(
    messages: Iterator[Message], progress: Callable[[int, int], None]
) -> Iterator[Message]:
    for number, message in enumerate(messages):
        if not number % _MESSAGES_A_REPORT:
            progress(message.received_at, number)
        yield message


def _capture(
    fleet: Fleet, output: str, summary: Summary, progress: Callable[[int, int], None]
) -> int:
    """Writes a capture and returns the end of the run."""
    last = fleet.order.start

    def stop() -> None:
        summary.stopped = True

    def counted() -> Iterator[Message]:
        nonlocal last
        for message in _reported(fleet.messages(ahead=True), progress):
            if summary.stopped:
                return
            summary.messages += 1
            last = message.received_at
            yield message

    with _signals(stop), writing(output) as stream:
        for block in capture_lines(counted()):
            stream.write(block)
    return last if summary.stopped or fleet.order.until is None else fleet.order.until


async def _publish(
    fleet: Fleet,
    request: Request,
    summary: Summary,
    now: Callable[[], int],
    progress: Callable[[int, int], None],
) -> int:
    """Publishes and returns the end of the run."""
    if request.broker is None:
        raise ValueError("a run goes to a capture or to a broker: neither was given")
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    pace = Pace(request.factor, request.order.start, now)
    publisher = Publisher(request.broker, _reported(fleet.messages(), progress), pace, stop)

    def wake() -> None:
        # setting the event alone would not wake a loop that waits for its sockets
        loop.call_soon_threadsafe(stop.set)

    with _signals(wake):
        await publisher.run()
    summary.messages = publisher.acknowledged
    summary.stopped = stop.is_set()
    ended = not summary.stopped and request.order.until is not None
    return request.order.until if ended and request.order.until else publisher.last

"""What an alert tells, and what it does not: over a real store and casebook, to a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.flags.decisions import decide, suppress, unsuppress
from tests.alerts.conftest import later
from tests.alerts.servers import until
from tests.store.made import SECOND, START, flag

if TYPE_CHECKING:
    from tests.alerts.conftest import Bench
    from tests.alerts.servers import Receiver

HOUR = 3600 * SECOND
Hook = "Callable[..., AlertSpec]"


def run(coroutine):
    asyncio.run(coroutine)


async def settled(bench: Bench, receiver: Receiver, count: int) -> None:
    """So many letters are taken, and no more come."""
    await until(lambda: len(receiver.taken) >= count)
    await until(bench.idle)
    assert len(receiver.taken) == count, receiver.told


def test_a_first_start_tells_what_comes_and_nothing_older(bench, receiver, hook):
    old = flag(1)
    bench.commit(old)

    async def story():
        async with bench.running(hook()):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(2), later(old, until=old.until + 10 * HOUR))
            await settled(bench, receiver, 1)

    run(story())
    assert receiver.told == [("flag.raised", "flag-2", 1)]


def test_where_asked_to_a_first_start_tells_what_was_there(bench, receiver, hook):
    bench.commit(flag(1), flag(2))

    async def story():
        async with bench.running(hook(backlog=True)):
            await settled(bench, receiver, 2)

    run(story())
    assert [event for event, *_ in receiver.told] == ["flag.raised", "flag.raised"]


def test_an_old_flag_that_becomes_graver_is_told(bench, receiver, hook):
    old = flag(1)
    bench.commit(old)

    async def story():
        async with bench.running(hook()):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(later(old, severity="critical"))
            await settled(bench, receiver, 1)

    run(story())
    assert receiver.told == [("flag.severity_raised", "flag-1", 1)]


def test_later_versions_are_told_as_such_in_their_order(bench, receiver, hook):
    first = flag(1, severity="minor")
    versions = [
        first,
        later(first, until=first.until + HOUR),
        later(first, until=first.until + HOUR, severity="major"),
        later(first, until=first.until + 2 * HOUR, severity="major", status="ended"),
        later(first, until=first.until + 2 * HOUR, severity="major", status="withdrawn"),
    ]

    async def story():
        async with bench.running(hook()):
            await until(lambda: bench.store.sink_position("alert:duty"))
            for number, version in enumerate(versions, 1):
                bench.commit(version)
                await until(lambda number=number: len(receiver.taken) == number)
            bench.commit(versions[-1])  # nothing new in it
            await settled(bench, receiver, 5)

    run(story())
    assert receiver.told == [
        ("flag.raised", "flag-1", 1),
        ("flag.prolonged", "flag-1", 2),
        ("flag.severity_raised", "flag-1", 3),
        ("flag.ended", "flag-1", 4),
        ("flag.withdrawn", "flag-1", 5),
    ]
    assert len(set(receiver.seen)) == 5
    assert all(key.startswith("flag-1-") for key in receiver.seen)


def test_a_letter_has_the_keys_of_the_export_and_what_is_registered(bench, receiver, hook):
    bench.register("w-1", region="110105", site="pump house", vendor="ACME", model="W1")

    async def story():
        async with bench.running(hook()):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1))
            await settled(bench, receiver, 1)

    run(story())
    (body,) = receiver.taken
    data = body["data"]
    assert {"id", "device_id", "kind", "code", "severity", "measured_at", "from", "to", "evidence",
            "basis", "title", "profile", "ledger_offset", "status"} <= set(data)  # fmt: skip
    assert data["title"]["zh"] != data["title"]["en"]
    assert (data["region"], data["site"], data["vendor"]) == ("110105", "pump house", "ACME")
    assert (data["status"], data["event"], data["version"]) == ("open", "raised", 1)
    assert data["key"] == receiver.seen[0]
    assert body["timestamp"] == data["told_at"]


def test_filters_choose_and_what_was_not_told_has_no_end(bench, receiver, hook):
    bench.register("w-1", region="110105", vendor="ACME")
    bench.register("w-2", region="310115", vendor="ACME")
    bench.register("w-3", region="110108", vendor="Other")
    chosen = {
        "severity": "major",
        "codes": ("register_decrease",),
        "kinds": ("water_meter",),
        "regions": ("11", "12"),
        "vendors": ("ACME",),
    }
    wrong = [
        flag(8, severity="minor"),  # of w-1
        flag(15, code="leak_suspected"),  # of w-1
        flag(22, kind="gas_meter"),  # of w-1
        flag(2),  # another region
        flag(3),  # another vendor
        flag(4),  # not registered
    ]

    async def story():
        async with bench.running(hook(**chosen)):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(*wrong, flag(1))
            await settled(bench, receiver, 1)
            bench.commit(*(later(each, status="ended") for each in wrong))
            await settled(bench, receiver, 1)
            bench.commit(later(wrong[0], severity="critical"))
            await settled(bench, receiver, 2)

    run(story())
    assert receiver.told == [("flag.raised", "flag-1", 1), ("flag.raised", "flag-8", 1)]


def test_events_choose_too_and_versions_still_count(bench, receiver, hook):
    first = flag(1)

    async def story():
        async with bench.running(hook(events=("raised", "ended"))):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(first)
            await until(lambda: len(receiver.taken) == 1)
            bench.commit(later(first, until=first.until + HOUR))
            await settled(bench, receiver, 1)
            bench.commit(later(first, until=first.until + HOUR, status="ended"))
            await settled(bench, receiver, 2)

    run(story())
    assert receiver.told == [("flag.raised", "flag-1", 1), ("flag.ended", "flag-1", 3)]


def test_a_flag_that_comes_withdrawn_is_not_told(bench, receiver, hook):
    async def story():
        async with bench.running(hook()):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1, status="withdrawn"), flag(2, status="ended"))
            await settled(bench, receiver, 1)

    run(story())
    assert receiver.told == [("flag.raised", "flag-2", 1)]
    assert receiver.taken[0]["data"]["status"] == "ended"


def suppressed(bench, **window):
    return suppress(
        bench.casebook, since=START, until=START + HOUR, reason="tank", actor="li", **window
    )


def test_a_window_holds_back_and_lifting_it_lets_go(bench, receiver, hook):
    window = suppressed(bench, device_id="w-1")

    async def story():
        async with bench.running(hook()) as (alert,):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1), flag(2))
            await settled(bench, receiver, 1)
            alert.count()
            assert alert.state.held == 1
            unsuppress(bench.casebook, window.id, actor="li")
            await settled(bench, receiver, 2)
            alert.count()
            assert alert.state.held == 0

    run(story())
    assert receiver.told == [("flag.raised", "flag-2", 1), ("flag.raised", "flag-1", 1)]


def test_a_window_that_is_lifted_while_nobody_looks_lets_go_at_the_next_start(
    bench, receiver, hook
):
    window = suppressed(bench, device_id="w-1")

    async def story():
        async with bench.running(hook()):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1))
            await settled(bench, receiver, 0)
        unsuppress(bench.casebook, window.id, actor="li")
        async with bench.running(hook()):
            await settled(bench, receiver, 1)

    run(story())
    assert receiver.told == [("flag.raised", "flag-1", 1)]


def test_what_goes_on_after_the_window_is_told_then(bench, receiver, hook):
    suppressed(bench, device_id="w-1")
    first = flag(1)

    async def story():
        async with bench.running(hook()):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(first)
            await settled(bench, receiver, 0)
            bench.commit(later(first, until=START + 2 * HOUR))
            await settled(bench, receiver, 1)

    run(story())
    assert receiver.told == [("flag.raised", "flag-1", 1)]


def test_where_asked_to_the_suppressed_are_told_and_say_so(bench, receiver, hook):
    suppressed(bench, device_id="w-1")

    async def story():
        async with bench.running(hook(suppressed=True)):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1))
            await settled(bench, receiver, 1)

    run(story())
    assert receiver.taken[0]["data"]["status"] == "suppressed"


def test_the_status_is_what_people_have_decided(bench, receiver, hook):
    first = flag(1)

    async def story():
        async with bench.running(hook()):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(first)
            await until(lambda: len(receiver.taken) == 1)
            decide(bench.casebook, "acknowledge", [first], actor="li")
            bench.commit(later(first, status="ended"))
            await settled(bench, receiver, 2)

    run(story())
    told = receiver.taken[1]["data"]
    assert (told["status"], told["condition"]) == ("acknowledged", "ended")
    assert "li" not in str(told)  # who decided is nobody's concern out there


def test_a_restart_goes_on_where_it_was(bench, receiver, hook):
    async def story():
        async with bench.running(hook()):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1))
            await settled(bench, receiver, 1)
        bench.commit(flag(2))  # nobody looks
        async with bench.running(hook()):
            await settled(bench, receiver, 2)

    run(story())
    assert [each[1] for each in receiver.told] == ["flag-1", "flag-2"]


@pytest.mark.parametrize("backlog", [False, True])
def test_a_reprocess_tells_no_flag_again_and_takes_back_what_it_does_not_find(
    bench, receiver, hook, backlog
):
    spec = hook(backlog=backlog)
    same, gone, other = flag(1), flag(2), flag(3)

    async def story():
        async with bench.running(spec):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(same, gone, other, offset=1000)
            await settled(bench, receiver, 3)
        bench.reprocessed(
            same, later(other, severity="critical"), flag(500)
        )  # the last is found by a mended profile
        async with bench.running(spec):
            expected = 6 if backlog else 5
            await settled(bench, receiver, expected)
            bench.commit(flag(1001))
            await settled(bench, receiver, expected + 1)

    run(story())
    told = receiver.told[3:]
    found = [("flag.raised", "flag-500", 1)] if backlog else []
    assert sorted(told) == sorted(
        [
            ("flag.severity_raised", "flag-3", 2),
            ("flag.withdrawn", "flag-2", 2),
            ("flag.raised", "flag-1001", 1),
            *found,
        ]
    )
    (taken_back,) = [body["data"] for body in receiver.taken if body["data"].get("gone")]
    assert (taken_back["id"], taken_back["status"]) == ("flag-2", "withdrawn")
    assert taken_back["device_id"] == "w-2"


def test_what_is_found_after_a_reprocess_of_an_old_message_is_told(bench, receiver, hook):
    # As of a device that falls silent: its flag hangs on its last message.
    receiver.answer = 503
    old = flag(1)

    async def story():
        async with bench.running(hook()):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(offset=1000)
            await until(bench.idle)
        outbox = bench.outbox()
        outbox.reached("duty", 1000)
        outbox.close()
        bench.reprocessed(old, flag(2))  # found by a mended profile: not told
        async with bench.running(hook(queue=1)):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(3), flag(4), later(old, until=old.until + HOUR))
            receiver.answer = 204
            await settled(bench, receiver, 2)

    run(story())
    assert sorted(receiver.told) == [("flag.raised", "flag-3", 1), ("flag.raised", "flag-4", 1)]


def test_what_waited_when_the_store_was_made_anew_is_still_told(bench, receiver, hook):
    receiver.answer = 503
    spec = hook(queue=2)

    async def story():
        async with bench.running(spec) as (alert,):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(*(flag(n) for n in range(1, 6)))
            await until(lambda: len(receiver.seen) > 2)
            assert alert.state.queued <= 2
        bench.reprocessed(*(flag(n) for n in range(1, 6)))
        receiver.answer = 204
        async with bench.running(spec):
            await settled(bench, receiver, 5)

    run(story())
    assert sorted(each[1] for each in receiver.told) == [f"flag-{n}" for n in range(1, 6)]


def test_two_alerts_have_memories_of_their_own(bench, receiver, hook):
    async def story():
        async with bench.running(hook(), hook(name="other", severity="critical")):
            await until(lambda: bench.store.sink_position("alert:other"))
            bench.commit(flag(1), flag(2, severity="critical"))
            await settled(bench, receiver, 3)

    run(story())
    assert sorted(each[1] for each in receiver.told) == ["flag-1", "flag-2", "flag-2"]
    assert len(set(receiver.seen)) == 2  # the same finding has the same key for both

"""What happens now, as it is told to those who listen: to each only what he may see."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from starlette.requests import Request

from gateway.access import sessions
from gateway.access.people import set_own_password
from gateway.access.roles import Scope
from gateway.api import live
from gateway.api.context import authenticated, seen_by
from gateway.api.guard import Rates
from gateway.api.live import Listener, Live, Told
from gateway.api.problems import Busy, TooManyRequests
from gateway.api.streams import permitted
from tests.api.world import Bureau, status
from tests.store.made import flag, results


@pytest.fixture
def bureau(own):
    made = Bureau(own)
    made.add_people()
    yield made
    made.close()


def _listener(bureau, name, permitted=None):
    principal = sessions.of_token(bureau.casebook, bureau.tokens[name])
    seen = seen_by(bureau.api, principal, "flags")
    told = Told(seen, principal.may("ingest"))
    return Listener(told, permitted or (lambda: told))


def _commit(bureau, *device_ids, **more):
    """What processing does when it finds something."""
    made = [flag(1, id=f"new-{each}", device_id=each, **more) for each in device_ids]
    offset = bureau.store.checkpoint().next_offset + 1
    bureau.store.commit(results(flags=made, next_offset=offset))
    bureau.flag_log.add(made)


async def _heard(hub, listener, name, *, act, until, seconds=5.0):
    """The events that come until one of this kind, as (kind, data)."""
    found = []
    stream = hub.stream(listener, name)
    await anext(stream)
    await asyncio.sleep(0.1)  # the first look only finds where to begin
    act()
    ends = time.monotonic() + seconds
    async for chunk in stream:
        fields = dict(
            line.split(": ", 1) for line in chunk.decode().strip().splitlines() if ": " in line
        )
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
        if (found and found[-1][0] == until) or time.monotonic() > ends:
            break
    await stream.aclose()
    return found


def _hub(bureau, recent=None):
    return Live(bureau.api.world, recent or bureau.flag_log.since, lambda: bureau.status)


@pytest.mark.parametrize(
    ("name", "device_id"),
    [("zhang", "w-330106-borg"), ("wang", "t-310101-acme"), ("acme", "w-330108-acme")],
)
def test_a_new_flag_is_told_to_who_sees_its_device(bureau, name, device_id):
    hub = _hub(bureau)

    def act():
        _commit(bureau, "stranger", "w-310101-borg", "t-330108-borg", device_id)

    found = asyncio.run(_heard(hub, _listener(bureau, name), name, act=act, until="flag"))
    told = [data for kind, data in found if kind == "flag"]
    assert [each["device_id"] for each in told] == [device_id]
    assert told[0]["status"] == "open"
    assert ("region" in told[0]) == (name != "acme")


def test_the_state_is_told_to_who_may_know_it(bureau):
    bureau.status = status(received=3)
    hub = _hub(bureau)
    heard = _heard(hub, _listener(bureau, "viewer"), "viewer", act=lambda: None, until="status")
    ((kind, data),) = asyncio.run(heard)
    assert (kind, data["received"]) == ("status", 3)
    assert not _listener(bureau, "acme").told.ingest


def test_who_misses_flags_is_told_to_ask_again(bureau):
    hub = _hub(bureau)

    def act():
        bureau.flag_log.add(flag(number) for number in range(5000))

    found = asyncio.run(_heard(hub, _listener(bureau, "root"), "root", act=act, until="reset"))
    assert found == [("reset", {})]


def test_a_slow_listener_holds_up_nobody_and_is_told_that_he_lost_something(bureau):
    listener = _listener(bureau, "root")
    for _ in range(1000):
        listener.put(live.event("status", {}))
    assert listener.lost
    assert listener.events.qsize() < 1000


def test_who_may_not_listen_any_more_is_not_told_more(bureau):
    listener = _listener(bureau, "zhang", permitted=lambda: None)
    listener.checked = float("-inf")
    hub = _hub(bureau)
    bureau.status = status()

    async def heard():
        stream = hub.stream(listener, "zhang")
        return [chunk async for chunk in stream]

    chunks = asyncio.run(asyncio.wait_for(heard(), 5))
    assert len(chunks) == 2, "the greeting and the event that was waiting"


def test_only_so_many_listen(bureau):
    hub = _hub(bureau)

    async def many():
        streams = []
        for _ in range(live.MOST_EACH):
            hub.admit("zhang")
            stream = hub.stream(_listener(bureau, "zhang"), "zhang")
            await anext(stream)
            streams.append(stream)
        with pytest.raises(Busy):
            hub.admit("zhang")
        hub.admit("wang")
        await streams[0].aclose()
        hub.admit("zhang")
        for stream in streams[1:]:
            await stream.aclose()
        await hub.close()

    asyncio.run(many())


def _request(bureau, **headers):
    """The request that a stream began with."""
    given = [(name.encode(), text.encode()) for name, text in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": given, "app": bureau.app}
    return Request(scope | {"client": ("192.0.2.1", 1), "query_string": b""})


def test_who_asks_too_often_keeps_no_right_that_he_has_lost(bureau):
    request = _request(bureau, authorization=f"Bearer {bureau.tokens['zhang']}")
    assert permitted(request).seen.scope == Scope("330106", None)
    bureau.api.rates = Rates(0.001, 1)
    authenticated(request)
    with pytest.raises(TooManyRequests):
        authenticated(request)
    bureau.people.change("zhang", region="31")
    assert permitted(request).seen.scope == Scope("31", None)
    bureau.people.change("zhang", disabled=True)
    bureau.api.rates.take("address 192.0.2.1")
    with pytest.raises(TooManyRequests):
        authenticated(request)
    assert permitted(request) is None


def test_the_state_is_told_for_as_long_as_it_may_be_known(bureau):
    request = _request(bureau, authorization=f"Bearer {bureau.tokens['looker']}")
    assert permitted(request).ingest
    bureau.people.change("looker", role="vendor", vendor="ACME")
    told = permitted(request)
    assert (told.ingest, told.seen.scope.vendor, told.seen.privacy.places) == (False, "ACME", False)


def test_a_page_left_open_does_not_keep_its_session(bureau):
    password = bureau.people.reset("zhang")
    begun = sessions.log_in(bureau.casebook, bureau.hasher, "zhang", password, address="::1")
    person = begun.principal.person
    sessions_of = f"gateway={begun.key}"
    assert permitted(_request(bureau, cookie=sessions_of)) is None, "he has to set a password"
    set_own_password(
        bureau.casebook, bureau.hasher, person, "a sentence of my own",
        session=str(begun.principal.key),
    )  # fmt: skip
    for _ in range(sessions.IDLE_S // 60 - 1):
        bureau.clock.advance(60)
        assert permitted(_request(bureau, cookie=sessions_of)) is not None
    bureau.clock.advance(61)
    assert permitted(_request(bureau, cookie=sessions_of)) is None


def test_of_many_who_begin_at_once_only_so_many_listen(bureau):
    hub = _hub(bureau)

    async def many():
        streams = [hub.stream(_listener(bureau, "zhang"), "zhang") for _ in range(20)]
        for _ in streams:
            hub.admit("zhang")  # nobody listens yet
        for stream in streams:
            await anext(stream)
        assert len(hub._listeners) == live.MOST_EACH
        for stream in streams:
            await stream.aclose()
        await hub.close()

    asyncio.run(many())

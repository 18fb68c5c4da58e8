"""Both sources against a real Mosquitto: what is acknowledged is in the ledger."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.intake import CommitSettings
from gateway.sources import Will
from gateway.sources.mqtt5 import Mqtt5Source
from gateway.sources.mqtt311 import Mqtt311Source
from tests.brokers import PASSWORD, USERNAME, Mosquitto, Publisher
from tests.sources.harness import (
    BOTH,
    AnySource,
    Cable,
    asynchronous,
    intake,
    make,
    on_plain_asyncio,
    payloads,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.certificates import Certificates

both = pytest.mark.parametrize("kind", BOTH)


@both
@pytest.mark.parametrize("qos", [0, 1, 2])
@asynchronous
async def test_every_message_reaches_the_ledger_in_order(
    mosquitto: Mosquitto, kind: type[AnySource], qos: int
):
    source = make(kind, mosquitto.port, qos=qos)
    sent = [b"%d" % i for i in range(200)]
    async with intake(source) as (group, ledger):
        with Publisher("127.0.0.1", mosquitto.port) as device:
            await asyncio.to_thread(device.send, "meters/a/up", sent, qos)
        await until(lambda: group.appended == len(sent))
        assert payloads(ledger) == sent
        assert {topic for topic, _, _ in ledger.messages} == {"meters/a/up"}
        assert source.last_error is None or (kind is Mqtt311Source and qos == 2)


@both
@asynchronous
async def test_nothing_is_acknowledged_before_the_fsync(
    mosquitto: Mosquitto, kind: type[AnySource]
):
    sent = [b"%d" % i for i in range(5)]
    async with Cable(mosquitto.port) as cable:
        source = make(kind, cable.port)
        async with intake(source) as (group, ledger):
            ledger.gate.clear()
            with Publisher("127.0.0.1", mosquitto.port) as device:
                await asyncio.to_thread(device.send, "meters/a", sent)
            await until(lambda: group.received == 5)
            cable.cut()
            await until(lambda: source.reconnects == 1)
            await until(lambda: group.received == 10)  # sent again: it was not acknowledged
            ledger.gate.set()
            await until(lambda: group.appended == 10)
            assert sorted(payloads(ledger)) == sorted(sent * 2)
            await asyncio.sleep(0.1)
            cable.cut()
            await until(lambda: source.reconnects == 2)
            await asyncio.sleep(0.2)
            assert group.received == 10  # acknowledged now, so it does not come a third time


@both
@asynchronous
async def test_a_restart_of_the_broker_in_mid_stream_loses_nothing(
    start_mosquitto: Callable[..., Mosquitto], kind: type[AnySource]
):
    broker = start_mosquitto(persistence=True)
    source = make(kind, broker.port)
    acknowledged: list[bytes] = []
    halfway = threading.Event()

    def publish() -> None:
        with Publisher("127.0.0.1", broker.port) as device:
            for first in range(0, 3000, 100):
                part = [b"%d" % i for i in range(first, first + 100)]
                device.send("meters/a", part)
                acknowledged.extend(part)
                if first == 1000:
                    halfway.set()

    async with intake(source) as (_, ledger):
        publishing = asyncio.create_task(asyncio.to_thread(publish))
        await until(halfway.is_set)
        await asyncio.to_thread(broker.restart)
        await publishing
        assert len(acknowledged) == 3000
        await until(lambda: set(payloads(ledger)) >= set(acknowledged))
        assert source.reconnects >= 1
        assert source.sessions_lost == 0


@both
@asynchronous
async def test_what_was_queued_while_we_were_away_comes_when_we_return(
    mosquitto: Mosquitto, kind: type[AnySource]
):
    async with intake(make(kind, mosquitto.port)):
        pass
    with Publisher("127.0.0.1", mosquitto.port) as device:
        await asyncio.to_thread(device.send, "meters/a", [b"%d" % i for i in range(2500)])
    async with intake(make(kind, mosquitto.port)) as (group, ledger):
        await until(lambda: group.appended == 2500)
        assert payloads(ledger) == [b"%d" % i for i in range(2500)]


@both
@asynchronous
async def test_a_wrong_password_is_told_once_and_tried_again_slowly(
    start_mosquitto: Callable[..., Mosquitto], password_file: Path, kind: type[AnySource]
):
    broker = start_mosquitto(f"allow_anonymous false\npassword_file {password_file}")
    source = make(kind, broker.port, username=USERNAME, password="not this one")
    with capture_logs() as logs:
        async with intake(source, connected=False):
            await until(lambda: broker.log.count("not authorised") >= 3)
            await until(lambda: source.last_error is not None)
            assert not source.connected
            assert "the broker refused: " in str(source.last_error)
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
        "refused by the broker"
    ]
    assert "not this one" not in repr(logs) + repr(source.last_error)
    assert "not this one" not in repr(source._settings)


@both
@asynchronous
async def test_the_right_password_is_let_in(
    start_mosquitto: Callable[..., Mosquitto], password_file: Path, kind: type[AnySource]
):
    broker = start_mosquitto(f"allow_anonymous false\npassword_file {password_file}")
    source = make(kind, broker.port, username=USERNAME, password=PASSWORD)
    async with intake(source):
        assert source.connected


def tls(certificates: Certificates, *, expired: bool = False, mutual: bool = False) -> str:
    cert, key = certificates.issue("broker", expired=expired)
    lines = f"certfile {cert}\nkeyfile {key}\n"
    if mutual:
        lines += f"cafile {certificates.ca}\nrequire_certificate true\n"
    return lines


@both
@asynchronous
async def test_an_expired_certificate_of_the_broker_is_refused_and_named(
    start_mosquitto: Callable[..., Mosquitto], certificates: Certificates, kind: type[AnySource]
):
    broker = start_mosquitto(tls(certificates, expired=True))
    source = make(kind, broker.port, ca_file=certificates.ca)
    async with intake(source, connected=False):
        await until(lambda: source.last_error is not None)
        assert "certificate has expired" in str(source.last_error)
        assert not source.connected


@both
@asynchronous
async def test_mutual_tls_carries_messages(
    start_mosquitto: Callable[..., Mosquitto], certificates: Certificates, kind: type[AnySource]
):
    broker = start_mosquitto(tls(certificates, mutual=True))
    cert, key = certificates.issue("gateway")
    source = make(
        kind, broker.port, ca_file=certificates.ca, cert_file=cert, key_file=key, topics=("own/#",)
    )
    async with intake(source) as (group, ledger):
        # large enough to come in several TLS records
        await source.publish("own/topic", b"x" * 300_000, qos=1)
        await source.publish("own/topic", b"through", qos=1)
        await until(lambda: group.appended == 2)
        assert payloads(ledger)[1] == b"through"


@both
@on_plain_asyncio
async def test_the_sources_run_on_plain_asyncio_too(
    start_mosquitto: Callable[..., Mosquitto], certificates: Certificates, kind: type[AnySource]
):
    broker = start_mosquitto(tls(certificates))
    source = make(kind, broker.port, ca_file=certificates.ca, topics=("own/#",))
    async with intake(source) as (group, ledger):
        sent = [b"x" * 100_000, *(b"%d" % i for i in range(500))]
        await asyncio.gather(*(source.publish("own/topic", each, qos=1) for each in sent))
        await until(lambda: group.appended == len(sent))
        assert payloads(ledger) == sent


@both
@asynchronous
async def test_mutual_tls_without_a_certificate_is_not_let_in(
    start_mosquitto: Callable[..., Mosquitto], certificates: Certificates, kind: type[AnySource]
):
    broker = start_mosquitto(tls(certificates, mutual=True))
    source = make(kind, broker.port, ca_file=certificates.ca)
    async with intake(source, connected=False):
        await until(lambda: source.last_error is not None)
        assert not source.connected


@both
@asynchronous
async def test_ten_megabytes_go_through(mosquitto: Mosquitto, kind: type[AnySource]):
    large = bytes(10_000_000)
    async with intake(make(kind, mosquitto.port)) as (group, ledger):
        with Publisher("127.0.0.1", mosquitto.port) as device:
            await asyncio.to_thread(device.send, "meters/a", [b"before", large, b"after"])
        await until(lambda: group.appended == 3)
        assert payloads(ledger) == [b"before", large, b"after"]


@asynchronous
async def test_the_session_survives_a_packet_above_the_limit(mosquitto: Mosquitto):
    source = make(Mqtt5Source, mosquitto.port, max_packet_size=100_000)
    async with intake(source) as (group, ledger):
        with Publisher("127.0.0.1", mosquitto.port) as device:
            await asyncio.to_thread(device.send, "meters/a", [b"1", bytes(200_000), b"2"])
        await until(lambda: group.appended == 2)
        assert payloads(ledger) == [b"1", b"2"]
        assert source.reconnects == 0


@both
@asynchronous
async def test_a_broker_that_stops_is_noticed_and_found_again(
    mosquitto: Mosquitto, kind: type[AnySource]
):
    source = make(kind, mosquitto.port, keep_alive=1, connect_timeout=0.5)
    async with intake(source) as (group, _):
        mosquitto.freeze()
        await until(lambda: not source.connected, 5)
        assert "half-open" in str(source.last_error) or "no answer" in str(source.last_error)
        mosquitto.thaw()
        await until(lambda: source.connected)
        with Publisher("127.0.0.1", mosquitto.port) as device:
            await asyncio.to_thread(device.send, "meters/a", [b"again"])
        await until(lambda: group.appended == 1)


@both
@asynchronous
async def test_a_half_open_link_is_noticed_by_keep_alive(
    mosquitto: Mosquitto, kind: type[AnySource]
):
    async with Cable(mosquitto.port) as cable:
        source = make(kind, cable.port, keep_alive=1, connect_timeout=0.3)
        async with intake(source) as (group, ledger):
            cable.stall()
            with Publisher("127.0.0.1", mosquitto.port) as device:
                await asyncio.to_thread(device.send, "meters/a", [b"meanwhile"])
            await until(lambda: not source.connected, 5)
            cable.mend()
            await until(lambda: group.appended >= 1)
            assert set(payloads(ledger)) == {b"meanwhile"}


@both
@asynchronous
async def test_a_blocked_ledger_does_not_cost_the_connection(
    mosquitto: Mosquitto, kind: type[AnySource]
):
    source = make(kind, mosquitto.port, keep_alive=1)
    async with intake(source) as (group, ledger):
        ledger.gate.clear()
        with Publisher("127.0.0.1", mosquitto.port) as device:
            await asyncio.to_thread(device.send, "meters/a", [b"%d" % i for i in range(1500)])
        await asyncio.sleep(2.1)
        ledger.gate.set()
        await until(lambda: group.appended == 1500)
        assert source.reconnects == 0
        assert payloads(ledger) == [b"%d" % i for i in range(1500)]


@asynchronous
async def test_a_flood_at_qos_0_is_held_back_in_the_broker_without_losing_the_link(
    mosquitto: Mosquitto,
):
    source = make(Mqtt5Source, mosquitto.port, qos=0, keep_alive=1)
    commit = CommitSettings(max_messages=100, max_pending_messages=1000)
    async with intake(source, commit=commit) as (group, ledger):
        ledger.gate.clear()
        with Publisher("127.0.0.1", mosquitto.port) as device:
            flood = [bytes(1000)] * 30_000
            await asyncio.to_thread(device.send, "meters/a", flood, 0)
            await asyncio.sleep(1.5)
            session = source._session
            assert session is not None
            held = group.pending + session.waiting
            ledger.gate.set()
            await until(lambda: group.pending == 0)
            assert held < 10_000
            await asyncio.to_thread(device.send, "meters/a", [b"the end"])
        await until(lambda: payloads(ledger)[-1:] == [b"the end"])
        assert source.reconnects == 0


@asynchronous
async def test_a_link_that_breaks_while_the_ledger_is_held_up_is_shown_as_broken(
    mosquitto: Mosquitto,
):
    async with Cable(mosquitto.port) as cable:
        source = make(Mqtt5Source, cable.port, qos=0, keep_alive=1)
        async with intake(source, commit=CommitSettings(max_pending_messages=10)) as running:
            group, ledger = running
            ledger.gate.clear()
            with Publisher("127.0.0.1", mosquitto.port) as device:
                await asyncio.to_thread(device.send, "meters/a", [bytes(1000)] * 20_000, 0)
            await until(lambda: group.pending >= 10)
            cable.cut()
            await until(lambda: not source.connected)


@asynchronous
async def test_the_receive_maximum_bounds_what_is_not_acknowledged(mosquitto: Mosquitto):
    source = make(Mqtt5Source, mosquitto.port, receive_maximum=10)
    async with intake(source) as (group, ledger):
        ledger.gate.clear()
        with Publisher("127.0.0.1", mosquitto.port) as device:
            await asyncio.to_thread(device.send, "meters/a", [b"%d" % i for i in range(50)])
        await asyncio.sleep(0.2)
        assert group.received == 10
        ledger.gate.set()
        await until(lambda: group.appended == 50)


@both
@asynchronous
async def test_two_brokers_feed_one_ledger(
    start_mosquitto: Callable[..., Mosquitto], kind: type[AnySource]
):
    brokers = [start_mosquitto(), start_mosquitto()]
    sources = [make(kind, broker.port, name=f"b{broker.port}") for broker in brokers]
    async with intake(*sources) as (group, ledger):
        for broker in brokers:
            with Publisher("127.0.0.1", broker.port) as device:
                await asyncio.to_thread(device.send, f"meters/{broker.port}", [b"1", b"2"])
        await until(lambda: group.appended == 4)
        topics = [topic for topic, _, _ in ledger.messages]
        assert sorted(topics) == sorted(f"meters/{b.port}" for b in brokers for _ in range(2))


@both
@asynchronous
async def test_a_shared_subscription_gives_each_message_to_one_of_two(
    mosquitto: Mosquitto, kind: type[AnySource]
):
    one = make(kind, mosquitto.port, client_id="one", share="gateways")
    two = make(kind, mosquitto.port, client_id="two", share="gateways")
    async with intake(one) as (first, _), intake(two) as (second, _):
        with Publisher("127.0.0.1", mosquitto.port) as device:
            await asyncio.to_thread(device.send, "meters/a", [b"%d" % i for i in range(100)])
        await until(lambda: first.appended + second.appended == 100)
        assert first.appended
        assert second.appended


@both
@asynchronous
async def test_a_session_that_the_broker_forgot_is_told(
    start_mosquitto: Callable[..., Mosquitto], kind: type[AnySource]
):
    broker = start_mosquitto(persistence=False)
    source = make(kind, broker.port)
    with capture_logs() as logs:
        async with intake(source):
            await asyncio.to_thread(broker.restart)
            await until(lambda: source.sessions_lost == 1)
            assert "forgotten our session" in str(source.last_error)
            assert source.connected
    assert "session lost" in [line["event"] for line in logs]
    assert "as gateway-1 (" in broker.log


@both
@asynchronous
async def test_the_will_is_published_when_the_link_breaks(
    mosquitto: Mosquitto, kind: type[AnySource]
):
    topic = "supervision/gateway/g/status"
    async with Cable(mosquitto.port) as cable:
        source = make(kind, cable.port, will=Will(topic, b"gone"))
        with Publisher("127.0.0.1", mosquitto.port) as listener:
            listener.listen(topic)
            async with intake(source):
                await source.publish(topic, b"here", retain=True)
                await until(lambda: (topic, b"here", False) in listener.heard)
                cable.cut()
                await until(lambda: (topic, b"gone", False) in listener.heard)


@both
@asynchronous
async def test_a_clean_farewell_leaves_the_session_and_no_will(
    mosquitto: Mosquitto, kind: type[AnySource]
):
    source = make(kind, mosquitto.port, will=Will("status", b"gone"))
    with Publisher("127.0.0.1", mosquitto.port) as listener:
        listener.listen("status")
        async with intake(source):
            began = time.monotonic()
        assert time.monotonic() - began < 2
        await asyncio.to_thread(listener.send, "meters/a", [b"queued"])
        async with intake(make(kind, mosquitto.port)) as (group, _):
            await until(lambda: group.appended == 1)
        assert listener.heard == []


@both
@asynchronous
async def test_publishing_without_a_connection_says_so(kind: type[AnySource]):
    source = make(kind, 1)
    with pytest.raises(Exception, match="not connected"):
        await source.publish("a", b"b")

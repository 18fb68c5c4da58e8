"""The embedded broker: devices on its MQTT 3.1.1 port, the gateway on its MQTT 5 port."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from gateway.sources.embedded import EmbeddedBroker, free_port
from gateway.sources.mqtt5 import Mqtt5Source
from gateway.sources.mqtt311 import Mqtt311Source
from tests.brokers import Publisher
from tests.sources.harness import (
    BOTH,
    AnySource,
    Cable,
    asynchronous,
    intake,
    make,
    payloads,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PORT: dict[type[AnySource], Callable[[EmbeddedBroker], int]] = {
    Mqtt5Source: lambda broker: broker.v5_port,
    Mqtt311Source: lambda broker: broker.v4_port,
}
both = pytest.mark.parametrize("kind", BOTH)


@both
@pytest.mark.parametrize("qos", [0, 1, 2])
@asynchronous
async def test_every_message_reaches_the_ledger_in_order(
    embedded_broker: EmbeddedBroker, kind: type[AnySource], qos: int
):
    source = make(kind, PORT[kind](embedded_broker))
    sent = [b"%d" % i for i in range(1000)]
    async with intake(source) as (group, ledger):
        with Publisher("127.0.0.1", embedded_broker.v4_port) as device:
            await asyncio.to_thread(device.send, "meters/a", sent, qos)
        await until(lambda: group.appended == len(sent))
        assert payloads(ledger) == sent


@both
@asynchronous
async def test_what_was_not_acknowledged_comes_again(
    embedded_broker: EmbeddedBroker, kind: type[AnySource]
):
    async with Cable(PORT[kind](embedded_broker)) as cable:
        source = make(kind, cable.port)
        async with intake(source) as (group, ledger):
            ledger.gate.clear()
            with Publisher("127.0.0.1", embedded_broker.v4_port) as device:
                await asyncio.to_thread(device.send, "meters/a", [b"1", b"2", b"3"])
            await until(lambda: group.received == 3)
            cable.cut()
            await until(lambda: source.reconnects == 1)
            await until(lambda: group.received == 6)
            ledger.gate.set()
            await until(lambda: group.appended == 6)
            assert sorted(payloads(ledger)) == sorted([b"1", b"2", b"3"] * 2)


@both
@asynchronous
async def test_a_large_payload_goes_through(embedded_broker: EmbeddedBroker, kind: type[AnySource]):
    async with intake(make(kind, PORT[kind](embedded_broker))) as (group, ledger):
        with Publisher("127.0.0.1", embedded_broker.v4_port) as device:
            await asyncio.to_thread(device.send, "meters/a", [bytes(10_000_000), b"after"])
        await until(lambda: group.appended == 2)
        assert [len(payload) for payload in payloads(ledger)] == [10_000_000, 5]


@both
@asynchronous
async def test_its_restart_is_survived_and_the_lost_session_told(kind: type[AnySource]):
    v4, v5 = free_port(), free_port()
    with EmbeddedBroker(v4, v5) as first:
        source = make(kind, PORT[kind](first))
        async with intake(source) as (group, _):
            await asyncio.to_thread(first.stop)
            await until(lambda: not source.connected)
            with EmbeddedBroker(v4, v5):
                await until(lambda: source.connected)
                assert source.sessions_lost == 1
                with Publisher("127.0.0.1", v4) as device:
                    await asyncio.to_thread(device.send, "meters/a", [b"1"])
                await until(lambda: group.appended == 1)


def test_a_port_in_use_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            EmbeddedBroker(v4_port=port).start()


@asynchronous
async def test_each_message_of_a_wildcard_subscription_keeps_its_own_topic(
    embedded_broker: EmbeddedBroker,
):
    # Allowed to use aliases, this broker gives all topics of one filter the same.
    async with intake(make(Mqtt5Source, embedded_broker.v5_port)) as (group, ledger):
        with Publisher("127.0.0.1", embedded_broker.v4_port) as device:
            for number in range(4):
                await asyncio.to_thread(device.send, f"meters/{number}", [b"%d" % number] * 5)
        await until(lambda: group.appended == 20)
        assert {(topic, payload) for topic, payload, _ in ledger.messages} == {
            (f"meters/{number}", b"%d" % number) for number in range(4)
        }

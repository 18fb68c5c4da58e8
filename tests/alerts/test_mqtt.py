"""Flags on MQTT, by a real Mosquitto: topic, quality of service, a broker that goes or refuses."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.alerts import Later
from gateway.alerts.mqtt import MqttTarget, topic_of
from gateway.alerts.outbox import Letter
from gateway.alerts.spec import AlertSpec, MqttSpec
from gateway.sources import BrokerSettings
from tests.alerts.conftest import later
from tests.alerts.servers import nonsense, until
from tests.brokers import PASSWORD, USERNAME, Publisher, password_file  # noqa: F401 - a fixture
from tests.store.made import flag


def spec(port, version="mqtt5", **fields):
    broker = BrokerSettings(
        **{
            "name": "main",
            "host": "127.0.0.1",
            "port": port,
            "topics": ("#",),
            "client_id": "gateway-alert",
            "connect_timeout": 1.0,
        }
        | fields
    )
    return AlertSpec(name="duty", target=MqttSpec(broker=broker, version=version))


def letter(n=1, **record):
    body = {"event": "raised", "id": "flag-1", "kind": "water_meter", "device_id": "w-1"} | record
    return Letter(n, f"k-{n}", "flag-1", "raised", "major", 0, json.dumps(body).encode())


def sent(alert, *letters):
    async def send():
        target = MqttTarget(alert.target)
        try:
            await target.send(letters)
        finally:
            await target.close()

    asyncio.run(send())


@pytest.mark.parametrize(
    ("record", "topic"),
    [
        ({"region": "110105", "kind": "gas_meter", "device_id": "g"}, "f/110105/gas_meter/g"),
        ({"kind": "gas_meter", "device_id": "g"}, "f/unknown/gas_meter/g"),
        ({"kind": "k", "device_id": "a/b+c#d%\0"}, "f/unknown/k/a%2Fb%2Bc%23d%25%00"),
    ],
)
def test_the_topic_names_region_kind_and_device_and_nothing_can_break_out(record, topic):
    assert topic_of("f", record) == topic


@pytest.mark.parametrize("version", ["mqtt5", "mqtt311"])
def test_flags_come_with_qos_1_not_retained_and_as_in_the_export(bench, mosquitto, version):
    bench.register("w-1", region="110105")
    first = flag(1)

    async def story():
        async with bench.running(spec(mosquitto.port, version)):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(first)
            await until(bench.idle)
            bench.commit(later(first, status="ended"))
            await until(bench.idle)

    with Publisher(mosquitto.host, mosquitto.port) as inspector:
        inspector.listen("supervision/flags/#")
        asyncio.run(story())
        asyncio.run(until(lambda: len(inspector.heard) == 2))
    topics = {topic for topic, _, _ in inspector.heard}
    assert topics == {"supervision/flags/110105/water_meter/w-1"}
    told = [json.loads(payload) for _, payload, _ in inspector.heard]
    assert [(each["id"], each["event"], each["status"]) for each in told] == [
        ("flag-1", "raised", "open"), ("flag-1", "ended", "ended"),
    ]  # fmt: skip
    assert [retain for *_, retain in inspector.heard] == [False, False]
    assert "PUBLISH from gateway-alert (d0, q1, r0" in mosquitto.log


def test_a_broker_that_goes_and_comes_gets_everything(bench, mosquitto):
    async def story():
        async with bench.running(spec(mosquitto.port)) as (alert,):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1))
            await until(bench.idle)
            mosquitto.stop()
            bench.commit(flag(2), flag(3))
            await until(lambda: alert.state.error)
            mosquitto.start()
            with Publisher(mosquitto.host, mosquitto.port) as inspector:
                inspector.listen("supervision/flags/#")
                await until(lambda: len(inspector.heard) >= 2)
                await until(bench.idle)
                found = {json.loads(payload)["id"] for _, payload, _ in inspector.heard}
                assert found == {"flag-2", "flag-3"}
            alert.count()
            assert alert.state.error is None

    asyncio.run(story())


def test_a_broker_that_does_not_answer_delays_and_no_more(bench, mosquitto):
    async def story():
        async with bench.running(spec(mosquitto.port)) as (alert,):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1))
            await until(bench.idle)
            mosquitto.freeze()
            bench.commit(flag(2))
            await until(lambda: alert.state.error)
            mosquitto.thaw()
            await until(bench.idle)

    asyncio.run(story())


def test_a_publish_that_the_broker_refuses_counts_as_not_taken(start_mosquitto, tmp_path):
    acl = tmp_path / "acl"
    acl.write_text("topic write other/#\n")
    broker = start_mosquitto(extra=f"acl_file {acl}")
    with pytest.raises(Later, match="refuses supervision/flags/unknown/water_meter/w-1: Not auth"):
        sent(spec(broker.port), letter())


def test_a_wrong_password_is_told_and_not_shown(start_mosquitto, password_file):  # noqa: F811
    broker = start_mosquitto(extra=f"allow_anonymous false\npassword_file {password_file}")
    right = spec(broker.port, username=USERNAME, password=PASSWORD)
    sent(right, letter())
    with pytest.raises(Later, match=r"(?i)not authorized") as told:
        sent(spec(broker.port, username=USERNAME, password="hunter22"), letter())
    assert "hunter22" not in str(told.value)
    assert PASSWORD not in repr(right)


def test_what_is_no_broker_is_told_as_such():
    with nonsense() as mad, nonsense(silent=True) as slow:
        for port in (1, mad, slow):
            with pytest.raises(Later, match=rf"127\.0\.0\.1:{port}"):
                sent(spec(port), letter())


def test_a_probe_connects_and_publishes_nothing(mosquitto):
    async def ask():
        target = MqttTarget(spec(mosquitto.port).target)
        try:
            return await target.probe()
        finally:
            await target.close()

    with Publisher(mosquitto.host, mosquitto.port) as inspector:
        inspector.listen("#")
        assert "lets us in" in asyncio.run(ask())
        assert inspector.heard == []

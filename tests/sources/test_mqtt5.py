"""The MQTT 5 session where brokers differ or misbehave."""

from __future__ import annotations

import asyncio

import mqtt5
import pytest
from mqtt5 import ConnAckPacket, ConnAckReasonCode, PublishPacket, QoS
from structlog.testing import capture_logs

from gateway.errors import SourceLost, SourceRefused
from gateway.sources.mqtt5 import Mqtt5Source
from gateway.sources.mqtt5_session import Session
from gateway.sources.mqtt5_wire import frame_size
from gateway.testing import ManualClock
from tests.brokers import Mosquitto, Publisher
from tests.sources.fake_server import FakeServer
from tests.sources.harness import asynchronous, intake, make, payloads, settings, until


def resumed() -> ConnAckPacket:
    return ConnAckPacket(session_present=True)


def message(
    payload: bytes, packet_id: int, qos: QoS = QoS.AT_LEAST_ONCE, *, duplicate: bool = False
) -> PublishPacket:
    return PublishPacket("m", payload, qos=qos, packet_id=packet_id, duplicate=duplicate)


@asynchronous
async def test_a_topic_alias_stands_for_its_topic():
    async with (
        FakeServer() as server,
        intake(make(Mqtt5Source, server.port, topic_aliases=1024)) as (group, ledger),
    ):
        server.send(
            PublishPacket("meters/long/topic", b"1", topic_alias=7),
            PublishPacket("", b"2", topic_alias=7),
            PublishPacket("meters/other", b"3", topic_alias=7),
            PublishPacket("", b"4", qos=QoS.AT_LEAST_ONCE, packet_id=1, topic_alias=7),
        )
        await until(lambda: group.appended == 4)
        topics = [topic for topic, _, _ in ledger.messages]
        assert topics == ["meters/long/topic"] * 2 + ["meters/other"] * 2


@pytest.mark.parametrize(
    ("alias", "code"),
    [
        (7, mqtt5.DisconnectReasonCode.PROTOCOL_ERROR),
        (60_000, mqtt5.DisconnectReasonCode.TOPIC_ALIAS_INVALID),
    ],
)
@asynchronous
async def test_an_alias_that_was_never_set_ends_the_connection(
    alias: int, code: mqtt5.DisconnectReasonCode
):
    source = None
    async with FakeServer(resumed) as server:
        source = make(Mqtt5Source, server.port, topic_aliases=1024)
        async with intake(source) as (group, ledger):
            server.send(message(b"good", 1), PublishPacket("", b"bad", topic_alias=alias))
            await until(lambda: source.reconnects == 1)
            await until(lambda: group.appended == 1)
            assert payloads(ledger) == [b"good"]
            assert [p.reason_code for p in server.got(mqtt5.DisconnectPacket)] == [code]


@asynchronous
async def test_aliases_end_with_their_connection():
    async with FakeServer(resumed) as server:
        source = make(Mqtt5Source, server.port, topic_aliases=1024)
        async with intake(source) as (group, _):
            server.send(PublishPacket("meters/a", b"1", topic_alias=1))
            await until(lambda: group.appended == 1)
            server.drop()
            await until(lambda: source.reconnects == 1)
            server.send(PublishPacket("", b"2", topic_alias=1))
            await until(lambda: source.reconnects == 2)
            assert group.received == 1


@asynchronous
async def test_the_dup_bit_is_no_reason_to_drop():
    async with FakeServer() as server, intake(make(Mqtt5Source, server.port)) as (group, ledger):
        server.send(message(b"first seen as DUP", 1, duplicate=True), message(b"x", 2))
        server.send(message(b"x", 2, duplicate=True))
        await until(lambda: group.appended == 3)
        assert payloads(ledger) == [b"first seen as DUP", b"x", b"x"]


@asynchronous
async def test_acknowledgements_go_out_in_the_order_of_receipt():
    async with FakeServer() as server, intake(make(Mqtt5Source, server.port)) as (group, ledger):
        ledger.gate.clear()
        before = len(server.raw)
        for packet_id in (5, 3, 9):
            server.send(message(b"a", packet_id))
        server.send(message(b"b", 2, QoS.EXACTLY_ONCE), PublishPacket("m", b"c"), message(b"d", 4))
        await until(lambda: group.received == 6)
        await asyncio.sleep(0.05)
        assert len(server.raw) == before, "acknowledged before it was safe"
        ledger.gate.set()
        await until(lambda: len(server.got(mqtt5.PubAckPacket)) == 4)
        acks = server.got((mqtt5.PubAckPacket, mqtt5.PubRecPacket))
        assert [packet.packet_id for packet in acks] == [5, 3, 9, 2, 4]


@asynchronous
async def test_qos_2_is_received_once_through_redelivery_and_release():
    async with FakeServer(resumed) as server:
        source = make(Mqtt5Source, server.port)
        async with intake(source) as (group, ledger):
            server.send(message(b"once", 8, QoS.EXACTLY_ONCE))
            await until(lambda: len(server.got(mqtt5.PubRecPacket)) == 1)
            server.drop()
            await server.ready.wait()
            server.send(message(b"once", 8, QoS.EXACTLY_ONCE, duplicate=True))
            await until(lambda: len(server.got(mqtt5.PubRecPacket)) == 2)
            server.send(mqtt5.PubRelPacket(8))
            await until(lambda: len(server.got(mqtt5.PubCompPacket)) == 1)
            assert payloads(ledger) == [b"once"]
            server.send(message(b"another", 8, QoS.EXACTLY_ONCE))  # free again after the release
            await until(lambda: group.appended == 2)


@asynchronous
async def test_qos_2_sent_again_before_the_fsync_is_stored_once_and_recorded_then():
    async with FakeServer(resumed) as server:
        source = make(Mqtt5Source, server.port)
        async with intake(source) as (group, ledger):
            ledger.gate.clear()
            server.send(message(b"once", 8, QoS.EXACTLY_ONCE))
            await until(lambda: group.received == 1)
            server.drop()
            await until(lambda: source.reconnects == 1)
            server.send(message(b"once", 8, QoS.EXACTLY_ONCE, duplicate=True))
            await asyncio.sleep(0.1)
            assert server.got(mqtt5.PubRecPacket) == []
            ledger.gate.set()
            await until(lambda: len(server.got(mqtt5.PubRecPacket)) == 1)
            assert payloads(ledger) == [b"once"]


@asynchronous
async def test_an_identifier_that_a_confused_server_gives_to_other_content_is_not_dropped():
    async with FakeServer(resumed) as server, intake(make(Mqtt5Source, server.port)) as running:
        group, ledger = running
        server.send(message(b"one", 8, QoS.EXACTLY_ONCE))
        await until(lambda: group.appended == 1)
        server.send(message(b"two", 8, QoS.EXACTLY_ONCE))
        await until(lambda: group.appended == 2)
        assert payloads(ledger) == [b"one", b"two"]


@asynchronous
async def test_a_new_session_of_the_server_forgets_what_was_received():
    async with FakeServer() as server:  # it never has a session for us
        source = make(Mqtt5Source, server.port)
        async with intake(source) as (group, ledger):
            server.send(message(b"same", 8, QoS.EXACTLY_ONCE))
            await until(lambda: group.appended == 1)
            server.drop()
            await server.ready.wait()
            server.send(message(b"same", 8, QoS.EXACTLY_ONCE))
            await until(lambda: group.appended == 2)
            assert payloads(ledger) == [b"same", b"same"]


@asynchronous
async def test_a_release_of_something_unknown_is_completed():
    async with FakeServer() as server, intake(make(Mqtt5Source, server.port)):
        server.send(mqtt5.PubRelPacket(77))
        await until(lambda: server.got(mqtt5.PubCompPacket))
        (answer,) = server.got(mqtt5.PubCompPacket)
        assert answer.packet_id == 77
        assert answer.reason_code == mqtt5.PubCompReasonCode.PACKET_ID_NOT_FOUND


@asynchronous
async def test_stale_acknowledgements_are_not_sent_on_the_next_connection():
    async with FakeServer(resumed) as server:
        source = make(Mqtt5Source, server.port)
        async with intake(source) as (group, ledger):
            ledger.gate.clear()
            server.send(message(b"a", 1))
            await until(lambda: group.received == 1)
            server.drop()
            await until(lambda: source.reconnects == 1)
            ledger.gate.set()
            await until(lambda: group.appended == 1)
            await asyncio.sleep(0.05)
            assert server.got(mqtt5.PubAckPacket) == []


@pytest.mark.parametrize("expected", [True, False])
@asynchronous
async def test_a_session_missing_at_the_first_connection_is_told_if_it_was_expected(
    expected: bool,
):
    async with FakeServer() as server:
        source = Mqtt5Source(settings(server.port), session_expected=expected)
        with capture_logs() as logs:
            async with intake(source):
                assert source.sessions_lost == int(expected)
        assert ("session lost" in [line["event"] for line in logs]) is expected


@asynchronous
async def test_the_servers_farewell_is_told_in_words():
    async with FakeServer() as server:
        source = make(Mqtt5Source, server.port, reconnect_min=5, reconnect_max=5)
        async with intake(source):
            server.send(
                mqtt5.DisconnectPacket(
                    reason_code=mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN,
                    reason_str="back at noon",
                )
            )
            await until(lambda: not source.connected)
            assert "server shutting down (0x8B): back at noon" in str(source.last_error)


@asynchronous
async def test_a_refusal_is_told_in_words_and_tried_again_until_it_is_mended():
    answers = [ConnAckReasonCode.NOT_AUTHORIZED] * 2 + [ConnAckReasonCode.SUCCESS]

    def connack() -> ConnAckPacket:
        code = answers.pop(0) if len(answers) > 1 else answers[0]
        return ConnAckPacket(reason_code=code)

    async with FakeServer(connack) as server:
        source = make(Mqtt5Source, server.port)
        with capture_logs() as logs:
            async with intake(source):
                assert server.connections == 3
        events = [line["event"] for line in logs if line["event"] != "closed"]
        assert events == ["refused by the broker", "connected"]
        assert "not authorized (0x87)" in logs[0]["error"]


@pytest.mark.parametrize(
    ("code", "fewest", "most"),
    [
        (ConnAckReasonCode.NOT_AUTHORIZED, 2, 6),  # always the longest delay
        (ConnAckReasonCode.SERVER_BUSY, 6, 16),  # 25, 50, 100, 200, 200, ... ms
    ],
)
@asynchronous
async def test_attempts_back_off(code: ConnAckReasonCode, fewest: int, most: int):
    async with FakeServer(lambda: ConnAckPacket(reason_code=code)) as server:
        source = make(Mqtt5Source, server.port, reconnect_min=0.025, reconnect_max=0.2)
        async with intake(source, connected=False):
            await asyncio.sleep(0.6 if fewest == 2 else 1.2)
            assert fewest <= server.connections <= most


@asynchronous
async def test_a_refused_subscription_is_an_error():
    async with FakeServer(granted=mqtt5.SubAckReasonCode.NOT_AUTHORIZED) as server:
        source = make(Mqtt5Source, server.port)
        async with intake(source, connected=False):
            await until(lambda: source.last_error is not None)
            assert "meters/# (0x87)" in str(source.last_error)
            assert not source.connected


@asynchronous
async def test_a_lower_qos_than_asked_for_is_told():
    async with FakeServer(granted=mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE) as server:
        source = make(Mqtt5Source, server.port)
        async with intake(source):
            assert "meters/#: asked for 1" in str(source.last_error)


@asynchronous
async def test_what_connect_says_is_what_the_settings_say():
    async with FakeServer() as server:
        source = make(
            Mqtt5Source, server.port, receive_maximum=123, session_expiry=456, keep_alive=78
        )
        async with intake(source):
            (connect,) = server.got(mqtt5.ConnectPacket)
            assert connect.client_id == "gateway-1"
            assert not connect.clean_start
            assert connect.receive_max == 123
            assert connect.session_expiry_interval == 456
            assert connect.keep_alive == 78


@asynchronous
async def test_the_servers_keep_alive_counts_and_a_dead_server_is_noticed():
    async with FakeServer(lambda: ConnAckPacket(server_keep_alive=1)) as server:
        source = make(Mqtt5Source, server.port, keep_alive=600)
        async with intake(source):
            await until(lambda: server.got(mqtt5.PingReqPacket), 2)
            await asyncio.sleep(0.7)
            assert source.reconnects == 0
            server.answers_pings = False
            await until(lambda: source.reconnects == 1, 3)


@asynchronous
async def test_packets_may_come_in_any_pieces():
    async with FakeServer() as server, intake(make(Mqtt5Source, server.port)) as (group, ledger):
        large = bytes(range(256)) * 2_000
        stream = b"".join(
            message(payload, i + 1).write() for i, payload in enumerate([b"a", large, b"", large])
        )
        for i in range(40):
            server.send(stream[i : i + 1])
            await asyncio.sleep(0)
        for i in range(40, len(stream), 99_991):
            server.send(stream[i : i + 99_991])
            await asyncio.sleep(0.002)
        await until(lambda: group.appended == 4)
        assert payloads(ledger) == [b"a", large, b"", large]


@asynchronous
async def test_a_packet_above_the_limit_is_not_even_buffered():
    async with FakeServer() as server:
        source = make(Mqtt5Source, server.port, max_packet_size=2_000)
        async with intake(source):
            server.send(message(bytes(5_000_000), 1).write()[:1000])
            await until(lambda: source.reconnects == 1)
            (farewell,) = server.got(mqtt5.DisconnectPacket)
            assert farewell.reason_code == mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE


# mqtt5 panics over a topic that is not UTF-8, and leaves Python's own error behind
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("frame", "topic", "payload"),
    [
        # the same property twice
        (b"\x32\x0c\x00\x01a\x00\x05\x04\x01\x00\x01\x00xx", "a", b"xx"),
        # a topic that is not UTF-8
        (b"\x32\x09\x00\x02\xff\xfe\x00\x05\x00xx", "\\xff\\xfe", b"xx"),
    ],
)
@asynchronous
async def test_a_malformed_message_is_kept_and_does_not_stop_the_stream(
    frame: bytes, topic: str, payload: bytes
):
    async with FakeServer() as server:
        source = make(Mqtt5Source, server.port)
        async with intake(source) as (group, ledger):
            server.send(message(b"before", 1), frame, message(b"after", 2))
            await until(lambda: group.appended == 3)
            assert [m[:2] for m in ledger.messages][1] == (topic, payload)
            await until(lambda: len(server.got(mqtt5.PubAckPacket)) == 3)
            assert source.reconnects == 0


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\x00",
        b"\xff" * 8,
        b"\x32\x03\x00\x09a",
        b"\x20\x03\x00\x00\x00",
        b"HTTP/1.1 400 Bad Request" + bytes(99),
    ],
)
@asynchronous
async def test_junk_ends_the_connection_and_not_the_gateway(junk: bytes):
    async with FakeServer() as server:
        source = make(Mqtt5Source, server.port)
        async with intake(source) as (group, _):
            server.send(junk)
            await until(lambda: source.reconnects == 1)
            server.send(message(b"fine", 1))
            await until(lambda: group.appended == 1)


@asynchronous
async def test_received_at_is_the_injected_clocks():
    clock = ManualClock()
    async with FakeServer() as server:
        source = Mqtt5Source(settings(server.port), clock=clock)
        async with intake(source) as (group, ledger):
            server.send(message(b"1", 1))
            await until(lambda: group.appended == 1)
            clock.advance(60)
            server.send(message(b"2", 2))
            await until(lambda: group.appended == 2)
            times = [received_at for _, _, received_at in ledger.messages]
            assert times[1] - times[0] == 60_000_000_000


@asynchronous
async def test_the_session_alone_gives_messages_one_by_one(mosquitto: Mosquitto):
    connect = mqtt5.ConnectPacket("alone", session_expiry_interval=60, keep_alive=5)
    async with Session("127.0.0.1", mosquitto.port, connect) as session:
        await session.subscribe([mqtt5.TopicFilter("t/#", max_qos=QoS.AT_LEAST_ONCE)])
        with Publisher("127.0.0.1", mosquitto.port) as device:
            await asyncio.to_thread(device.send, "t/x", [b"0", b"1", b"2"])
        seen = []
        async for item in session.messages():
            seen.append((item.topic, item.payload, item.qos))
            if item.payload != b"1":  # this one is left unacknowledged
                session.acknowledge_message(item)
            if len(seen) == 3:
                break
    assert seen == [("t/x", b"%d" % i, 1) for i in range(3)]
    async with Session("127.0.0.1", mosquitto.port, connect) as session:
        assert session.connack.session_present
        async for item in session.messages():
            assert item.payload == b"1"
            break


@asynchronous
async def test_a_publish_that_the_link_does_not_outlast_says_so():
    async with FakeServer() as server:
        connect = mqtt5.ConnectPacket("alone")
        async with Session("127.0.0.1", server.port, connect) as session:
            await session.publish("a", b"taken", qos=1)
            server.drop()
            await until(lambda: session.lost is not None)
            with pytest.raises((SourceLost, OSError)):
                await session.publish("a", b"lost", qos=1)


@asynchronous
async def test_a_publish_above_the_brokers_limit_is_refused_here():
    connect = mqtt5.ConnectPacket("alone")
    async with (
        FakeServer(lambda: ConnAckPacket(max_packet_size=100)) as server,
        Session("127.0.0.1", server.port, connect) as session,
    ):
        with pytest.raises(SourceRefused, match="at most 100"):
            await session.publish("a", bytes(200))


@pytest.mark.parametrize(
    ("head", "size"),
    [(b"", None), (b"\x30", None), (b"\x30\x80", None), (b"\x30\x05", 7), (b"\x30\x80\x01", 131)],
)
def test_frame_size_reads_the_fixed_header(head: bytes, size: int | None):
    assert frame_size(memoryview(head)) == size

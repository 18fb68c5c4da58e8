"""What a broker's settings refuse, and what they never show."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from gateway.errors import ConfigError, SourceRefused
from gateway.sources import Arrivals, BrokerSettings
from gateway.sources.link import Mailbox, tls_context
from tests.sources.harness import BOTH, AnySource, asynchronous, make, settings

if TYPE_CHECKING:
    from pathlib import Path


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        BrokerSettings(
            name="b", host="h", topics=(), client_id="", qos=3, receive_maximum=0, port=0
        )
    for key in ("topics", "client_id", "qos", "receive_maximum", "port"):
        assert f"{key}: " in str(caught.value)


def test_the_password_is_never_shown():
    assert "hunter2" not in repr(settings(1, username="u", password="hunter2"))


def test_a_share_is_part_of_every_filter():
    assert settings(1, topics=("a/#", "b/+"), share="g").filters == (
        "$share/g/a/#",
        "$share/g/b/+",
    )


def test_a_missing_certificate_file_is_named(tmp_path: Path):
    with pytest.raises(SourceRefused, match=r"nowhere\.pem"):
        tls_context(settings(1, ca_file=tmp_path / "nowhere.pem"))


@pytest.mark.parametrize("kind", BOTH)
@asynchronous
async def test_arrivals_of_another_source_are_not_acknowledged(kind: type[AnySource]):
    with pytest.raises(TypeError, match="not arrivals of this source"):
        make(kind, 1).acknowledge(Arrivals(["t"], [b""], 0))


@pytest.mark.parametrize("kind", BOTH)
@asynchronous
async def test_a_broker_that_is_not_there_is_tried_until_close(kind: type[AnySource]):
    source = make(kind, 1)
    running = asyncio.create_task(source.run())
    await asyncio.sleep(0.3)
    assert "127.0.0.1:1: " in str(source.last_error)
    assert not running.done()
    await source.close()
    await running
    assert [arrivals async for arrivals in source.arrivals()] == []


@pytest.mark.parametrize("kind", BOTH)
@asynchronous
async def test_close_does_not_wait_for_a_server_that_never_answers(kind: type[AnySource]):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = make(kind, silent.getsockname()[1], connect_timeout=30)
        running = asyncio.create_task(source.run())
        await asyncio.sleep(0.1)
        async with asyncio.timeout(3):
            await source.close()
            await running
        assert source.last_error is None


@asynchronous
async def test_a_mailbox_says_when_it_is_full_by_messages_or_bytes():
    mailbox = Mailbox(max_messages=3, max_bytes=100)
    mailbox.put(Arrivals(["t"] * 2, [b""] * 2, 0))
    assert not mailbox.full
    mailbox.put(Arrivals(["t"], [b""], 0))
    assert mailbox.full
    waiting = asyncio.create_task(mailbox.room())
    taken = await anext(aiter(mailbox))
    await waiting
    assert len(taken) == 2
    mailbox.put(Arrivals(["t"], [bytes(100)], 0))
    assert mailbox.full

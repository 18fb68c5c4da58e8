"""Webhooks: a target that is down, slow, refuses, or talks nonsense; what is given up."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from structlog.testing import capture_logs

from gateway.alerts import Later, Refused
from gateway.alerts.outbox import Letter
from gateway.alerts.signing import signatures, signing_keys
from gateway.alerts.spec import WebhookSpec
from gateway.alerts.webhook import WebhookTarget
from tests.alerts.conftest import later
from tests.alerts.servers import OTHER_SECRET, SECRET, nonsense, until
from tests.store.made import flag


def letter(key="flag-1-abc", **record):
    body = {"event": "raised", "version": 1, "id": "flag-1", "told_at": "2026-01-01T00:00:00Z"}
    return Letter(1, key, "flag-1", "raised", "major", 0, json.dumps(body | record).encode())


def sent(spec, *letters, clock=time.time):
    async def send():
        target = WebhookTarget(spec, clock)
        try:
            await target.send(letters)
        finally:
            await target.close()

    asyncio.run(send())


def spec(url, **fields):
    return WebhookSpec(**({"url": url, "keys": signing_keys(SECRET), "timeout": 0.5} | fields))


def test_both_keys_sign_while_keys_are_changed():
    keys = signing_keys(f"{OTHER_SECRET} {SECRET}")
    now = int(time.time())
    headers = {
        "webhook-id": "k",
        "webhook-timestamp": str(now),
        "webhook-signature": signatures(keys, "k", now, b"{}"),
    }
    for secret in (SECRET, OTHER_SECRET):
        assert Webhook(secret).verify(b"{}", headers) == {}
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(b"{ }", headers)


@pytest.mark.parametrize("text", ["", "whsec_***", "whsec_c2hvcnQ=", "whsec_" + "QUJD" * 30])
def test_a_key_that_is_none_is_refused_and_not_shown(text):
    with pytest.raises(ValueError, match="key") as refused:
        signing_keys(text)
    assert "QUJD" not in str(refused.value)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_2xx_is_success_whatever_comes_with_it(receiver, status):
    receiver.answer = status
    receiver.text = b"" if status == 204 else b"\xff<garbage" * 1000
    sent(spec(receiver.url), letter())
    (body,) = receiver.taken
    assert body == {
        "type": "flag.raised",
        "timestamp": "2026-01-01T00:00:00Z",
        "data": json.loads(letter().body),
    }


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_letter_is_to_blame_for_is_refused_in_the_servers_own_words(receiver, status):
    receiver.answer, receiver.text = status, b"no such\n field" + b"x" * 10_000
    with pytest.raises(Refused, match=f"answers {status}: no such field") as refused:
        sent(spec(receiver.url), letter())
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("status", [302, 401, 403, 404, 408, 410, 425, 429, 500, 503])
def test_anything_else_may_pass_and_no_redirect_is_followed(receiver, status):
    receiver.answer = status
    receiver.extra = {"Location": receiver.url}
    with pytest.raises(Later, match=f"answers {status}"):
        sent(spec(receiver.url), letter())
    assert len(receiver.seen) == 1


@pytest.mark.parametrize(
    ("header", "wait"),
    [("7", 7), (formatdate(1_000_009, usegmt=True), 9), ("soon", 0), ("nan", 0), ("-5", 0)],
)
def test_a_retry_after_is_heard(receiver, header, wait):
    receiver.answer, receiver.extra = 503, {"Retry-After": header}
    receiver.verifies = False  # the signature is of another time
    with pytest.raises(Later) as told:
        sent(spec(receiver.url), letter(), clock=lambda: 1_000_000)
    assert told.value.wait == wait


def test_a_server_that_is_away_slow_or_talks_nonsense_is_tried_later_and_no_path_is_shown():
    said = []
    with nonsense() as mad, nonsense(silent=True) as slow:
        for port in (1, mad, slow):
            url = f"http://127.0.0.1:{port}/hook/s3cr3t-path?key=s3cr3t-query"
            with pytest.raises(Later) as told:
                sent(spec(url), letter())
            said.append(str(told.value))
    assert all("127.0.0.1" in text and "s3cr3t" not in text for text in said), said
    assert "no answer within 0.5 s" in said[2]


def test_an_endless_answer_does_not_hold_the_courier():
    endless = b"HTTP/1.1 500 no\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 100_000
    with nonsense(endless) as port, pytest.raises(Later, match="answers 500: x"):
        sent(spec(f"http://127.0.0.1:{port}/"), letter())


def test_an_outage_delays_and_loses_nothing_and_a_flag_keeps_its_order(bench, receiver, hook):
    first = flag(1)
    receiver.stop()

    async def story():
        async with bench.running(hook()) as (alert,):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(first, flag(2))
            await until(lambda: alert.state.error)
            bench.commit(later(first, status="ended"))
            await until(lambda: alert.state.queued == 3)
            receiver.start()
            await until(bench.idle)
            alert.count()
            assert (alert.state.error, alert.state.sent) == (None, 3)
            assert alert.state.failures > 1

    with capture_logs() as logs:
        asyncio.run(story())
    told = [each for each in receiver.told if each[1] == "flag-1"]
    assert told == [("flag.raised", "flag-1", 1), ("flag.ended", "flag-1", 2)]
    assert len(receiver.taken) == 3
    events = [line["event"] for line in logs if "deliver" in line["event"]]
    assert events == ["alert is not delivered", "alert is delivered again"]
    assert "s3cr3t" not in str(logs)


def test_one_letter_that_is_not_taken_holds_up_no_other(bench, receiver, hook):
    receiver.answer = lambda _, body: 500 if body["data"]["id"] == "flag-1" else 204

    async def story():
        async with bench.running(hook()) as (alert,):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(*(flag(n) for n in range(1, 30)))
            await until(lambda: len(receiver.taken) == 28)
            receiver.answer = 204
            await until(bench.idle)
            assert alert.state.dead == 0

    asyncio.run(story())
    assert len({body["data"]["id"] for body in receiver.taken}) == 29


def test_a_refused_letter_is_dead_is_seen_and_goes_again_when_told(bench, receiver, hook):
    receiver.answer = lambda _, body: 422 if body["data"]["id"] == "flag-1" else 204
    receiver.text = b"unknown code"

    async def story():
        async with bench.running(hook()) as (alert,):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1), flag(2))
            await until(bench.idle)
            alert.count()
            assert (alert.state.dead, alert.state.sent) == (1, 1)
            assert len(receiver.seen) == 2  # not tried again
            receiver.answer, receiver.text = 204, b""
            outbox = bench.outbox()
            (dead,) = outbox.dead("duty")
            assert "answers 422: unknown code" in dead.error
            assert outbox.revive("duty", ["other"], at=time.time_ns()) == 0
            assert outbox.revive("duty", [dead.key], at=time.time_ns()) == 1
            outbox.close()
            await until(lambda: len(receiver.taken) == 2)

    asyncio.run(story())
    assert receiver.seen.count(receiver.seen[0]) + receiver.seen.count(receiver.seen[1]) == 3


def test_a_letter_is_given_up_when_its_time_is_over(bench, receiver, hook):
    receiver.answer = 503

    async def story():
        async with bench.running(hook(give_up=0.3)) as (alert,):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1))
            await until(lambda: alert.state.dead == 1)
            assert alert.state.queued == 0

    asyncio.run(story())
    assert 1 < len(receiver.seen) < 20
    assert len(set(receiver.seen)) == 1


def test_the_queue_is_bounded_and_the_rest_waits_in_the_store(bench, receiver, hook):
    receiver.answer = 503

    async def story():
        async with bench.running(hook(queue=10)) as (alert,):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(*(flag(n) for n in range(1, 41)))
            await until(lambda: alert.state.queued == 10)
            await until(lambda: alert.state.lag == 30)
            receiver.answer = 204
            await until(bench.idle)

    asyncio.run(story())
    assert len(receiver.taken) == 40
    assert len({body["data"]["id"] for body in receiver.taken}) == 40


def test_an_end_in_the_middle_of_an_attempt_is_quick_and_repeats_at_most_that(
    bench, receiver, hook
):
    receiver.wait.clear()  # it takes letters, and does not answer

    async def story():
        slow = hook(target=spec(receiver.url, timeout=60.0))
        async with bench.running(slow):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1))
            await until(lambda: receiver.seen)
            began = time.monotonic()
        assert time.monotonic() - began < 3
        receiver.wait.set()
        async with bench.running(slow):
            await until(bench.idle)

    asyncio.run(story())
    assert receiver.seen[0] == receiver.seen[1]
    assert len(receiver.seen) == 2


def test_no_secret_is_in_a_repr():
    shown = repr(spec("https://host.example/hook/s3cr3t-path?key=s3cr3t"))
    assert shown == "WebhookSpec(place='https://host.example')"
    assert msgspec.structs.asdict(spec("https://host.example/"))["keys"]


def test_a_private_authority_can_be_trusted(certificates):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_parts):
            pass

    cert, key = certificates.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"https://127.0.0.1:{server.server_port}/"
    try:
        with pytest.raises(Later, match="Certificate"):
            sent(spec(url, timeout=5.0), letter())
        sent(spec(url, timeout=5.0, ca_file=certificates.ca), letter())
    finally:
        server.shutdown()
        server.server_close()

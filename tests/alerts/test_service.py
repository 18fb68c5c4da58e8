"""Alerts of a real gateway: killed with -9, its targets away, its ledger decided anew."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from gateway.alerts.signing import signing_keys
from gateway.alerts.spec import AlertSpec, WebhookSpec
from gateway.reprocess import reprocess
from gateway.store.duckdb import DuckDBStore
from tests.alerts.conftest import Bench
from tests.alerts.servers import SECRET, MailServer, Receiver, text_of, until
from tests.brokers import Publisher
from tests.databases import free_port
from tests.test_service import PROFILE, Running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.brokers import Mosquitto

FLAGS = "supervision/flags/unknown/electricity_meter/"
STATUS = "supervision/gateway/test/status"
ALERTS = """
[[alerts]]
name = "bus"
[alerts.mqtt]

[[alerts]]
name = "hook"
codes = ["unregistered_device"]
[alerts.webhook]
url_env = "HOOK_URL"
secret_env = "HOOK_SECRET"

[[alerts]]
name = "mail"
[alerts.email]
port = {mail}
security = "none"
sender = "gateway@bureau.example"
recipients = ["duty@bureau.example"]
language = "en"
at_once = "info"
daily_at = false
gather_s = 0
"""


def stranger(number: int) -> tuple[str, bytes]:
    """A topic, and a message of a device that is not registered: each gives one flag at once."""
    now = time.time_ns() // 1_000_000
    body = {"type": "periodic", "seq": 1, "ts": now, "energy": {"import": 1.0}}
    return f"meters/110105/electricity_meter/e-{number}/up", json.dumps(body).encode()


class Fixture:
    def __init__(self, folder: Path, port: int) -> None:
        self.hook = Receiver(port=free_port())
        self.mail = MailServer().start()
        os.environ["HOOK_URL"] = self.hook.url
        os.environ["HOOK_SECRET"] = SECRET
        (folder / "devices.csv").write_text("device_id,kind\nknown,electricity_meter\n")
        self.gateway = Running(folder, port, 'registry = "devices.csv"')
        alerts = ALERTS.format(mail=self.mail.port)
        self.gateway.config.write_text(self.gateway.config.read_text() + alerts)

    def alert(self, name: str, alert: str) -> float:
        return self.gateway.metrics().get(f'gateway_alert_{name}{{alert="{alert}"}}', -1)

    def status(self, listener: Publisher) -> list[dict[str, object]]:
        """What the latest status says of alerts."""
        told = [payload for topic, payload, _ in listener.heard if topic == STATUS]
        found: list[dict[str, object]] = json.loads(told[-1]).get("alerts", []) if told else []
        return found

    def flags(self) -> set[str]:
        store = DuckDBStore(self.gateway.data / "store.duckdb", read_only=True)
        try:
            return {flag.id for flag in store.flags()}
        finally:
            store.close()


@pytest.fixture
def running(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Fixture]:
    made = Fixture(tmp_path, mosquitto.port)
    yield made
    process = made.gateway.process
    if process is not None and process.poll() is None:
        process.kill()
        process.wait()
    made.hook.stop()
    made.mail.stop()
    del os.environ["HOOK_URL"], os.environ["HOOK_SECRET"]


async def looked_through(data: Path, hook: Receiver) -> None:
    """What the gateway's alert would do at its next start, until it has nothing more to do."""
    target = WebhookSpec(url=hook.url, keys=signing_keys(SECRET))
    spec = AlertSpec(name="hook", codes=("unregistered_device",), target=target)
    bench = Bench(data)
    try:
        async with bench.running(spec):
            await until(bench.idle)
    finally:
        bench.close()


def test_no_flag_is_lost_or_told_anew_whatever_dies(running: Fixture, mosquitto: Mosquitto) -> None:
    gateway, hook = running.gateway, running.hook
    gateway.start()
    gateway.until(lambda: running.alert("up", "hook") == 1)
    with Publisher(mosquitto.host, mosquitto.port) as device:
        device.listen("supervision/#")
        count = 0

        def send(number: int) -> None:
            nonlocal count
            for _ in range(number):
                device.publish(*stranger(count))
                count += 1

        # The webhook's server is away at first; then it dies in the middle, and so does the worker.
        send(20)
        gateway.until(lambda: running.alert("queued", "hook") > 0)
        gateway.until(lambda: running.alert("up", "hook") == 0)
        hook.start()
        send(20)
        os.kill(gateway.worker(), signal.SIGKILL)
        send(20)
        gateway.until(lambda: gateway.decided() == count)
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
        time.sleep(0.2)
        send(20)
        gateway.start()
        gateway.until(lambda: gateway.decided() >= count)

        def told_by_each() -> list[set[str]]:
            mails = "".join(text_of(mail, "plain") for mail in running.mail.mails)
            return [
                {body["data"]["id"] for body in hook.taken},
                {json.loads(payload)["id"] for topic, payload, _ in device.heard if FLAGS in topic},
                set(re.findall(r"flag: (\w+)", mails)),
            ]

        gateway.until(lambda: [len(told) for told in told_by_each()] == [80, 80, 80])
        gateway.until(lambda: [each["sent"] for each in running.status(device)] == [80, 80, 80])
        assert [each["type"] for each in running.status(device)] == ["mqtt", "webhook", "email"]
        assert gateway.stop() == 0
        flags = running.flags()
        assert told_by_each() == [flags, flags, flags]
        assert count == 80
        # Told twice is only what was under way when something died, with the same key each time.
        assert len(set(hook.seen)) == len(flags)
        assert {body["type"] for body in hook.taken} == {"flag.raised"}
    told = len(hook.taken)
    reprocess(gateway.data, profiles=[PROFILE])
    asyncio.run(looked_through(gateway.data, hook))
    assert len(hook.taken) == told
    assert SECRET not in gateway.log
    assert "s3cr3t" not in gateway.log
    assert "Traceback" not in gateway.log

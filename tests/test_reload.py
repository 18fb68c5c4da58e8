"""Profiles change while messages come: each is decided by one set or the other, none is lost."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from gateway.casebook import Casebook
from gateway.store.duckdb import DuckDBStore
from tests.test_service import Running, device, gateway  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from pathlib import Path

    from tests.brokers import Mosquitto, Publisher

PROFILE = """\
profile: acme
version: {version}
extends: kinds/water-meter
title: {{en: ACME, zh: ACME}}
match: {{topic: "meters/acme/{{device_id}}"}}
read:
  sequence: {{from: n}}
  volume: {{from: v, unit: {unit}}}
tests:
  - {{payload: {{n: 1, v: 5}}, expect: {{volume: "5 {unit}"}}}}
"""


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "acme.yaml").write_text(PROFILE.format(version="1.0.0", unit="m3"))
    return folder


@pytest.fixture
def acme(tmp_path: Path, mosquitto: Mosquitto, profiles: Path):
    running = Running(tmp_path, mosquitto.port, f'profiles = ["{profiles}"]')
    yield running.start()
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def volumes(begin: int, end: int) -> list[bytes]:
    return [json.dumps({"n": n, "v": n}).encode() for n in range(begin, end)]


def hang_up(running: Running) -> None:
    assert running.process is not None
    running.process.send_signal(signal.SIGHUP)


def test_profiles_are_switched_while_messages_come(acme: Running, device: Publisher, profiles):  # noqa: F811
    device.send("meters/acme/1", volumes(0, 500))
    acme.until(lambda: acme.decided() == 500)
    (profiles / "acme.yaml").write_text(PROFILE.format(version="2.0.0", unit="L"))
    hang_up(acme)
    device.send("meters/acme/1", volumes(500, 1500))
    acme.until(lambda: "profiles switched" in acme.log)
    device.send("meters/acme/1", volumes(1500, 2000))
    acme.until(lambda: acme.decided() == 2000)
    assert acme.stop() == 0
    store = DuckDBStore(acme.data / "store.duckdb", read_only=True)
    made = {r.ledger_offset: (r.profile, r.quantities["volume"]) for r in store.readings()}
    store.close()
    assert sorted(made) == list(range(2000))
    with Casebook(acme.data) as casebook:
        switched, started = casebook.audit()
    assert (switched.action, started.action) == ("profiles.switch", "profiles.switch")
    since = switched.detail["offset"]
    assert 500 <= since <= 1500
    assert switched.detail["changed"] == ["acme@1.0.0", "acme@2.0.0"]
    # The offset that the audit names is the very message from which the new profile holds.
    assert made == {
        n: ("acme@1.0.0", float(n)) if n < since else ("acme@2.0.0", n / 1000) for n in range(2000)
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PROFILE.format(version="2.0.0", unit="l/hr"), "is not a UCUM unit"),
        (PROFILE.format(version="2.0.0", unit="L").replace('"5 L"', '"6 L"'), "acme case 0"),
    ],
    ids=["it does not load", "its own case fails"],
)
def test_what_is_wrong_is_refused_whole(acme: Running, device: Publisher, profiles, text, said):  # noqa: F811
    (profiles / "acme.yaml").write_text(text)
    (profiles / "other.yaml").write_text(
        PROFILE.format(version="1.0.0", unit="m3").replace("acme", "other")
    )
    hang_up(acme)
    acme.until(lambda: "profiles refused" in acme.log)
    assert said in acme.log
    device.send("meters/acme/1", volumes(0, 10))
    device.send("meters/other/2", volumes(0, 1))
    acme.until(lambda: acme.decided() == 11)
    metrics = acme.metrics()
    assert metrics['gateway_messages_total{decision="stored"}'] == 10
    assert metrics['gateway_messages_total{decision="quarantined"}'] == 1
    # Mended, it is taken, and what went to quarantine can be reprocessed.
    (profiles / "acme.yaml").write_text(PROFILE.format(version="2.0.0", unit="L"))
    hang_up(acme)
    acme.until(lambda: "profiles switched" in acme.log)
    device.send("meters/other/2", volumes(1, 2))
    acme.until(lambda: acme.decided() == 12)
    assert acme.metrics()['gateway_messages_total{decision="stored"}'] == 11

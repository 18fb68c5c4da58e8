"""Quarantine decided again by a gateway that runs: ordered by the API, and killed in between."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gateway.access.passwords import Hasher
from gateway.access.people import People, people
from gateway.access.roles import EVERYTHING
from gateway.access.sessions import make_token
from gateway.casebook import Casebook
from gateway.cli import app
from gateway.ledger.sqlite import SqliteLedger
from gateway.records import Batch, Device
from gateway.sources.embedded import free_port
from gateway.store.duckdb import DuckDBStore
from gateway.times import DAY
from tests.test_reload import PROFILE, hang_up, volumes
from tests.test_service import Running, device  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.brokers import Mosquitto, Publisher

COUNT = 4_000
MINE = 100
OLD = 5
DISTRICTS = {"1": "330106", "2": "310101"}


class Office:
    """A gateway with an API, an administrator and a district's inspector."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        profiles = folder / "profiles"
        profiles.mkdir()
        self.profile = profiles / "acme.yaml"
        self.mend(mended=False)
        port = free_port()
        self.base = f"http://127.0.0.1:{port}/api/v1"
        self.running = Running(
            folder,
            broker.port,
            f'profiles = ["{profiles}"]\n[retention]\nquarantine = 1\n[api]\nport = {port}\n',
        )
        with SqliteLedger(self.running.data / "ledger") as ledger:
            received = time.time_ns() - 3 * DAY
            ledger.append(Batch(["nobody/reads/this"] * OLD, [b"{}"] * OLD, [received] * OLD))
        self.tokens = {}
        with Casebook(self.running.data) as casebook:
            registered = [
                Device(device_id=name, region=region) for name, region in DISTRICTS.items()
            ]
            casebook.import_devices(registered, source="x", actor="x")
            made = People(casebook, Hasher(cost=(1, 64)), actor="x", scope=EVERYTHING)
            for name, role, region in (
                ("root", "administrator", ""), ("zhang", "inspector", "3301"),
            ):  # fmt: skip
                made.add(name, role, region=region)
            for person in people(casebook):
                _, self.tokens[person.name] = make_token(
                    casebook, person, title="x", permissions=None, days=1, actor="x"
                )

    def mend(self, *, mended: bool) -> None:
        text = PROFILE.format(version="2.0.0" if mended else "1.0.0", unit="m3")
        if not mended:
            text = text.replace("from: v,", "from: w,").replace("v: 5", "w: 5")
        self.profile.write_text(text)

    def ask(self, name: str, body: Any = None, path: str = "quarantine/reprocess") -> Any:
        request = urllib.request.Request(
            f"{self.base}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.tokens[name]}", "Content-Type": "application/json",
            },
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except (urllib.error.HTTPError, OSError):
            return None

    def latest(self, name: str = "root") -> dict[str, Any]:
        told = self.ask(name)
        return told["items"][0] if told and told["items"] else {"state": "unknown"}


@pytest.fixture
def office(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Office]:
    made = Office(tmp_path, mosquitto)
    made.running.start()
    yield made
    if made.running.process.poll() is None:
        made.running.process.kill()
        made.running.process.wait()


def test_what_a_mended_profile_can_read_is_decided_again_and_a_kill_changes_nothing(
    office: Office,
    device: Publisher,  # noqa: F811
):
    running = office.running
    removed = 'gateway_removed_total{kind="quarantine"}'
    running.until(lambda: running.metrics().get(removed) == OLD)
    device.send("meters/acme/1", volumes(0, MINE))
    device.send("meters/acme/2", volumes(0, COUNT - MINE))
    running.until(lambda: running.decided() == OLD + COUNT)
    office.mend(mended=True)
    hang_up(running)
    running.until(lambda: "profiles switched" in running.log)

    # An inspector's order is for his district, and is all that he sees of orders.
    running.until(lambda: office.ask("zhang", {"reason": "missing_field"}))
    running.until(lambda: office.latest("zhang")["state"] == "done")
    told = office.latest("zhang")
    assert (told["decided"], told["stored"], told["refused"]) == (MINE, MINE, 0)

    worker = running.worker()
    assert office.ask("root", {})["messages"] == COUNT - MINE
    while not office.latest().get("decided"):
        assert running.process.poll() is None, running.log
    os.kill(worker, signal.SIGKILL)
    device.send("meters/acme/3", volumes(0, 50))
    running.until(lambda: office.latest()["state"] == "done")
    told = office.latest()
    assert (told["decided"], told["stored"], told["refused"]) == (COUNT - MINE, COUNT - MINE, 0)
    assert office.latest("zhang")["number"] == 1
    stored = 'gateway_messages_total{decision="stored"}'
    running.until(lambda: running.metrics().get(stored) == COUNT + 50)
    assert running.decided() == OLD + COUNT + 50
    assert running.metrics()["gateway_balance_ok"] == 1
    begun = [json.loads(line) for line in running.log.splitlines() if '"reprocessing"' in line]
    behind = [each["behind"] for each in begun if each["order"] == told["number"]]
    assert behind[0] == -1
    assert MINE <= behind[1] < COUNT, "killed in between"

    refused = CliRunner().invoke(
        app, ["reprocess", "--data", str(running.data), "--quarantine-only"]
    )
    assert refused.exit_code == 2
    assert "POST /api/v1/quarantine/reprocess" in refused.output.replace("\n", " ")
    assert running.stop() == 0
    store = DuckDBStore(running.data / "store.duckdb", read_only=True)
    made = sorted(each.ledger_offset for each in store.readings())
    assert made == list(range(OLD, OLD + COUNT + 50))
    assert store.counters().quarantined == OLD, "what was decided stays counted"
    assert list(store.quarantine()) == []
    store.close()
    with Casebook(running.data) as casebook:
        done = [each.subject for each in casebook.audit() if each.action.endswith(".reprocessed")]
        assert done == ["order 2", "order 1"]
        (gone,) = [each for each in casebook.audit() if each.action == "retention.remove"]
        assert (gone.subject, gone.detail["rows"]) == ("quarantine", OLD)
        assert casebook.verify_audit().faults == []

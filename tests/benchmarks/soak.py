"""``make soak``: kill -9 at random moments under load, and a database that is away for a minute.

``python -m tests.benchmarks.soak [--json FILE] [--kills N] [--seed S] [--rate R] [--store-down
SECONDS]``.  After it, every message that the broker has acknowledged to its publisher must be in
the store exactly once, the ledger must verify and the counters balance; ends with 1 when not.  The
moments and kinds of the kills follow from the seed, which is printed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.benchmarks import proc, publisher
from tests.benchmarks.audit import Audit, audit
from tests.benchmarks.broker import Broker
from tests.benchmarks.gateway_process import CLIENT_ID, Gateway, decided
from tests.benchmarks.load import fleet
from tests.benchmarks.wire import make_session
from tests.databases import VictoriaMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("group", "group", "group", "starting", "intake", "worker")
"""What is killed: all at once (the usual crash), all before it is online, or one half."""
FOREVER = 3600.0


class Fleet:
    """The publisher's process; `end` returns what was acknowledged."""

    def __init__(self, folder: Path, broker: Broker, rate: float) -> None:
        self._out = folder / "published.json"
        self._process = subprocess.Popen(
            proc.module(
                "tests.benchmarks.publisher", broker.host, broker.port, rate, FOREVER, self._out
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def end(self) -> tuple[int, int]:
        """Stops publishing; returns messages sent and messages acknowledged."""
        if self._process.poll() is not None:
            raise RuntimeError("the publisher ended by itself")
        self._process.terminate()
        if self._process.wait(90) != 0:
            raise RuntimeError("the publisher failed")
        facts = json.loads(self._out.read_text())
        return facts["sent"], facts["acknowledged"]


@dataclass(slots=True)
class Outcome:
    """What a scenario did and what the audit found."""

    sent: int
    acknowledged: int
    seconds: float
    audit: Audit
    kills: Counter[str] = field(default_factory=Counter)
    refused_starts: int = 0

    def as_json(self) -> dict[str, object]:
        """For ``soak.json``."""
        return {
            "passed": not self.audit.faults,
            "messages": self.sent,
            "acknowledged": self.acknowledged,
            "seconds": round(self.seconds, 1),
            "kills": dict(self.kills),
            "refused_starts": self.refused_starts,
        } | asdict(self.audit)


def register(path: Path) -> Path:
    """Registers the publisher's fleet."""
    lines = (
        json.dumps({"device_id": each.device_id, "kind": each.kind})
        for each in fleet(publisher.DEVICES, publisher.SEED)
    )
    path.write_text("\n".join(lines) + "\n")
    return path


class Killer:
    """Kills a gateway again and again, at moments that a seed decides."""

    def __init__(self, gateway: Gateway, rng: random.Random, longest: float) -> None:
        self.kills: Counter[str] = Counter()
        self.refused_starts = 0
        self._gateway = gateway
        self._rng = rng
        self._longest = longest

    def start(self) -> None:
        """As a service manager does: again, when it ends by itself."""
        for _ in range(20):
            self._gateway.start()
            try:
                self._gateway.wait_online()
            except RuntimeError:
                if self._gateway.alive:
                    raise
                self.refused_starts += 1
                time.sleep(0.5)
            else:
                return
        raise RuntimeError(f"the gateway does not start any more:\n{self._gateway.tail()}")

    def kill(self, what: str) -> None:
        """One kill of that kind, and the start after it."""
        gateway, rng = self._gateway, self._rng
        if what == "starting":
            gateway.kill()
            gateway.start()
            time.sleep(rng.uniform(0.0, 1.5))
            gateway.kill()
            self.kills["group"] += 1
        else:
            time.sleep(rng.uniform(0.05, self._longest))
            if what == "worker":
                self.kills[what] += gateway.kill_worker()
                return
            (gateway.kill_intake if what == "intake" else gateway.kill)()
        self.kills[what] += 1
        self.start()


def kills(
    folder: Path, count: int, seed: int, *, rate: float = 3_000, longest: float = 2.5
) -> Outcome:
    """Kills the service ``count`` times at least while a fleet publishes, then drains and audits.

    Args:
        folder: for everything that is written.
        count: kills.
        seed: of what is killed and when.
        rate: messages a second.
        longest: seconds that a gateway lives at most before it is killed.
    """
    rng = random.Random(seed)
    registry = register(folder / "registry.jsonl")
    began = time.monotonic()
    with Broker(folder / "broker", persistence=True) as broker:
        make_session(broker.host, broker.port, CLIENT_ID)
        with Gateway(folder, broker, registry=registry) as gateway:
            killer = Killer(gateway, rng, longest)
            killer.start()
            with Fleet(folder, broker, rate) as publishing:
                plan = [KINDS[i % len(KINDS)] for i in range(count)]
                rng.shuffle(plan)
                for what in plan:
                    if killer.kills.total() < count:
                        killer.kill(what)
                while killer.kills.total() < count:
                    killer.kill("group")
                sent, acknowledged = publishing.end()
            settle(gateway, acknowledged)
            gateway.stop()
    result = audit(gateway.data, publisher.ids(acknowledged), sent)
    seconds = time.monotonic() - began
    return Outcome(sent, acknowledged, seconds, result, killer.kills, killer.refused_starts)


def settle(gateway: Gateway, least: int, timeout: float = 90.0) -> None:
    """Returns when nothing more comes and everything that came is decided."""
    deadline = time.monotonic() + timeout
    before, since = -1.0, time.monotonic()
    while time.monotonic() < deadline:
        found = gateway.metrics()
        received = found["gateway_received_total"]
        if received != before or found["gateway_pending_messages"] > 0:
            before, since = received, time.monotonic()
        if time.monotonic() - since > 1.5 and decided(found) >= least:
            return
        time.sleep(0.1)
    raise RuntimeError(f"the gateway does not come to rest:\n{gateway.tail()}")


def store_down(folder: Path, seconds: float, *, rate: float = 2_000) -> Outcome:
    """A time-series database that is away for ``seconds`` under load: there everything is, once."""
    registry = register(folder / "registry.jsonl")
    (folder / "database").mkdir()
    database = VictoriaMetrics(folder / "database")
    sink = f'[[sink]]\nname = "series"\nurl = "{database.url}"\n'
    began = time.monotonic()
    database.start()
    try:
        with Broker(folder / "broker", persistence=True) as broker:
            make_session(broker.host, broker.port, CLIENT_ID)
            with Gateway(folder, broker, registry=registry, extra=sink) as gateway:
                gateway.start().wait_online()
                with Fleet(folder, broker, rate) as publishing:
                    time.sleep(4.0)
                    database.stop()
                    time.sleep(seconds)
                    database.start()
                    time.sleep(4.0)
                    sent, acknowledged = publishing.end()
                settle(gateway, acknowledged)
                _delivered(gateway, acknowledged)
                gateway.stop()
        result = audit(gateway.data, publisher.ids(acknowledged), sent)
        result.faults += _compare(database, publisher.ids(sent))
    finally:
        database.stop()
    return Outcome(sent, acknowledged, time.monotonic() - began, result)


def _delivered(gateway: Gateway, least: int, timeout: float = 120.0) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = gateway.metrics()
        if found['gateway_sink_position{sink="series"}'] >= least:
            return
        time.sleep(0.2)
    raise RuntimeError(f"the sink does not catch up:\n{gateway.tail()}")


def _compare(database: VictoriaMetrics, ids: list[tuple[str, int]]) -> list[str]:
    found: Counter[tuple[str, int]] = Counter()
    for series in database.series('{__name__=~".+_sequence"}'):
        device = series["metric"]["device_id"]
        found.update((device, int(value)) for value in series["values"])
    missing = sum(each not in found for each in ids)
    twice = sum(count - 1 for count in found.values())
    faults = [f"sink: {missing} readings are not in the database"] if missing else []
    return [*faults, f"sink: {twice} readings are there twice"] if twice else faults


def main(arguments: list[str] | None = None) -> int:
    """Runs the scenarios, prints what came of them and writes it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", type=Path, help="where to write the outcome")
    parser.add_argument("--kills", type=int, default=20, help="how many; 0 leaves them out")
    parser.add_argument("--seed", type=int, default=1, help="of what is killed and when")
    parser.add_argument("--rate", type=float, default=3_000, help="messages a second")
    parser.add_argument(
        "--store-down", type=float, default=60.0, help="seconds without database; 0 leaves it out"
    )
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}")
    scenarios: dict[str, Callable[[Path], Outcome]] = {}
    if options.kills:
        scenarios["kills"] = lambda folder: kills(
            folder, options.kills, options.seed, rate=options.rate
        )
    if options.store_down:
        scenarios["store_down"] = lambda folder: store_down(folder, options.store_down)
    outcomes = {name: _in_folder(name, scenario) for name, scenario in scenarios.items()}
    if options.json:
        options.json.write_text(json.dumps(_summary(outcomes), indent=2) + "\n")
    return 1 if any(outcome.audit.faults for outcome in outcomes.values()) else 0


def _in_folder(name: str, scenario: Callable[[Path], Outcome]) -> Outcome:
    """Runs a scenario in a folder that is kept when it fails: it holds the evidence."""
    folder = Path(tempfile.mkdtemp(prefix=f"soak-{name}-"))
    outcome = scenario(folder)
    verdict = outcome.audit
    print(
        f"{name}: {outcome.sent:,} sent, {outcome.acknowledged:,} acknowledged, "
        f"{verdict.stored:,} stored, {verdict.redelivered:,} redelivered; "
        f"lost {verdict.lost}, doubled {verdict.doubled}; {dict(outcome.kills)}"
    )
    for fault in verdict.faults:
        print(f"  {fault}")
    if verdict.faults:
        print(f"  kept: {folder}")
    else:
        shutil.rmtree(folder)
    return outcome


def _summary(outcomes: dict[str, Outcome]) -> dict[str, object]:
    return {
        "kills": sum(outcome.kills.total() for outcome in outcomes.values()),
        "messages": sum(outcome.sent for outcome in outcomes.values()),
        "acknowledged": sum(outcome.acknowledged for outcome in outcomes.values()),
        "lost": sum(outcome.audit.lost for outcome in outcomes.values()),
        "doubled": sum(outcome.audit.doubled for outcome in outcomes.values()),
        "scenarios": {name: outcome.as_json() for name, outcome in outcomes.items()},
    }


if __name__ == "__main__":
    sys.exit(main())

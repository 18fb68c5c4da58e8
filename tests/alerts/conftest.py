"""A store, a casebook and an outbox, and alerts that run over them."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from gateway.alerts.outbox import FILE_NAME, Outbox
from gateway.alerts.running import Alert
from gateway.alerts.signing import signing_keys
from gateway.alerts.spec import AlertSpec, WebhookSpec
from gateway.casebook import Casebook
from gateway.checks import CATALOGUE
from gateway.records import Device
from gateway.store.duckdb import DuckDBStore
from tests.alerts.servers import SECRET, MailServer, Receiver
from tests.store.made import results

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from gateway.records import Flag

TITLES = {info.code: info.title for info in CATALOGUE.values()}


class Bench:
    """What an alert stands on, in a data directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder
        self.casebook = Casebook(folder)
        self.store = DuckDBStore(folder / "store.duckdb")
        self.offset = 0
        self._names: list[str] = []

    def commit(self, *flags: Flag, offset: int | None = None) -> None:
        """Commits flags, as processing would of the next messages."""
        found = [each.ledger_offset + 1 for each in flags]
        self.offset = max([self.offset, *found]) if offset is None else offset
        self.store.commit(results(flags=list(flags), next_offset=self.offset))

    def reprocessed(self, *flags: Flag) -> None:
        """Puts a store made anew in the place of this one, decided as far."""
        self.store.close()
        for path in self.data.glob("store.duckdb*"):
            path.unlink()
        self.store = DuckDBStore(self.data / "store.duckdb")
        self.store.commit(results(flags=list(flags), next_offset=self.offset))

    def register(self, name: str, **fields: Any) -> None:
        device = Device(device_id=name, kind="water_meter", **fields)
        self.casebook.import_devices([device], source="test", actor="test")

    def outbox(self) -> Outbox:
        return Outbox(self.data / FILE_NAME)

    @asynccontextmanager
    async def running(self, *specs: AlertSpec, **more: Any) -> AsyncIterator[list[Alert]]:
        """Alerts at work; at the end they are closed, as at the end of a gateway."""
        outbox = self.outbox()
        self._names = [spec.name for spec in specs]
        more = {"first_wait": 0.05, **more}
        alerts = [Alert(spec, self.store, outbox, self.casebook, TITLES, **more) for spec in specs]
        tasks = [asyncio.create_task(alert.run()) for alert in alerts]
        try:
            yield alerts
        finally:
            for alert in alerts:
                alert.close()
            async with asyncio.timeout(10):
                await asyncio.gather(*tasks)
            outbox.close()

    def idle(self) -> bool:
        """Whether every alert has looked at everything and sent everything."""
        positions = [self.store.sink_position(f"alert:{name}") for name in self._names]
        if any(position - 1 < self.store.change for position in positions):
            return False
        outbox = self.outbox()
        waiting = sum(outbox.waiting(name) for name in self._names)
        outbox.close()
        return waiting == 0

    def close(self) -> None:
        self.store.close()
        self.casebook.close()


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that is new: to migrate a casebook takes longer than most tests."""
    folder = tmp_path_factory.mktemp("fresh")
    Bench(folder).close()
    return folder


@pytest.fixture
def bench(tmp_path: Path, fresh: Path) -> Iterator[Bench]:
    shutil.copytree(fresh, tmp_path, dirs_exist_ok=True)
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver().start()
    yield started
    started.stop()


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    started = MailServer().start()
    yield started
    started.stop()


@pytest.fixture
def hook(receiver: Receiver):
    """Makes the spec of an alert to the receiver."""

    def made(**fields: Any) -> AlertSpec:
        target = WebhookSpec(url=receiver.url, keys=signing_keys(SECRET), timeout=2.0)
        return AlertSpec(**({"name": "duty", "gateway": "north", "target": target} | fields))

    return made


def later(one: Flag, **fields: Any) -> Flag:
    """A later version of a flag."""
    return msgspec.structs.replace(one, **fields)

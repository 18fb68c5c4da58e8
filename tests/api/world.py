"""A small world: three districts and two vendors, with readings, flags and quarantine of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.testclient import TestClient

from gateway.access.passwords import Hasher
from gateway.access.people import People, people
from gateway.access.roles import EVERYTHING
from gateway.access.sessions import make_token
from gateway.api.app import make_app
from gateway.api.context import Api
from gateway.api.guard import Rates
from gateway.assembly import read_profiles
from gateway.casebook import Casebook
from gateway.ledger.sqlite import SqliteLedger
from gateway.quantities import KINDS
from gateway.queries.directory import Directory
from gateway.queries.seen import World
from gateway.records import Batch, Device
from gateway.status import Balance, LedgerStatus, ProcessingStatus, SourceStatus, Status
from gateway.store.duckdb import DuckDBStore
from gateway.store.gate import FlagLog
from gateway.testing import ManualClock
from tests.compiled import PROFILES
from tests.store.made import SECOND, START, flag, quarantined, reading, results

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

    from gateway.records import Flag, Reading

REGIONS = ("330106", "330108", "310101")
VENDORS = ("ACME", "Borg")
KIND_OF = {"w": "water_meter", "t": "taximeter", "f": "fuel_dispenser"}
PEOPLE: dict[str, tuple[str, str, str | None]] = {
    "root": ("administrator", "", None),
    "chief": ("administrator", "3301", None),
    "zhang": ("inspector", "330106", None),
    "wang": ("inspector", "31", None),
    "viewer": ("viewer", "3301", None),
    "looker": ("viewer", "", None),
    "auditor": ("auditor", "330108", None),
    "acme": ("vendor", "", "ACME"),
    "borg": ("vendor", "3101", "Borg"),
}
"""Role, region and vendor of each account of the tests."""

RELATIONS: dict[str, dict[str, Any]] = {
    "w-330106-borg": {"parent": "w-330106-acme"},
    "w-310101-acme": {"parent": "w-330108-borg"},
    "w-310101-borg": {"parent": "w-330108-borg"},
    "f-330106-acme": {"tank_channel": {"1": "T"}, "tanks": {"T": {"product": "92"}}},
}
"""A master with its member, one whose members are in another district, and a dispenser's tank."""

PROFILE = PROFILES / "water_meter" / "water-meter-reference.yaml"
EACH = 12
"""Readings of a device."""


def device_id(letter: str, region: str, vendor: str) -> str:
    return f"{letter}-{region}-{vendor.lower()}"


def firmware(vendor: str) -> str:
    """The program that the registry has of a vendor's devices."""
    return f"program of {vendor.lower()}"


def devices() -> list[Device]:
    made = []
    for number, (letter, region, vendor) in enumerate(_places()):
        made.append(
            Device(
                device_id=device_id(letter, region, vendor),
                kind=KIND_OF[letter],
                vendor=vendor,
                model=f"{vendor}-{letter}",
                serial_number=f"SN{region}{vendor}{letter}",
                owner=f"owner of {region}",
                site=f"site {region}",
                region=region,
                longitude=100.123456 + number,
                latitude=30.654321,
                certificate=f"C-{region}-{vendor}-{letter}",
                verified_at=START - 10 * SECOND,
                verified_until=START + 10**9 * SECOND,
                parameters={
                    "dlms_key": "00112233",
                    "note": f"in {region}",
                    "firmware_checksum": firmware(vendor),
                }
                | RELATIONS.get(device_id(letter, region, vendor), {}),
            )
        )
    return made


def _places() -> list[tuple[str, str, str]]:
    everywhere = [(x, region, vendor) for x in "wt" for region in REGIONS for vendor in VENDORS]
    return [*everywhere, ("f", "330106", "ACME")]


def _readings(name: str, kind: str, first: int) -> list[Reading]:
    made = []
    for number in range(EACH):
        values: dict[str, Any] = {"volume": 10.0 + number}
        if kind == "taximeter":
            values = {"longitude": 120.123456 + number, "latitude": 30.654321, "speed": 30.0}
        made.append(
            reading(
                first + number, device_id=name, kind=kind, quantities=values,
                measured_at=START + number * 900 * SECOND,
                received_at=START + (number * 900 + 1) * SECOND,
            )
        )  # fmt: skip
    return made


class Bureau:
    """A data directory with everything in it, and the application over it.

    Args:
        folder: for the data; a bureau that is there already is opened.
        rates: of callers; generous by default.
    """

    def __init__(self, folder: Path, rates: Rates | None = None) -> None:
        self.folder = folder
        self.clock = ManualClock(START + 10**6 * SECOND)
        made = (folder / "store.duckdb").exists()
        self.casebook = Casebook(folder, clock=self.clock)
        self.hasher = Hasher(cost=(1, 64))
        self.store = DuckDBStore(folder / "store.duckdb")
        self.flag_log = FlagLog()
        self.status: Any = None
        if not made:
            self.casebook.import_devices(devices(), source="registry.csv", actor="root")
            self._fill()
        world = World(
            self.store,
            self.casebook,
            Directory(self.store, self.casebook),
            read_profiles([PROFILE]),
            folder / "ledger",
        )
        self.api = Api(
            world,
            status=lambda: self.status,
            hasher=self.hasher,
            rates=rates or Rates(10_000, 100_000),
        )
        self.api.logins = Rates(10_000, 100_000)
        self.app: FastAPI = make_app(self.api, recent=self.flag_log.since)
        self.people = People(self.casebook, self.hasher, actor="root", scope=EVERYTHING)
        self.tokens: dict[str, str] = {}
        self._client: TestClient | None = None

    def _fill(self) -> None:
        """Readings, a flag and a row of quarantine of each device, and of one unregistered."""
        names = [(device.device_id, str(device.kind)) for device in devices()]
        names.append(("stranger", "water_meter"))
        readings: list[Reading] = []
        flags: list[Flag] = []
        refused = []
        topics = []
        for number, (name, kind) in enumerate(names):
            assert kind in KINDS
            readings += _readings(name, kind, len(readings))
            topics += [f"meters/{name}"] * EACH
            flags.append(
                flag(
                    number, id=f"flag-{name}", device_id=name, kind=kind,
                    ledger_offset=number * EACH,
                    evidence={
                        "longitude": 120.123456, "other": name, "observed": 1.5,
                        "tariff": f"tariff of {name[2:8]}",
                        "source": f"published by tariff of {name[2:8]}",
                    },
                )
            )  # fmt: skip
            refused.append(
                quarantined(
                    1000 + number, device_id=name, topic=f"meters/{name}/up",
                    payload=f"secret of {name}".encode(), profile="water-meter-reference@1.0.0",
                )
            )  # fmt: skip
        refused.append(quarantined(2000))
        self.store.commit(results(readings, flags, refused, next_offset=3000))
        ledger = SqliteLedger(self.folder / "ledger")
        payloads = [f"payload of {topic}".encode() for topic in topics]
        ledger.append(Batch(topics, payloads, [START] * len(topics)))
        ledger.close()

    def add_people(self) -> None:
        """Every account of `PEOPLE`, each with a token of all it may."""
        for name, (role, region, vendor) in PEOPLE.items():
            self.people.add(name, role, region=region, vendor=vendor)
        for person in people(self.casebook):
            _, self.tokens[person.name] = make_token(
                self.casebook, person, title="test", permissions=None, days=300, actor="root"
            )

    def client(self, name: str | None = None) -> As:
        """A client of one account, by token; of nobody without a name."""
        headers = {} if name is None else {"Authorization": f"Bearer {self.tokens[name]}"}
        return As(self._opened(), headers)

    def _opened(self) -> TestClient:
        """One client for all: it keeps its event loop, which costs more to make than an answer."""
        if self._client is None:
            self._client = TestClient(self.app)
            self._client.__enter__()
        return self._client

    def browser(self) -> TestClient:
        """A client with cookies of its own."""
        return TestClient(self.app)

    def close(self) -> None:
        if self._client is not None:
            self._client.__exit__(None, None, None)
        self.store.close()
        self.casebook.close()


def status(*, received: int = 0, connected: bool = True) -> Status:
    """What a service tells of itself."""
    return Status(
        name="test", version="0", state="online", at="2026-03-01T00:00:00Z",
        started_at="2026-03-01T00:00:00Z", received=received, appended=received,
        messages=Balance(received=received, stored=received), balance="ok", readings=received,
        duplicate_readings=0, flags=0, ledger=LedgerStatus("open", 0, received, 1000),
        processing=ProcessingStatus("running", received, 0.0, 0, None, {}),
        sources=(SourceStatus("main", connected, 0, None),), sinks=(),
    )  # fmt: skip


class As:
    """Requests of one account."""

    def __init__(self, client: TestClient, headers: dict[str, str]) -> None:
        self._client = client
        self._headers = headers

    def request(self, method: str, address: str, **more: Any) -> Any:
        headers = self._headers | more.pop("headers", {})
        return self._client.request(method, address, headers=headers, **more)

    def get(self, address: str, **more: Any) -> Any:
        return self.request("GET", address, **more)

    def post(self, address: str, **more: Any) -> Any:
        return self.request("POST", address, **more)

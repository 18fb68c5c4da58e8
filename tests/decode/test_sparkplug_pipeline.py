"""Sparkplug through the whole of processing: births live over restarts, and messages read again."""

from contextlib import closing

import pytest

from gateway.deciding import Decider
from gateway.pipeline import Processor
from gateway.profiles import ProfileSet, load_profiles
from gateway.records import Batch
from gateway.store.duckdb import DuckDBStore
from gateway.testing import MemoryLedger
from tests import sparkplug_encoding as wire
from tests.compiled import PROFILES
from tests.sparkplug_encoding import metric, payload

START = 1_767_225_600_000
ENERGY, VOLTAGE = "electricity/energy_import", "electricity/L1/voltage"


@pytest.fixture(scope="module")
def profiles():
    return load_profiles(
        [
            PROFILES / kind / f"sparkplug-{kind.replace('_', '-')}.yaml"
            for kind in ("electricity_meter", "water_meter")
        ],
        bases=[PROFILES],
    )


def topic(kind: str, device="E1") -> str:
    return f"spBv1.0/plant/{kind}/edge" + (f"/{device}" if kind[0] == "D" else "")


class Plant:
    """A node with meters whose aliases change with each birth."""

    def __init__(self):
        self.messages = []
        self.minute = 0
        self.shift = 0

    def say(self, kind, *metrics, device="E1"):
        self.minute += 1
        said = payload(*metrics, time=START + self.minute * 60_000, seq=self.minute % 256)
        self.messages.append((topic(kind, device), said))

    def born(self):
        self.say("NBIRTH", metric("bdSeq", wire.INT64, self.shift))
        self.shift += 1
        self.say(
            "DBIRTH",
            metric(ENERGY, wire.DOUBLE, float(self.minute), alias=self.shift),
            metric(VOLTAGE, wire.FLOAT, 230.0, alias=self.shift + 1),
        )
        self.say("DBIRTH", metric("water/volume", wire.DOUBLE, 7.0, alias=1), device="W1")

    def data(self):
        self.say(
            "DDATA",
            metric(None, wire.DOUBLE, float(self.minute), alias=self.shift, shown=False),
            metric(None, wire.FLOAT, 231.5, alias=self.shift + 1, shown=False),
        )
        self.say("DDATA", metric(None, wire.DOUBLE, 7.0, alias=1, shown=False), device="W1")


def plant() -> Plant:
    made = Plant()
    made.data()  # before any birth
    made.born()
    for _ in range(3):
        made.data()
    made.say("NDEATH", metric("bdSeq", wire.INT64, 0))
    made.data()
    made.born()
    made.data()
    # A birth that is set aside for its value: its names hold all the same, after a restart, too.
    made.say("DBIRTH", metric(ENERGY, wire.FLOAT, float("inf"), alias=40))
    made.say("DDATA", metric(None, wire.FLOAT, made.minute + 0.5, alias=40, shown=False))
    made.born()
    made.data()
    return made


def ledger_of(messages) -> MemoryLedger:
    ledger = MemoryLedger()
    for i, (name, said) in enumerate(messages):
        ledger.append(Batch([name], [said], [(START + 86_400_000 + i * 1000) * 10**6]))
    return ledger


def everything(store):
    readings = sorted(store.readings(), key=lambda r: (r.ledger_offset, r.channel or ""))
    quarantine = sorted(store.quarantine(), key=lambda row: row.message.ledger_offset)
    return readings, sorted(store.flags(), key=lambda f: f.id), quarantine, (
        store.checkpoint().counters
    )  # fmt: skip


def decider(profiles) -> Decider:
    return Decider(profiles, {}, {}, registry_known=False)


def processed(tmp_path, profiles, ledger, name, **settings):
    store = DuckDBStore(tmp_path / f"{name}.duckdb")
    processor = Processor(ledger, store, decider(profiles), **settings)
    while processor.step():
        pass
    return store, processor


def test_data_is_read_by_the_birth_before_it_and_else_set_aside(tmp_path, profiles):
    messages = plant().messages
    store, _ = processed(tmp_path, profiles, ledger_of(messages), "one")
    with closing(store):
        readings, flags, quarantine, counters = everything(store)
    assert flags == []
    aside = {(row.message.ledger_offset, row.message.reason) for row in quarantine}
    before, after_death = {0, 1}, {12, 13}
    assert {offset for offset, reason in aside if reason == "missing_field"} == before | after_death
    assert {reason for _, reason in aside} == {"missing_field", "absurd_number"}
    energies = [
        r.quantities["energy_import"] for r in readings if r.quantities.get("energy_import")
    ]
    assert energies == sorted(energies)
    assert any(energy % 1 == 0.5 for energy in energies)
    assert {r.quantities["voltage"] for r in readings if r.channel == "L1"} == {230.0, 231.5}
    # Node births and the node's death tell nothing to measure.
    assert counters.ignored == 4
    assert counters.stored + counters.quarantined + counters.ignored == len(messages)


@pytest.mark.parametrize(("commit", "snapshot"), [(1, 7), (1, 10**6), (3, 10**6), (7, 10)])
def test_a_restart_at_any_commit_reads_on_by_the_same_births(tmp_path, profiles, commit, snapshot):
    messages = plant().messages
    ledger = ledger_of(messages)
    whole, _ = processed(tmp_path, profiles, ledger, "whole", commit_messages=commit)
    store = DuckDBStore(tmp_path / "restarted.duckdb")
    steps = True
    while steps:
        # Each commit is the last of its process: nothing but the store is left.
        processor = Processor(
            ledger, store, decider(profiles), commit_messages=commit, snapshot_messages=snapshot
        )
        steps = processor.step()
        processor.land()
    with closing(whole), closing(store):
        assert everything(store) == everything(whole)


def test_what_was_set_aside_is_read_again_by_the_birth_that_was_before_it(tmp_path, profiles):
    """Each message of a model that had no profile yet, by the aliases of its own time."""
    messages = plant().messages
    ledger = ledger_of(messages)
    water = ProfileSet(
        {"sparkplug-water-meter": profiles.profiles["sparkplug-water-meter"]}, profiles.bases
    )
    whole, _ = processed(tmp_path, profiles, ledger, "whole")
    store, processor = processed(tmp_path, water, ledger, "again")
    processor.finish()
    with closing(whole), closing(store):
        assert {r.device_id for r in everything(store)[0]} == {"W1"}
        Processor(ledger, store, decider(profiles)).retry_quarantined()
        readings, _, quarantine, counters = everything(store)
        wanted = everything(whole)
        assert readings == wanted[0]
        assert [row.message for row in quarantine] == [row.message for row in wanted[2]]
        assert counters == wanted[3]


def test_profiles_share_what_births_said(profiles):
    made = decider(profiles)
    parsers = [plan.parse for plan in made.plans]
    assert len(parsers) == 2
    assert parsers[0].memory is parsers[1].memory
    assert decider(profiles).plans[0].parse.memory is not parsers[0].memory

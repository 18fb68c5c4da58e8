"""What the gateway has of simulated instruments, to be asked: decided, flagged and stored."""

from __future__ import annotations

import json
from shutil import copyfile
from typing import TYPE_CHECKING

from gateway.access.roles import EVERYTHING, Scope
from gateway.casebook import Casebook
from gateway.deciding import Decided, Decider
from gateway.ledger.sqlite import SqliteLedger
from gateway.profiles import load_profiles
from gateway.queries.directory import Directory
from gateway.queries.privacy import EXACT
from gateway.queries.seen import Seen, World
from gateway.records import Batch
from gateway.registry import read_files
from gateway.store.duckdb import DuckDBStore
from tests.checks.support import final
from tests.compiled import PROFILES
from tests.store.made import results

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from simulators.fleet import Fleet
    from simulators.line import Message


class Simulated:
    """A gateway with the reference profile of one kind, after all messages of a fleet.

    Args:
        folder: for its files.
        kind: of the instruments.
        made: the fleet.
        messages: that it sent.
    """

    def __init__(self, folder: Path, kind: str, made: Fleet, messages: Sequence[Message]) -> None:
        name = kind.replace("_", "-")
        profiles = folder / "profiles"
        for file in (f"kinds/{name}.yaml", f"{kind}/{name}-reference.yaml"):
            (profiles / file).parent.mkdir(parents=True, exist_ok=True)
            copyfile(PROFILES / file, profiles / file)
        lines = folder / "registry.jsonl"
        lines.write_text("".join(json.dumps(line) + "\n" for line in made.registry()))
        loaded = load_profiles([profiles])
        self.casebook = Casebook(folder)
        assert not self.casebook.import_read(read_files([lines]), source="x", actor="me").faults
        outcome = Decided()
        decider = Decider(loaded, self.casebook.devices(), {}, registry_known=True)
        batch = Batch(
            [each.topic for each in messages],
            [each.payload for each in messages],
            [each.received_at * 10**6 for each in messages],
            0,
        )
        decider.decide(batch, outcome)
        assert outcome.quarantined == []
        self.flags = list(final(outcome.flags).values())
        self.store = DuckDBStore(folder / "store.duckdb")
        self.store.commit(results(outcome.readings, self.flags, next_offset=len(messages)))
        SqliteLedger(folder / "ledger").close()
        directory = Directory(self.store, self.casebook)
        directory.refresh()
        self.world = World(self.store, self.casebook, directory, loaded, folder / "ledger")

    def seen(self, scope: Scope = EVERYTHING) -> Seen:
        """As somebody sees it."""
        return Seen(self.world, scope, EXACT)

    def close(self) -> None:
        """Closes its files."""
        self.store.close()
        self.casebook.close()

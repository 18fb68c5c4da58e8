"""The real service under load, killed with -9: what the broker has acknowledged is there once.

``make soak`` does the same twenty times, and then with a database that is away.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.benchmarks import publisher, soak
from tests.benchmarks.audit import audit

if TYPE_CHECKING:
    from pathlib import Path

# The tests share one service that was killed, which takes ten seconds to make.
pytestmark = pytest.mark.xdist_group("kill")


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, soak.Outcome]:
    """A data directory that has seen three kills, and what the audit says of it."""
    folder = tmp_path_factory.mktemp("kill")
    return folder / "data", soak.kills(folder, 3, seed=20, rate=2_000, longest=1.0)


def test_three_kills_lose_nothing_and_double_nothing(
    survivor: tuple[Path, soak.Outcome],
) -> None:
    _, outcome = survivor
    assert outcome.audit.faults == []
    assert (outcome.audit.lost, outcome.audit.doubled, outcome.audit.quarantined) == (0, 0, 0)
    assert outcome.kills.total() == 3
    assert outcome.audit.stored >= outcome.acknowledged > 1_000


def test_the_audit_finds_a_lost_a_doubled_and_a_changed_message(
    survivor: tuple[Path, soak.Outcome], tmp_path: Path
) -> None:
    data, outcome = survivor
    for file in data.rglob("*"):
        if file.is_file():
            target = tmp_path / file.relative_to(data)
            target.parent.mkdir(exist_ok=True, parents=True)
            target.write_bytes(file.read_bytes())
    with duckdb.connect(str(tmp_path / "store.duckdb")) as store:
        store.execute("DELETE FROM readings_gas_meter WHERE sequence = 1")
        store.execute(
            "INSERT INTO readings_water_meter SELECT * FROM readings_water_meter WHERE sequence = 2"
        )
    (segment, *_) = sorted((tmp_path / "ledger").glob("*.sqlite"))
    with sqlite3.connect(segment) as ledger:
        ledger.execute("UPDATE batches SET content = zeroblob(length(content)) WHERE batch = 0")
    found = audit(tmp_path, publisher.ids(outcome.acknowledged), outcome.sent)
    assert found.lost > 0
    assert found.doubled > 0
    assert any(fault.startswith("ledger: batch 0") for fault in found.faults)

"""The real service under load, killed with -9: what the broker has acknowledged is there once.

``make soak`` does the same twenty times, and then with a database that is away.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import duckdb

from tests.benchmarks import publisher, soak
from tests.benchmarks.audit import audit

if TYPE_CHECKING:
    from pathlib import Path


def test_three_kills_lose_and_double_nothing_and_the_audit_would_tell(tmp_path: Path) -> None:
    data = tmp_path / "data"
    outcome = soak.kills(tmp_path, 3, seed=20, rate=2_000, longest=1.0)
    assert outcome.audit.faults == []
    assert (outcome.audit.lost, outcome.audit.doubled, outcome.audit.quarantined) == (0, 0, 0)
    assert outcome.kills.total() == 3
    assert outcome.audit.stored >= outcome.acknowledged > 1_000
    with duckdb.connect(str(data / "store.duckdb")) as store:
        store.execute("DELETE FROM readings_gas_meter WHERE sequence = 1")
        store.execute(
            "INSERT INTO readings_water_meter SELECT * FROM readings_water_meter WHERE sequence = 2"
        )
    (segment, *_) = sorted((data / "ledger").glob("*.sqlite"))
    with sqlite3.connect(segment) as ledger:
        ledger.execute("UPDATE batches SET content = zeroblob(length(content)) WHERE batch = 0")
    found = audit(data, publisher.ids(outcome.acknowledged), outcome.sent)
    assert found.lost > 0
    assert found.doubled > 0
    assert any(fault.startswith("ledger: batch 0") for fault in found.faults)

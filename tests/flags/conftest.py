"""A casebook with a clock of its own, and a store with flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.casebook import Casebook
from gateway.store.duckdb import DuckDBStore
from gateway.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_772_400_000_000_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def casebook(tmp_path: Path, clock: ManualClock) -> Iterator[Casebook]:
    with Casebook(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "store.duckdb")
    yield opened
    opened.close()

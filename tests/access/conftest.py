"""A casebook with a clock of its own, and hashes that cost little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.access.passwords import Hasher
from gateway.access.people import People
from gateway.access.roles import EVERYTHING
from gateway.casebook import Casebook
from gateway.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_772_400_000_000_000_000)


@pytest.fixture
def casebook(tmp_path: Path, clock: ManualClock) -> Iterator[Casebook]:
    with Casebook(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture(scope="session")
def hasher() -> Hasher:
    return Hasher(cost=(1, 64))


@pytest.fixture
def changes(casebook: Casebook, hasher: Hasher) -> People:
    return People(casebook, hasher, actor="root", scope=EVERYTHING)

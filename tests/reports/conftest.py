"""Two districts, simulated and replayed through the whole pipeline once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli import app as gateway_app
from gateway.reports.offline import request_of
from simulators.cli import app as simulators_app
from tests.compiled import PROFILES

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from gateway.reports.evidence import Request

FLEET = """
fleet: two-districts
duration: 1d
seed: 7
cheats_after: 6h
devices:
  - kind: fuel_dispenser
    count: 2
    region: "330106"
    cheats: {amount_raised: {count: 1}}
  - kind: electricity_meter
    count: 3
    region: "310101"
    protocols: {dlt645: 1}
    cheats: {register_set_back: {count: 1}}
"""
PROFILES_USED = (
    PROFILES / "fuel_dispenser" / "fuel-dispenser-reference.yaml",
    PROFILES / "electricity_meter" / "dlt645-2007-meter.yaml",
)
"""The only ones that the fleet needs: to read all of them takes seconds."""
PROFILE_OPTIONS = tuple(word for path in PROFILES_USED for word in ("--profiles", path))
START = "2026-01-12T00:00:00+08:00"


class Data:
    """A data directory, and what the command line tells of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    def run(self, *words: object) -> Any:
        result = CliRunner().invoke(gateway_app, [str(each) for each in words])
        structlog.reset_defaults()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def lines(self, *words: object) -> list[dict[str, Any]]:
        result = self.run(*words, "--data", self.data)
        assert result.exit_code == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    def request(self) -> AbstractContextManager[Request]:
        """Somebody who has the data directory and wants reports; no command runs meanwhile."""
        return request_of(self.data, by="wang.fang", profiles=PROFILES_USED)

    def flag(self, code: str) -> dict[str, Any]:
        return self.lines("flag", "list", "--code", code, "--json")[-1]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("reports")
    (folder / "fleet.yaml").write_text(FLEET)
    words = ["fleet", folder / "fleet.yaml", "-o", folder / "c.jsonl", "--start", START]
    words += ["--truth", folder / "t.jsonl", "--registry", folder / "r.jsonl"]
    done = CliRunner().invoke(simulators_app, [str(each) for each in words])
    assert done.exit_code == 0, done.output
    found = Data(folder)
    registry = folder / "r.jsonl"
    replayed = found.run(
        "replay", folder / "c.jsonl", "--data", found.data, "--registry", registry, *PROFILE_OPTIONS
    )
    assert replayed.exit_code == 0
    return found

"""Runs a command of the gateway in this process, and makes small captures for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli import app
from gateway.times import rfc3339
from tests.compiled import PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

ONE_PROFILE = (
    "--profiles",
    PROFILES / "electricity_meter" / "electricity-meter-reference.yaml",
)
"""The only one that `reading` needs: to read all of them takes seconds."""
BEGIN = 1_772_323_200_000_000_000


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command points the logs at a stream that ends with it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def gateway() -> Callable[..., Any]:
    """``gateway("ledger", "verify", …)``: exit_code, stdout, stderr."""

    def run(*arguments: object, stdin: bytes | None = None) -> Any:
        # Test workers have a width of their own, which a pipe has not.
        words, env = [str(each) for each in arguments], {"COLUMNS": None}
        result = CliRunner().invoke(app, words, input=stdin, env=env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def reading(number: int, *, device: str = "e1", energy: float | None = None) -> dict[str, Any]:
    """A line of a capture: one message of an electricity meter."""
    at = BEGIN + number * 900_000_000_000
    payload = {
        "type": "periodic",
        "seq": number,
        "ts": at // 1_000_000,
        "energy": {"import": 100.0 + number if energy is None else energy},
    }
    return {
        "received_at": rfc3339(at + 1_000_000),
        "topic": f"meters/110105/electricity_meter/{device}/up",
        "payload": json.dumps(payload),
    }


def capture(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    """Writes a capture."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def replayed(tmp_path: Path, gateway: Callable[..., Any]) -> Path:
    """A data directory with twenty readings of two meters and one message that is no JSON."""
    records = [reading(i, device=device) for i in range(10) for device in ("e1", "e2")]
    records.append(reading(10) | {"payload": "not json"})
    file = capture(tmp_path / "c.jsonl", records)
    assert gateway("replay", file, "--data", tmp_path / "data", *ONE_PROFILE).exit_code == 0
    return tmp_path / "data"

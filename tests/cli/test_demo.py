"""The demo, whole and in earnest: it ends by itself, and with 0 only if it is right."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway.config_load import load
from gateway.demo import Outcome, faults_of
from gateway.service import Service

if TYPE_CHECKING:
    from pathlib import Path

DEMO = [sys.executable, "-m", "gateway", "demo"]


def test_a_demo_ends_by_itself_and_is_right(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--seconds", "8", "--json", "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["faults"] == []
    assert outcome["received"] == outcome["sent"] > 1000
    assert (outcome["lost"], outcome["quarantined"], outcome["pending"]) == (0, 0, 0)
    assert len(outcome["cheats"]) >= 4
    assert set(outcome["cheats"]) <= set(outcome["flags"])
    verified = subprocess.run(
        [*DEMO[:-1], "ledger", "verify", "--data", str(tmp_path / "data")],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert verified.returncode == 0


def test_ctrl_c_ends_a_demo_cleanly_and_sums_up() -> None:
    process = subprocess.Popen(
        [*DEMO, "--lang", "zh"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    # It is at work when it says what it received, however long a busy machine takes to begin; the
    # lines of a first start may come before.
    begun: list[bytes] = []
    while not any(re.search(rb"[1-9][\d,]* received", line) for line in begun):
        line = process.stderr.readline()
        assert line, b"".join(begun).decode()
        begun.append(line)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=40)
    assert b"Traceback" not in error
    assert "丢失 0" in out.decode()
    assert process.returncode == 0, out.decode() + error.decode()


GOOD = Outcome(
    seconds=1.0,
    sent=10,
    received=10,
    lost=0,
    readings=10,
    duplicates=0,
    quarantined=0,
    pending=0,
    devices=1,
    flags={"sequence_gap": 1},
    cheats={"sequence_gap": 1},
    faults=(),
)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"lost": 1}, "lost"),
        ({"quarantined": 1}, "quarantine"),
        ({"pending": 1}, "not decided"),
        ({"sent": 0}, "sent nothing"),
        ({"flags": {}}, "cheats without a flag: sequence_gap"),
    ],
)
def test_a_demo_that_is_not_right_says_why(
    tmp_path: Path, wrong: dict[str, object], why: str
) -> None:
    status = Service(load(None, {"data_dir": tmp_path})).status()
    assert faults_of(GOOD, status) == []
    (fault,) = faults_of(msgspec.structs.replace(GOOD, **wrong), status)
    assert why in fault

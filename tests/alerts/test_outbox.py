"""What alerts remember, on disk: together or not at all, and readable beside a running gateway."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import msgspec
import pytest

from gateway.alerts.events import Told, event_of, key_of
from gateway.alerts.outbox import FILE_NAME, Draft, Outbox
from gateway.errors import ConfigError, StoreUnavailable
from gateway.times import SECOND
from tests.alerts.conftest import later
from tests.store.made import flag

NOW = 1_772_323_200 * SECOND


@pytest.fixture
def outbox(tmp_path):
    opened = Outbox(tmp_path / FILE_NAME)
    opened.begin("duty", at=NOW, offset=7, flags=[("old", "major", "open")])
    yield opened
    opened.close()


def draft(number, version=1, event="raised"):
    told = Told(f"f{number}", version, f"f{number}-{version}", "major", "open")
    return Draft(told, event, b'{"id":"f"}')


def test_what_was_there_at_the_first_start_is_known(outbox):
    assert outbox.told("duty", ["old", "new"]) == {"old": Told("old", 0, "", "major", "open")}
    assert outbox.known("duty").offset == 7
    assert outbox.known("other") is None


def test_a_letter_is_queued_once_whatever_is_repeated(outbox):
    assert outbox.take("duty", [draft(1), draft(2)], at=NOW) == 2
    assert outbox.take("duty", [draft(1), draft(3)], at=NOW) == 1
    assert outbox.take("other", [draft(1)], at=NOW) == 1
    assert [each.key for each in outbox.due("duty", NOW, 9)] == ["f1-1", "f2-1", "f3-1"]


def test_of_one_flag_the_next_letter_waits_for_the_one_before(outbox):
    outbox.take("duty", [draft(1), draft(1, 2, "ended"), draft(2)], at=NOW)
    first, other = outbox.due("duty", NOW, 9)
    assert (first.key, other.key) == ("f1-1", "f2-1")
    outbox.settle("duty", postponed=[([first], NOW + SECOND, "busy")])
    assert [each.key for each in outbox.due("duty", NOW, 9)] == ["f2-1"]
    outbox.hurry("duty")
    assert [each.attempts for each in outbox.due("duty", NOW, 9)] == [1, 0]
    outbox.settle("duty", buried=[([first], "no")])
    assert [each.key for each in outbox.due("duty", NOW, 9)] == ["f1-2", "f2-1"]


def test_dead_letters_come_back_or_go_for_good(outbox):
    outbox.take("duty", [draft(n) for n in range(5)], at=NOW)
    outbox.settle("duty", buried=[(outbox.due("duty", NOW, 4), "refused")])
    assert outbox.counts("duty") == (1, 4, 0)
    assert outbox.discard("duty", ["f0-1", "nonsense"]) == 1
    assert outbox.revive("duty", ["f1-1"], at=NOW + 5) == 1
    assert outbox.revive("duty", None, at=NOW + 5) == 2
    assert [each.key for each in outbox.due("duty", NOW, 9)] == ["f1-1", "f2-1", "f3-1", "f4-1"]
    assert outbox.discard("duty", None) == 0


def test_what_is_taken_survives_a_kill_at_once(tmp_path):
    body = """
        import os, signal, sys
        from pathlib import Path
        from gateway.alerts.events import Told
        from gateway.alerts.outbox import Draft, Outbox
        outbox = Outbox(Path(sys.argv[1]))
        outbox.begin("duty", at=1, offset=0, flags=())
        outbox.take("duty", [Draft(Told("f", 1, "k", "major", "open"), "raised", b"{}")], at=2)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    code = "\n".join(line[8:] for line in body.splitlines())
    subprocess.run([sys.executable, "-c", code, str(tmp_path / FILE_NAME)], check=False)
    outbox = Outbox(tmp_path / FILE_NAME)
    assert [each.key for each in outbox.due("duty", NOW, 9)] == ["k"]
    assert outbox.told("duty", ["f"])["f"].version == 1
    outbox.close()


def test_two_may_have_it_open_and_a_newer_or_foreign_file_is_refused(outbox, tmp_path):
    beside = Outbox(outbox.path)
    beside.take("duty", [draft(1)], at=NOW)
    assert outbox.waiting("duty") == 1
    beside.close()
    newer = tmp_path / "newer.sqlite"
    with sqlite3.connect(newer) as file:
        file.execute("PRAGMA user_version = 9")
    with pytest.raises(ConfigError, match="has layout 9"):
        Outbox(newer)
    foreign = tmp_path / "foreign.sqlite"
    foreign.write_bytes(b"no database" * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        Outbox(foreign)


def told_of(one, version=1, **fields):
    told = Told(one.id, version, key_of(one), one.severity, one.status)
    return msgspec.structs.replace(told, **fields)


@pytest.mark.parametrize(
    ("told", "now", "event"),
    [
        (None, {}, "raised"),
        (None, {"status": "ended"}, "raised"),
        (None, {"status": "withdrawn"}, None),
        ({}, {}, None),
        ({}, {"until": 2**60}, "prolonged"),
        ({}, {"evidence": {"observed": 9}}, "prolonged"),
        ({}, {"status": "ended"}, "ended"),
        ({}, {"status": "ended", "severity": "critical"}, "severity_raised"),
        ({}, {"status": "withdrawn"}, "withdrawn"),
        ({"condition": "ended", "key": "x"}, {"status": "ended"}, "prolonged"),
        ({"condition": "withdrawn", "key": "x"}, {}, "raised"),
        ({"condition": "withdrawn", "key": "x"}, {"status": "withdrawn"}, None),
        ({"version": 0}, {"until": 2**60, "status": "ended"}, None),
        ({"version": 0}, {"severity": "critical"}, "severity_raised"),
        ({"version": 0}, {"status": "withdrawn"}, None),
        ({"version": 0, "held": True}, {}, "raised"),
        ({"version": 0, "held": True}, {"status": "withdrawn"}, None),
    ],
)
def test_what_has_happened_to_a_flag(told, now, event):
    one = flag(1)
    known = None if told is None else told_of(one, **told)
    assert event_of(later(one, **now), known) == event


def test_the_key_is_of_the_content_and_of_nothing_else():
    one = flag(1)
    assert key_of(one) == key_of(later(one, ledger_offset=9, profile="other@2", evidence={
        "unit": "m3", "expected": 2, "observed": 1.5}))  # fmt: skip
    others = [
        later(one, until=one.until + 1), later(one, status="ended"),
        later(one, severity="critical"), later(one, evidence={"observed": 1.6}),
    ]  # fmt: skip
    assert len({key_of(each) for each in (one, *others)}) == 5
    assert "." not in key_of(one)  # the signature's separator

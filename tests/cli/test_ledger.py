"""Ledger commands: one changed byte is found and named, what is decided can be pruned."""

import json
import sqlite3

import pytest

from gateway.ledger.sqlite import SqliteLedger
from gateway.records import Batch
from gateway.times import DAY
from tests.cli.conftest import BEGIN, capture, reading


def test_an_intact_ledger_is_told_as_such(gateway, replayed):
    result = gateway("ledger", "verify", "--data", replayed)
    assert result.exit_code == 0
    assert result.stdout.startswith("intact: 21 messages")
    told = json.loads(gateway("ledger", "verify", "--data", replayed, "--json").stdout)
    assert (told["intact"], told["messages"], told["faults"]) == (True, 21, [])


def test_one_changed_byte_is_found_and_its_batch_named(gateway, replayed):
    (segment,) = (replayed / "ledger").glob("*.sqlite")
    file = sqlite3.connect(segment)
    ((content,),) = file.execute("SELECT content FROM batches")
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    file.execute("UPDATE batches SET content = ?", (bytes(changed),))
    file.commit()
    file.close()
    result = gateway("ledger", "verify", "--data", replayed)
    assert result.exit_code == 1
    assert "batch 0 (offsets 0 to 20)" in result.stdout
    assert "NOT" in result.stdout
    told = json.loads(gateway("ledger", "verify", "--data", replayed, "--json").stdout)
    assert told["intact"] is False
    assert told["faults"][0]["batch"] == 0


def test_messages_are_shown_as_they_came(gateway, replayed, tmp_path):
    result = gateway(
        *("ledger", "show", "--data", replayed, "--offset", 19, "--count", 5, "--json")
    )
    shown = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line.pop("ledger_offset") for line in shown] == [19, 20]
    assert shown[0] == reading(9, device="e2")
    again = capture(tmp_path / "again.jsonl", shown)
    summary = json.loads(gateway("replay", again, "--data", tmp_path / "d", "--json").stdout)
    assert (summary["readings"], summary["quarantined"]) == (1, {"unparseable": 1})


def test_a_message_cannot_write_to_the_terminal(gateway, tmp_path):
    evil = reading(0) | {"payload": "\x1b]0;owned\x07[bold red]x"}
    file = capture(tmp_path / "c.jsonl", [evil])
    gateway("replay", file, "--data", tmp_path / "data")
    shown = gateway("ledger", "show", "--data", tmp_path / "data", "--offset", 0).stdout
    assert "\x1b" not in shown
    assert "\\x1b]0;owned\\x07[bold red]x" in shown


def test_an_offset_that_is_not_there_is_wrong_use(gateway, replayed):
    result = gateway("ledger", "show", "--data", replayed, "--offset", 21)
    assert result.exit_code == 2
    assert "0 to 20" in result.stderr


def test_what_is_decided_and_old_is_pruned_and_the_rest_verifies(gateway, tmp_path, replayed):
    # A segment of its own for what follows: only whole ones are pruned.
    with SqliteLedger(replayed / "ledger", segment_bytes=1) as ledger:
        ledger.append(Batch(["x"], [b"y"], [BEGIN + DAY]))
    capture(tmp_path / "more.jsonl", [reading(11)])
    gateway("replay", tmp_path / "more.jsonl", "--data", replayed)
    result = gateway("ledger", "prune", "--data", replayed, "--keep-days", "1", "--json")
    assert json.loads(result.stdout)["first_offset"] == 21
    assert gateway("ledger", "verify", "--data", replayed).exit_code == 0
    kept = gateway("export", "readings", "--data", replayed)
    assert len(kept.stdout.splitlines()) == 21


def test_what_is_not_decided_is_not_pruned(gateway, replayed):
    with SqliteLedger(replayed / "ledger", segment_bytes=1) as ledger:
        ledger.append(Batch(["a"], [b"b"], [BEGIN]))
        ledger.append(Batch(["x"], [b"y"], [BEGIN + DAY]))
    result = gateway("ledger", "prune", "--data", replayed, "--keep-days", "0.1", "--json")
    assert json.loads(result.stdout)["first_offset"] == 21


def test_pruning_without_a_limit_is_wrong_use(gateway, replayed):
    assert gateway("ledger", "prune", "--data", replayed).exit_code == 2


@pytest.mark.parametrize("command", [("prune", "--keep-days", "1"), ("show",), ("verify",)])
def test_a_ledger_that_is_not_there_is_not_made(gateway, tmp_path, command):
    result = gateway("ledger", *command, "--data", tmp_path)
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_a_gateway_writes_is_not_pruned(gateway, replayed):
    with SqliteLedger(replayed / "ledger"):
        result = gateway("ledger", "prune", "--data", replayed, "--keep-days", "1")
    assert result.exit_code == 2
    assert "writes this ledger" in result.stderr

"""The audit: whoever alters it shows."""

from __future__ import annotations

import sqlite3

import pytest

from gateway.audit import Head
from gateway.casebook import FILE_NAME, Casebook
from gateway.records import Device
from tests.flags.test_tables import migrated


@pytest.fixture
def folder(tmp_path):
    with Casebook(tmp_path) as casebook:
        for number in range(20):
            detail = {"number": number, "word": "水表", "deep": [{"x": 1.5}, None]}
            casebook.record(actor="zhang", action="look", subject=f"w{number}", detail=detail)
        casebook.import_devices([Device(device_id="w1")], source="x", actor="me")
        device = Device(device_id="w1", vendor="ACME")
        casebook.import_devices([device], source="y", actor="me")
    return tmp_path


def _altered(folder, *statements):
    """What an administrator with the file can do: also without the database's own protection."""
    file = sqlite3.connect(folder / FILE_NAME)
    file.execute("DROP TRIGGER audit_no_update")
    file.execute("DROP TRIGGER audit_no_delete")
    for statement in statements:
        file.execute(statement)
    file.commit()
    file.close()


def _faults(folder, kept=None):
    with Casebook(folder) as casebook:
        return casebook.verify_audit(kept).faults


def test_an_audit_that_nobody_altered_is_whole(folder):
    with Casebook(folder) as casebook:
        verdict = casebook.verify_audit()
    assert verdict.faults == []
    assert verdict.entries == verdict.head.id == 23
    assert _faults(folder, kept=verdict.head) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE audit SET actor = 'wang' WHERE id = 5", "entry 5 "),
        ("UPDATE audit SET at = at + 1 WHERE id = 5", "entry 5 "),
        ("UPDATE audit SET detail = '{}' WHERE id = 5", "entry 5 "),
        ("UPDATE audit SET subject = 'w9' WHERE id = 23", "entry 23 "),
        ("UPDATE audit SET hash = 'aa' || substr(hash, 3) WHERE id = 5", "entry 5 "),
        ("DELETE FROM audit WHERE id = 5", "entries 5 to 5 are missing"),
        ("DELETE FROM audit WHERE id > 20", "entries 21 to 23 are missing at the end"),
    ],
)
def test_what_was_altered_is_found(folder, statement, told):
    _altered(folder, statement)
    assert any(told in fault for fault in _faults(folder))


def test_a_tail_that_was_cut_off_with_its_traces_shows_by_the_head_that_was_kept(folder):
    with Casebook(folder) as casebook:
        head = casebook.verify_audit().head
    _altered(
        folder,
        "DELETE FROM audit WHERE id > 20",
        "UPDATE sqlite_sequence SET seq = 20 WHERE name = 'audit'",
    )
    assert _faults(folder) == []
    assert _faults(folder, kept=head) == ["entry 23, whose hash was kept, is missing"]
    assert "is not the one" in _faults(folder, kept=Head(3, "0" * 64))[0]


@pytest.mark.parametrize("verb", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_alter_it(folder, verb):
    file = sqlite3.connect(folder / FILE_NAME)
    with pytest.raises(sqlite3.IntegrityError, match="only added to"):
        file.execute(verb)
    file.close()


def test_entries_of_an_older_casebook_are_taken_into_the_chain(folder):
    with Casebook(folder) as casebook:
        migrated(casebook, "0003")
    with Casebook(folder) as casebook:
        assert casebook.verify_audit().faults == []
        casebook.record(actor="zhang", action="look", subject="w1", detail={})
        assert casebook.verify_audit().faults == []
        assert casebook.verify_audit().entries == 24

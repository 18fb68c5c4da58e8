"""The tables of decisions: as the migration makes them, taken over and given back."""

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from gateway import casebook as module
from gateway.casebook import FILE_NAME, Casebook
from gateway.flags import tables
from gateway.flags.decisions import decide
from gateway.flags.records import Case, Event, Suppression
from gateway.records import Device
from tests.store.made import flag


def migrated(casebook, revision):
    config = Config()
    config.set_main_option("path_separator", "os")
    folder = Path(module.__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder))
    with casebook._engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def test_the_tables_are_what_the_migration_makes_and_what_the_records_say(tmp_path):
    Casebook(tmp_path).close()
    file = sqlite3.connect(tmp_path / FILE_NAME)
    records = {tables.STATE: Case, tables.EVENT: Event, tables.SUPPRESSION: Suppression}
    for table, record in records.items():
        made = [row[1] for row in file.execute(f"PRAGMA table_info({table.name})")]
        assert made == [column.name for column in table.columns]
        assert set(made) == set(record.__struct_fields__)
    file.close()


def test_a_casebook_from_before_decisions_is_taken_over_whole(tmp_path):
    with Casebook(tmp_path) as casebook:
        casebook.import_devices([Device(device_id="w1")], source="x", actor="me")
        migrated(casebook, "0002")
    file = sqlite3.connect(tmp_path / FILE_NAME)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        file.execute("SELECT * FROM flag_state")
    file.close()
    with Casebook(tmp_path) as casebook:
        assert list(casebook.devices()) == ["w1"]
        assert len(casebook.audit()) == 1
        decide(casebook, "acknowledge", [flag(1)], actor="me")
        assert [entry.action for entry in casebook.audit()] == ["flag.acknowledge", "device.import"]


def test_a_downgrade_takes_decisions_away_and_leaves_the_audit(tmp_path):
    with Casebook(tmp_path) as casebook:
        decide(casebook, "acknowledge", [flag(1)], actor="me")
        migrated(casebook, "0002")
    with Casebook(tmp_path) as casebook:
        assert casebook.audit()[0].detail["after"] == "acknowledged"
        assert casebook.verify_audit().faults == []


def test_a_case_has_the_flag_as_it_was_decided_upon(tmp_path):
    made = flag(1, channel="通道", evidence={"observed": 1.5, "list": [1, None], "at": "x"})
    with Casebook(tmp_path) as casebook:
        decide(casebook, "acknowledge", [made], actor="me")
        with casebook.transaction(reading=True) as connection:
            assert tables.read_cases(connection, [made.id])[made.id].flag == made
            assert tables.read_case_ids(connection) == [made.id]
            assert tables.read_dismissed(connection) == []

"""The registry: judged whole, kept in the casebook, audited."""

import os
import sqlite3

import msgspec
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from gateway import casebook as module
from gateway.casebook import HEAD, Casebook
from gateway.errors import ConfigError, GatewayError
from gateway.records import Device
from gateway.registry import RegistryError, read_registry, tables
from gateway.registry.entries import RECORDS
from gateway.testing import ManualClock
from gateway.times import nanoseconds


def written(tmp_path, text, name="devices.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def faults(path):
    with pytest.raises(RegistryError) as caught:
        read_registry(path)
    return caught.value.faults


def test_csv_and_json_lines_say_the_same(tmp_path):
    table = written(
        tmp_path,
        "device_id,kind,region,longitude,verified_until,parameters,parameters.k_factor,owner\n"
        'a,fuel_dispenser,110105,116.4,2027-01-01T00:00:00+08:00,"{""currency"": ""EUR""}",12.5,\n',
    )
    line = written(
        tmp_path,
        '{"device_id": "a", "kind": "fuel_dispenser", "region": "110105", "longitude": 116.4, '
        '"verified_until": "2026-12-31T16:00:00Z", "owner": null, '
        '"parameters": {"currency": "EUR", "k_factor": 12.5}}\n',
        "devices.jsonl",
    )
    assert read_registry(table) == read_registry(line)
    assert read_registry(table) == [
        Device(
            device_id="a",
            kind="fuel_dispenser",
            region="110105",
            longitude=116.4,
            verified_until=nanoseconds("2026-12-31T16:00:00Z"),
            parameters={"currency": "EUR", "k_factor": 12.5},
        )
    ]


def test_a_parameter_is_a_number_where_it_is_one_and_else_text(tmp_path):
    path = written(
        tmp_path,
        "device_id,parameters.k_constant,parameters.tariff,parameters.serial\n"
        "t,1000,beijing-2013,0012\n",
    )
    assert read_registry(path)[0].parameters == {
        "k_constant": 1000,
        "tariff": "beijing-2013",
        "serial": "0012",
    }


def test_a_file_of_a_spreadsheet_is_read(tmp_path):
    path = written(tmp_path, b"\xef\xbb\xbfdevice_id,kind\r\nw1,water_meter\r\n,\r\n")
    assert [device.device_id for device in read_registry(path)] == ["w1"]


def test_every_fault_is_told_at_once_with_line_and_field(tmp_path):
    path = written(
        tmp_path,
        "device_id,kind,region,verified_at,verified_until,latitude,parameters\n"
        "a,watermeter,,,,,\n"
        "b,,11010,,,91,\n"
        ",water_meter,,,,,\n"
        "d,,,2026-01-01,,,[1]\n"
        "e,,,2026-01-02T00:00:00Z,2026-01-01T00:00:00Z,,\n"
        "f,,\n"
        "a,,,,,,\n"
        "g,,,,,,\n"
        "g,,,,,,\n",
    )
    found = faults(path)
    assert [fault.removeprefix(f"{path}:").split(":")[0] for fault in found] == [
        *("2", "3", "3", "4", "5", "5", "6", "7", "10"),
    ]
    text = "\n".join(found)
    for part in (
        "did you mean 'water_meter'?",
        "six digits",
        "between -90 and 90",
        "device_id is missing",
        "RFC 3339",
        "JSON object",
        "verified_until is before verified_at",
        "3 cells under a header of 7",
        "already on line 9",
    ):
        assert part in text


def test_an_unknown_column_is_told_with_the_nearest_known(tmp_path):
    (fault,) = faults(written(tmp_path, "device_id,serialnumber\na,b\n"))
    assert "did you mean 'serial_number'?" in fault


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"device_id,owner\na,\xc4\xe3\n", "not UTF-8"),
        (b'device_id,owner\na,"x\n', "not CSV"),
        (b"device_id,device_id\na,b\n", "there twice"),
    ],
)
def test_a_file_that_is_no_table_is_told(tmp_path, content, why):
    (fault,) = faults(written(tmp_path, content))
    assert why in fault


def test_a_long_list_of_faults_is_cut_short_in_the_message(tmp_path):
    path = written(tmp_path, "device_id,kind\n" + "".join(f"d{i},x\n" for i in range(80)))
    with pytest.raises(RegistryError) as caught:
        read_registry(path)
    assert len(caught.value.faults) == 80
    assert str(caught.value).endswith("and 30 more")


@pytest.mark.parametrize("name", ["a\nb", " a", "a\x00", "", "x" * 300])
def test_a_name_that_would_deceive_a_reader_is_refused(tmp_path, name):
    import json  # noqa: PLC0415 - one use

    (fault,) = faults(written(tmp_path, json.dumps({"device_id": name}) + "\n", "d.jsonl"))
    assert "device_id" in fault


DEVICES = [
    Device(device_id="a", kind="water_meter", parameters={"digits": 8}),
    Device(device_id="b", kind="gas_meter", region="110105", verified_until=7),
]


def test_what_is_imported_is_there_after_the_next_opening(tmp_path):
    with Casebook(tmp_path) as casebook:
        summary = casebook.import_devices(DEVICES, source="x", actor="me")
    assert (summary.added, summary.changed, summary.unchanged) == (2, 0, 0)
    with Casebook(tmp_path) as casebook:
        assert casebook.devices() == {device.device_id: device for device in DEVICES}


def test_an_import_changes_what_differs_and_leaves_the_rest(tmp_path):
    clock = ManualClock(5)
    with Casebook(tmp_path, clock=clock) as casebook:
        casebook.import_devices(DEVICES, source="x", actor="me")
        changed = Device(device_id="a", kind="water_meter", owner="new")
        summary = casebook.import_devices([changed], source="y", actor="me")
        assert (summary.added, summary.changed, summary.unchanged) == (0, 1, 0)
        now = msgspec.structs.replace(changed, valid_from=5)
        assert casebook.devices() == {"a": now, "b": DEVICES[1]}


def test_an_import_that_changes_something_leaves_a_row_of_audit(tmp_path):
    clock = ManualClock(5)
    with Casebook(tmp_path, clock=clock) as casebook:
        casebook.import_devices(DEVICES, source="a.csv", actor="me")
        casebook.import_devices(DEVICES, source="a.csv", actor="me")
        casebook.import_devices(DEVICES[:1], source="b.csv", actor="me", dry_run=True)
        (entry,) = casebook.audit()
    assert (entry.at, entry.actor, entry.action, entry.subject) == (
        *(5, "me", "device.import", "a.csv"),
    )
    assert entry.detail["added"] == 2


def test_a_dry_run_counts_and_writes_nothing(tmp_path):
    with Casebook(tmp_path) as casebook:
        summary = casebook.import_devices(DEVICES, source="x", actor="me", dry_run=True)
        assert summary.added == 2
        assert casebook.devices() == {}


def test_thousands_of_devices_are_replaced_at_once(tmp_path):
    many = [Device(device_id=f"d{i:05d}", kind="water_meter") for i in range(3000)]
    moved = [Device(device_id=device.device_id, kind="gas_meter") for device in many]
    with Casebook(tmp_path) as casebook:
        casebook.import_devices(many, source="x", actor="me")
        assert casebook.import_devices(moved, source="y", actor="me").changed == 3000
        assert [device.kind for device in casebook.devices().values()] == ["gas_meter"] * 3000
        first = casebook.devices().versions("d00000")
        assert [version.kind for version in first] == ["water_meter", "gas_meter"]


def test_a_casebook_of_a_newer_program_is_refused_and_left_alone(tmp_path):
    Casebook(tmp_path).close()
    with sqlite3.connect(tmp_path / "casebook.sqlite") as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    file.close()
    with pytest.raises(ConfigError, match="newer program"):
        Casebook(tmp_path)


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "casebook.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(GatewayError, match="cannot be opened"):
        Casebook(tmp_path)


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GatewayError, match="cannot be made"):
        Casebook(tmp_path / "file" / "data")


def test_the_tables_are_what_the_migrations_make(tmp_path):
    config = Config()
    config.set_main_option("path_separator", "os")
    folder = os.path.dirname(module.__file__)  # noqa: PTH120 - as a string for Alembic
    config.set_main_option("script_location", f"{folder}/migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD
    Casebook(tmp_path).close()
    file = sqlite3.connect(tmp_path / "casebook.sqlite")
    for table in (*tables.TABLES.values(), module.AUDIT):
        made = [row[1] for row in file.execute(f"PRAGMA table_info({table.name})")]
        assert made == [column.name for column in table.columns]
    file.close()
    for kind, record in RECORDS.items():
        columns = [column.name for column in tables.TABLES[kind].columns]
        assert columns == [*record.__struct_fields__, "audit_id"]

"""The casebook's schema: what an older program left is taken over whole, and can be given back."""

import json
import sqlite3

import pytest
from alembic import command
from alembic.config import Config

from gateway import casebook as module
from gateway.casebook import FILE_NAME, Casebook
from gateway.errors import ConfigError, GatewayError
from gateway.records import Certificate, Device

# As the first schema made it, written down and not made by today's migrations.
FIRST = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO alembic_version VALUES ('0001');
CREATE TABLE device (
    device_id TEXT NOT NULL, kind TEXT, profile TEXT, vendor TEXT, model TEXT, serial_number TEXT,
    owner TEXT, site TEXT, region TEXT, longitude FLOAT, latitude FLOAT, commissioned_at BIGINT,
    verified_at BIGINT, verified_until BIGINT, certificate TEXT, parameters JSON NOT NULL,
    PRIMARY KEY (device_id)
);
CREATE INDEX ix_device_region ON device (region);
CREATE TABLE audit (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, at BIGINT NOT NULL, actor TEXT NOT NULL,
    action TEXT NOT NULL, subject TEXT NOT NULL, detail JSON NOT NULL
);
"""
DEVICES = [
    Device(
        device_id="表-1", kind="water_meter", profile="p", vendor="v", model="m",
        serial_number="s", owner="o", site="st", region="110105", longitude=116.4, latitude=39.9,
        commissioned_at=1, verified_at=2, verified_until=3, certificate="C-1",
        parameters={"parent": "表-2", "time_zone": "Asia/Shanghai"},
    ),
    Device(device_id="表-2"),
]  # fmt: skip


@pytest.fixture
def first(tmp_path):
    """A data directory of the first schema, with devices and an entry of the audit."""
    with sqlite3.connect(tmp_path / FILE_NAME) as file:
        file.executescript(FIRST)
        names = Device.__struct_fields__[:16]
        for device in DEVICES:
            values = [getattr(device, name) for name in names]
            values[-1] = json.dumps(device.parameters)
            file.execute(f"INSERT INTO device VALUES ({', '.join('?' * 16)})", values)
        file.execute(
            "INSERT INTO audit (at, actor, action, subject, detail) VALUES "
            "(5, 'me', 'device.import', 'old.csv', '{\"added\": 2}')"
        )
    file.close()
    return tmp_path


def test_devices_of_the_first_schema_are_versions_since_ever(first):
    with Casebook(first) as casebook:
        assert casebook.devices() == {device.device_id: device for device in DEVICES}
        assert casebook.records("certificate") == [
            Certificate(device_id="表-1", number="C-1", verified_at=2, valid_until=3)
        ]
        (entry,) = casebook.audit()
        assert (entry.subject, entry.detail) == ("old.csv", {"added": 2})
        assert list(casebook.naming("表-2")) == ["表-1"]


def test_what_was_taken_over_goes_on_as_if_it_had_always_been_so(first):
    with Casebook(first) as casebook:
        assert casebook.import_devices(DEVICES, source="x", actor="me").unchanged == 2
        changed = Device(device_id="表-2", owner="new")
        assert casebook.import_devices([changed], source="y", actor="me").changed == 1
        assert len(casebook.devices().versions("表-2")) == 2
        assert [entry.subject for entry in casebook.audit_of("表-2")] == ["表-2", "y"]


def test_an_upgrade_that_fails_leaves_the_first_schema(first):
    with sqlite3.connect(first / FILE_NAME) as file:
        file.execute("CREATE TABLE site_version (x)")  # in the way of the migration
    file.close()
    with pytest.raises(Exception, match="site_version"):
        Casebook(first)
    file = sqlite3.connect(first / FILE_NAME)
    assert file.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    assert file.execute("SELECT count(*) FROM device").fetchone() == (2,)
    file.close()


def test_a_downgrade_gives_the_latest_versions_back(first):
    with Casebook(first) as casebook:
        casebook.import_devices([Device(device_id="表-2", owner="new")], source="y", actor="me")
        config = Config()
        config.set_main_option("path_separator", "os")
        folder = module.Path(module.__file__).with_name("migrations")
        config.set_main_option("script_location", str(folder))
        with casebook._engine.begin() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "0001")
    file = sqlite3.connect(first / FILE_NAME)
    rows = file.execute("SELECT device_id, owner FROM device ORDER BY device_id").fetchall()
    file.close()
    assert rows == [("表-1", "o"), ("表-2", "new")]
    with Casebook(first) as casebook:  # and up again
        assert casebook.devices()["表-1"] == DEVICES[0]


def test_the_registry_is_read_while_another_process_decides_what_to_write(first):
    with Casebook(first) as casebook:
        writer = sqlite3.connect(first / FILE_NAME, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        with Casebook(first) as second:  # opening takes no lock either
            assert len(second.devices()) == 2
        writer.execute("ROLLBACK")
        writer.close()
        assert casebook.devices()["表-2"] == DEVICES[1]


def test_a_database_that_fails_is_told_as_ours(first):
    with Casebook(first) as casebook:
        file = sqlite3.connect(first / FILE_NAME)
        file.execute("DROP TABLE site_version")
        file.close()
        with pytest.raises(GatewayError, match="no such table: site_version"):
            casebook.records("site")


def test_an_older_program_refuses_the_new_schema(first):
    Casebook(first).close()
    with sqlite3.connect(first / FILE_NAME) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    file.close()
    with pytest.raises(ConfigError, match="its schema is 9999, this program knows up to"):
        Casebook(first)

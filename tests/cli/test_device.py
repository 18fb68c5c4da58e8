"""The registry on the command line."""

import json

TABLE = "device_id,kind,region\nw1,water_meter,110105\ng1,gas_meter,310101\n"


def test_an_import_says_what_it_does_and_a_dry_run_does_nothing(gateway, tmp_path):
    file = tmp_path / "devices.csv"
    file.write_text(TABLE)
    data = tmp_path / "data"
    dry = gateway("device", "import", file, "--data", data, "--dry-run")
    assert "2 would be added" in dry.stdout
    assert gateway("device", "list", "--data", data, "--json").stdout == ""
    told = json.loads(gateway("device", "import", file, "--data", data, "--json").stdout)
    assert (told["added"], told["dry_run"]) == (2, False)
    again = gateway("device", "import", file, "--data", data)
    assert "0 added, 0 changed, 2 unchanged" in again.stdout


def test_a_faulty_file_changes_nothing_and_every_fault_is_told(gateway, tmp_path):
    file = tmp_path / "devices.csv"
    file.write_text(TABLE + "x,watermeter,1\n")
    result = gateway("device", "import", file, "--data", tmp_path / "data")
    assert result.exit_code == 2
    assert result.stderr.count(f"error: {file}:4: ") == 2
    assert not (tmp_path / "data").exists()


def test_a_list_can_be_narrowed_and_imported_again(gateway, tmp_path):
    data = tmp_path / "data"
    gateway("device", "import", "-", "--data", data, stdin=b'{"device_id":"e","longitude":0}\n')
    file = tmp_path / "devices.csv"
    file.write_text(TABLE)
    gateway("device", "import", file, "--data", data)

    def listed(*options):
        lines = gateway("device", "list", "--data", data, "--json", *options).stdout
        return [json.loads(line) for line in lines.splitlines()]

    assert [device["device_id"] for device in listed("--region", "31")] == ["g1"]
    assert [device["device_id"] for device in listed("--kind", "water_meter")] == ["w1"]
    assert listed()[0] == {"device_id": "e", "longitude": 0.0}
    assert "w1" in gateway("device", "list", "--data", data).stdout
    everything = gateway("device", "list", "--data", data, "--json").stdout.encode()
    told = gateway("device", "import", "-", "--data", tmp_path / "b", "--json", stdin=everything)
    assert json.loads(told.stdout)["added"] == 3


def test_a_list_of_no_registry_is_wrong_use(gateway, tmp_path):
    assert gateway("device", "list", "--data", tmp_path).exit_code == 2
    assert list(tmp_path.iterdir()) == []

"""The registry on the command line."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.test_certificates import dcc

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


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def take(gateway, tmp_path):
    """``take(text, *options)``: the result of an import of a file of this text."""

    def run(text, *options, name="r.jsonl"):
        (tmp_path / name).write_text(text)
        return gateway("device", "import", tmp_path / name, "--data", tmp_path / "data", *options)

    return run


def test_an_import_tells_what_changes_field_by_field(take):
    take('{"device_id": "a", "owner": "one", "parameters": {"k_factor": 100}}\n')
    result = take('{"device_id": "a", "owner": "two", "parameters": {"k_factor": 100}}\n')
    (row,) = (line for line in result.stdout.splitlines() if "│ a " in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert (*cells[:3], *cells[4:]) == ("a", "device", "changed", "owner", "one", "two")
    assert "1 record read: 0 added, 1 changed, 0 unchanged" in result.stdout


def test_the_report_of_an_import_is_json_too(take):
    take('{"device_id": "a", "owner": "one"}\n')
    text = '{"device_id": "a", "owner": "two", "region": "990000"}\n{"device_id": "b"}\n'
    told = json.loads(take(text, "--dry-run", "--json").stdout)
    assert (told["added"], told["changed"], told["dry_run"]) == (1, 1, True)
    change, addition = told["changes"]
    assert (change["record"], change["name"], change["action"]) == ("device", "a", "change")
    assert change["fields"]["owner"] == {"before": "one", "after": "two"}
    assert addition["action"] == "add"
    assert [warning.rpartition(":1: ")[2][:6] for warning in told["warnings"]] == ["region"]
    assert told["faults"] == []
    corrected = json.loads(take(text, "--correct", "--json").stdout)
    assert (corrected["corrected"], corrected["changed"]) == (1, 0)


def test_faults_are_in_the_report_and_end_with_2(take, tmp_path):
    result = take('{"device_id": "a", "parameters": {"parent": "x"}}\n', "--json")
    assert result.exit_code == 2
    assert "no device 'x' is registered" in json.loads(result.stdout)["faults"][0]
    result = take('{"device_id": "a", "parameters": {"parent": "x"}}\n{"device_id": 1}\n')
    assert result.exit_code == 2
    assert result.stderr.count(f"error: {tmp_path / 'r.jsonl'}:") == 2
    broken = take("{", "--json", name="broken.jsonl")
    assert broken.exit_code == 2
    assert len(json.loads(broken.stdout)["faults"]) == 1


def test_a_long_report_is_cut_short(take):
    def rows(owner):
        return "".join(f'{{"device_id": "d{i:02d}", "owner": "{owner}"}}\n' for i in range(60))

    take(rows("one"))
    result = take(rows("two"))
    assert "and 10 more; --json tells all" in result.stdout


def test_certificates_are_imported_with_their_zone_and_validity(gateway, take, tmp_path):
    take('{"device_id": "fd-1", "serial_number": "SN-77"}\n')
    (tmp_path / "c.xml").write_text(dcc())
    words = ("device", "import", tmp_path / "c.xml", "--data", tmp_path / "data")
    assert "says no validity" in gateway(*words, "--dry-run").stderr
    assert gateway(*words, "--valid-for", "6 months").exit_code == 2
    assert gateway(*words, "--zone", "Beijing").exit_code == 2
    result = gateway(*words, "--valid-for", "P6M", "--zone", "UTC")
    assert result.exit_code == 0
    (line,) = lines(gateway("device", "list", "--data", tmp_path / "data", "--json"))
    assert (line["certificate"], line["verified_until"]) == ("JL-2026-0815", "2026-09-02T23:59:59Z")
    (certificate,) = lines(
        gateway("device", "list", "--data", tmp_path / "data", "--record", "certificate", "--json")
    )
    assert (certificate["record"], len(certificate["errors"])) == ("certificate", 3)
    shown = gateway("device", "list", "--data", tmp_path / "data", "--record", "certificate")
    assert "JL-2026-0815" in shown.stdout
    words = ("device", "import", "-", "--data", tmp_path / "data", "--valid-for", "P6M")
    again = gateway(*words, "--zone", "UTC", stdin=dcc().encode())
    assert "0 added, 0 changed, 1 unchanged" in again.stdout
    other = gateway(*words, "--zone", "Asia/Shanghai", stdin=dcc().encode())
    assert other.exit_code == 2
    assert "say --correct to replace what is known" in other.stderr


def test_a_list_is_narrowed_by_site_and_end_of_verification_and_has_a_history(
    gateway, take, tmp_path
):
    take(
        '{"device_id": "a", "site": "s", "verified_until": "2026-06-01T00:00:00Z"}\n'
        '{"device_id": "b", "site": "s", "verified_until": "2027-06-01T00:00:00Z"}\n'
        '{"device_id": "c", "site": "t"}\n'
    )
    take('{"device_id": "c", "site": "u"}\n')

    def listed(*options):
        result = gateway("device", "list", "--data", tmp_path / "data", "--json", *options)
        return [line["device_id"] for line in lines(result)]

    assert listed("--site", "s") == ["a", "b"]
    assert listed("--verified-until", "2027-01-01") == ["a"]
    assert listed("--history") == ["a", "b", "c", "c"]
    wrong = gateway("device", "list", "--data", tmp_path / "data", "--verified-until", "soon")
    assert wrong.exit_code == 2
    stray = gateway(
        "device", "list", "--data", tmp_path / "data", "--record", "site", "--site", "s"
    )
    assert stray.exit_code == 2
    everything = gateway("device", "list", "--data", tmp_path / "data", "--history", "--json")
    other = gateway(
        "device", "import", "-", "--data", tmp_path / "o", stdin=everything.stdout.encode()
    )
    assert other.exit_code == 0
    again = gateway("device", "list", "--data", tmp_path / "o", "--history", "--json")
    assert again.stdout == everything.stdout


def test_a_device_is_shown_with_all_that_belongs_to_it(gateway, take, tmp_path):
    take(
        '{"record": "site", "site": "s", "name": "Station"}\n'
        '{"record": "owner", "owner": "o", "name": "Owner"}\n'
        '{"device_id": "f", "kind": "electricity_meter", "site": "s", "owner": "o",'
        ' "region": "110105", "certificate": "C1", "verified_at": "2026-01-01T00:00:00Z",'
        ' "parameters": {"k": 1, "dlms_key": "00112233"}}\n'
        '{"device_id": "m", "kind": "electricity_meter", "parameters": {"parent": "f"}}\n'
    )
    take(
        '{"device_id": "f", "kind": "electricity_meter", "site": "s", "owner": "o",'
        ' "region": "110105", "parameters": {"k": 2, "dlms_key": "44556677"}}\n'
    )
    told = json.loads(gateway("device", "show", "f", "--data", tmp_path / "data", "--json").stdout)
    assert told["device"]["parameters"] == {"k": 2, "dlms_key": "(secret)"}
    assert [version.get("valid_from") for version in told["versions"]][1] is None
    assert told["children"] == {"parent": ["m"], "tank": []}
    assert (told["site"]["name"], told["owner"]["name"]) == ("Station", "Owner")
    assert [certificate["number"] for certificate in told["certificates"]] == ["C1"]
    assert [entry["action"] for entry in told["audit"]] == [
        "device.change", "device.import", "device.import",
    ]  # fmt: skip
    fields = told["audit"][0]["detail"]["fields"]
    assert fields["parameters.k"] == {"before": 1, "after": 2}
    assert fields["parameters.dlms_key"] == {"before": "(secret)", "after": "(secret)"}
    shown = gateway("device", "show", "f", "--data", tmp_path / "data").stdout
    for part in ("北京市 Beijing", "Station", "C1", "parent of", "since ever",
                 "parameters.k", "device.change"):  # fmt: skip
        assert part in shown
    assert "00112233" not in shown
    assert gateway("device", "show", "nobody", "--data", tmp_path / "data").exit_code == 2


def test_verifications_that_are_missing_or_end_are_told_and_end_with_1(gateway, take, tmp_path):
    take(
        '{"device_id": "good", "verified_until": "2027-01-01T00:00:00Z"}\n'
        '{"device_id": "soon", "verified_until": "2026-06-15T00:00:00Z", "region": "110105"}\n'
        '{"device_id": "over", "verified_until": "2026-05-31T00:00:00Z", "region": "310115"}\n'
        '{"device_id": "none"}\n'
        '{"device_id": "later", "valid_from": "2026-07-01T00:00:00Z"}\n'
    )

    def states(*options):
        result = gateway("device", "verify", "--data", tmp_path / "data", "--at", "2026-06-01",
                         "--json", *options)  # fmt: skip
        found = {line["device_id"]: line["state"] for line in lines(result)}
        assert result.exit_code == (1 if found else 0)
        return found

    assert states() == {"none": "missing", "over": "expired", "soon": "expiring"}
    assert states("--days", "10") == {"none": "missing", "over": "expired"}
    assert states("--region", "31") == {"over": "expired"}
    assert states("--region", "44") == {}
    shown = gateway("device", "verify", "--data", tmp_path / "data", "--at", "2026-06-01").stdout
    assert "5 devices: 1 missing, 1 expired, 1 expiring within 30 days" in shown


def test_the_worked_files_of_the_operators_chapter_make_a_registry(gateway, tmp_path):
    folder = Path(__file__).parents[2] / "deploy" / "registry"
    files = [folder / name for name in ("station.jsonl", "feeder.csv", "certificate.xml")]
    assert {file.name for file in folder.iterdir()} == {file.name for file in files}
    told = json.loads(gateway("device", "import", *files, "--data", tmp_path, "--json").stdout)
    assert (told["added"], told["changed"], told["corrected"]) == (9, 2, 1)
    again = gateway("device", "import", *files, "--data", tmp_path)
    assert "10 records read: 0 added, 0 changed, 10 unchanged" in again.stdout
    shown = json.loads(gateway("device", "show", "fd-1", "--data", tmp_path, "--json").stdout)
    begins = [version.get("valid_from") for version in shown["versions"]]
    assert begins == ["2026-06-15T02:30:00Z", "2026-03-01T16:00:00Z", None]
    assert {v.get("certificate") for v in shown["versions"]} == {"EX-2026-0815", None}
    assert len(shown["certificates"][0]["errors"]) == 3


def test_devices_are_exported_with_what_is_registered_of_them(gateway, replayed, tmp_path):
    (tmp_path / "r.jsonl").write_text(
        '{"device_id": "e1", "owner": "o", "valid_from": "2026-01-01T00:00:00Z",'
        ' "parameters": {"digits": 6, "mbus_key": "0011"}}\n{"device_id": "unseen"}\n'
    )
    before = lines(gateway("export", "devices", "--data", replayed))
    assert gateway("device", "import", tmp_path / "r.jsonl", "--data", replayed).exit_code == 0
    first, second = lines(gateway("export", "devices", "--data", replayed))
    assert (first["owner"], first["valid_from"]) == ("o", "2026-01-01T00:00:00.000Z")
    assert first["parameters"] == {"digits": 6, "mbus_key": "(secret)"}
    assert first.items() >= before[0].items()
    assert second == before[1]
    table = gateway("export", "devices", "--data", replayed, "--format", "csv").stdout
    assert table.splitlines()[0].endswith("certificate,parameters,valid_from")
    out = tmp_path / "d.parquet"
    assert gateway("export", "devices", "--data", replayed, "-o", out).exit_code == 0
    found = pyarrow.parquet.read_table(out).to_pylist()
    assert [row["owner"] for row in found] == ["o", None]

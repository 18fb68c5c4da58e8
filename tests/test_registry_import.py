"""What an import changes: versions that are kept, corrections on the word, and relations."""

import json

import msgspec
import pytest

from gateway.casebook import Casebook
from gateway.devices import is_secret
from gateway.records import Device, Owner, Site
from gateway.registry import as_line, read_files
from gateway.registry.codes import PROVINCES, credit_code_fault, province
from gateway.testing import ManualClock
from gateway.times import DAY, nanoseconds, rfc3339

NOW = nanoseconds("2026-05-01T00:00:00Z")
MARCH = "2026-03-01T00:00:00Z"


class Registry:
    """A casebook into which lines are imported; what they make is kept."""

    def __init__(self, folder):
        self.folder = folder
        self.clock = ManualClock(NOW)
        self.number = 0

    def take(self, *rows, **options):
        self.number += 1
        file = self.folder / f"{self.number}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.clock.advance(1)
        with Casebook(self.folder / "data", clock=self.clock) as casebook:
            made = casebook.import_read(read_files([file]), source=file.name, actor="me", **options)
        for text in (*made.faults, *made.warnings):
            assert text.startswith(f"{file}:"), text
        made.faults = [fault.removeprefix(f"{file}:") for fault in made.faults]
        made.warnings = [warning.removeprefix(f"{file}:") for warning in made.warnings]
        return made

    def versions(self, name="a"):
        with Casebook(self.folder / "data") as casebook:
            return casebook.devices().versions(name)

    def records(self, kind, **of):
        with Casebook(self.folder / "data") as casebook:
            return casebook.records(kind, **of)

    def audit(self):
        with Casebook(self.folder / "data") as casebook:
            return casebook.audit()


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path)


def told(versions, field="owner"):
    return [(v.valid_from and rfc3339(v.valid_from), getattr(v, field)) for v in versions]


def test_a_changed_row_begins_a_version_at_the_moment_of_the_import(registry):
    registry.take({"device_id": "a", "owner": "one"})
    made = registry.take({"device_id": "a", "owner": "two"})
    assert [change.action for change in made.changes] == ["change"]
    assert made.changes[0].fields == {
        "owner": {"before": "one", "after": "two"},
        "valid_from": {"before": None, "after": "2026-05-01T00:00:02Z"},
    }
    assert told(registry.versions()) == [(None, "one"), ("2026-05-01T00:00:02Z", "two")]


def test_the_same_file_again_changes_nothing(registry):
    for owner in ("one", "two"):
        registry.take({"device_id": "a", "owner": owner})
    made = registry.take({"device_id": "a", "owner": "two"})
    assert (made.changes, made.unchanged) == ([], 1)
    assert len(registry.versions()) == 2


def test_a_row_that_goes_back_to_what_held_before_is_one_more_version(registry):
    for owner in ("one", "two", "one"):
        registry.take({"device_id": "a", "owner": owner})
    assert [owner for _, owner in told(registry.versions())] == ["one", "two", "one"]


def test_two_imports_in_one_moment_are_two_versions(registry):
    registry.take({"device_id": "a", "owner": "one"})
    for owner in ("two", "three"):
        registry.take({"device_id": "a", "owner": owner})
        registry.clock.advance(-1)
    first, second, third = registry.versions()
    assert first.valid_from is None
    assert third.valid_from == second.valid_from + 1


def test_a_correction_replaces_the_version_of_now_and_begins_when_it_began(registry):
    registry.take({"device_id": "a", "owner": "one"})
    registry.take({"device_id": "a", "owner": "twoo"})
    made = registry.take({"device_id": "a", "owner": "two"}, correct=True)
    assert [change.action for change in made.changes] == ["correct"]
    assert made.changes[0].fields == {"owner": {"before": "twoo", "after": "two"}}
    assert told(registry.versions()) == [(None, "one"), ("2026-05-01T00:00:02Z", "two")]


def test_a_row_that_says_since_when_is_a_version_of_that_time(registry):
    registry.take({"device_id": "a", "owner": "one"})
    registry.take({"device_id": "a", "owner": "three"})
    registry.take({"device_id": "a", "owner": "two", "valid_from": MARCH})
    assert [owner for _, owner in told(registry.versions())] == ["one", "two", "three"]


def test_several_rows_of_a_device_are_its_history(registry):
    rows = [
        {"device_id": "a", "owner": "two", "valid_from": MARCH},
        {"device_id": "a", "owner": "one"},
        {"device_id": "a", "owner": "three", "valid_from": "2026-04-01T00:00:00Z"},
    ]
    made = registry.take(*rows)
    assert [change.action for change in made.changes] == ["add", "change", "change"]
    expected = [(None, "one"), (MARCH, "two"), ("2026-04-01T00:00:00Z", "three")]
    assert told(registry.versions()) == expected
    assert registry.take(*rows).unchanged == 3


def test_a_version_that_exists_is_replaced_on_the_word_only(registry):
    registry.take({"device_id": "a", "owner": "one", "valid_from": MARCH})
    other = {"device_id": "a", "owner": "two", "valid_from": MARCH}
    (fault,) = registry.take(other).faults
    assert fault == (
        f"1: device a: owner is 'one', here 'two', in the version that holds from {MARCH} on; "
        "say --correct to replace it, or another valid_from to begin a new one"
    )
    assert told(registry.versions()) == [(MARCH, "one")]
    assert registry.take(other, correct=True).faults == []
    assert told(registry.versions()) == [(MARCH, "two")]


def test_a_row_before_all_that_is_known_holds_until_the_first_begins(registry):
    later = rfc3339(NOW + 9 * DAY)
    registry.take({"device_id": "a", "owner": "later", "valid_from": later})
    registry.take({"device_id": "a", "owner": "now"})
    assert told(registry.versions()) == [(None, "now"), (later, "later")]


def test_a_fault_anywhere_writes_nothing(registry):
    registry.take({"device_id": "a", "owner": "one", "valid_from": MARCH})
    made = registry.take({"device_id": "b"}, {"device_id": "a", "owner": "x", "valid_from": MARCH})
    assert len(made.faults) == 1
    assert registry.versions("b") == ()
    assert len(registry.audit()) == 1


def test_the_audit_has_what_was_before_and_after_each_change(registry):
    registry.take({"device_id": "a", "parameters": {"k_factor": 100, "tank": "t"}},
                  {"device_id": "t"})  # fmt: skip
    registry.take({"device_id": "a", "parameters": {"k_factor": 101, "tank": "t"}})
    change, second, first = registry.audit()
    assert (first.action, second.action, change.action) == (
        "device.import", "device.import", "device.change",
    )  # fmt: skip
    assert change.subject == "a"
    assert change.detail["fields"]["parameters.k_factor"] == {"before": 100, "after": 101}
    assert change.detail["valid_from"] == "2026-05-01T00:00:02Z"
    assert "parameters.tank" not in change.detail["fields"]
    assert next(iter(second.detail["sha256"].values()))
    with Casebook(registry.folder / "data") as casebook:
        assert [e.action for e in casebook.audit_of("a")] == [
            "device.change", "device.import", "device.import",
        ]  # fmt: skip
        assert [e.action for e in casebook.audit_of("t")] == ["device.import"]


def test_what_is_listed_makes_the_same_registry_elsewhere(registry, tmp_path):
    registry.take({"device_id": "a", "owner": "o", "certificate": "C", "verified_at": MARCH,
                   "verified_until": "2026-09-01T00:00:00Z"},
                  {"record": "owner", "owner": "o", "name": "Owner"})  # fmt: skip
    registry.take({"device_id": "a", "owner": "o", "parameters": {"k": [1, {"x": None}]}})
    kinds = ("device", "site", "owner", "certificate")
    records = [record for kind in kinds for record in registry.records(kind)]
    (tmp_path / "other").mkdir()
    other = Registry(tmp_path / "other")
    other.take(*map(as_line, records))
    assert [record for kind in kinds for record in other.records(kind)] == records


# Verification: a list that is silent of it takes nothing away.

VERIFIED = {"certificate": "C2", "verified_at": MARCH, "verified_until": "2026-09-01T00:00:00Z"}


def test_a_row_without_a_verification_keeps_the_one_that_is_known(registry):
    registry.take({"device_id": "a", **VERIFIED})
    registry.take({"device_id": "a", "owner": "new"})
    assert [(v.owner, v.certificate) for v in registry.versions()] == [(None, "C2"), ("new", "C2")]


def test_a_row_with_an_older_verification_keeps_the_newer_and_says_so(registry):
    registry.take({"device_id": "a", **VERIFIED})
    old = {"certificate": "C1", "verified_at": "2025-09-01T00:00:00Z"}
    made = registry.take({"device_id": "a", **old})
    assert made.unchanged == 1
    assert "is before 2026-03-01T00:00:00Z of certificate C2, which is kept" in made.warnings[0]
    registry.take({"device_id": "a", **old}, correct=True)
    assert registry.versions()[-1].certificate == "C1"


def test_a_row_brings_the_certificate_that_it_names(registry):
    registry.take({"device_id": "a", **VERIFIED})
    (certificate,) = registry.records("certificate")
    assert (certificate.number, certificate.device_id) == ("C2", "a")
    assert rfc3339(certificate.valid_until) == "2026-09-01T00:00:00Z"
    newer = {"certificate": "C3", "verified_at": "2026-04-01T00:00:00Z",
             "verified_until": "2026-10-01T00:00:00Z"}  # fmt: skip
    registry.take({"device_id": "a", **newer})
    assert {c.number for c in registry.records("certificate", device_id="a")} == {"C2", "C3"}


# Sites and owners.


def test_sites_and_owners_have_a_history_too(registry):
    owner = {"record": "owner", "owner": "o", "credit_code": "91350100M000100Y43"}
    registry.take({"record": "site", "site": "s", "name": "Old"}, owner)
    registry.take({"record": "site", "site": "s", "name": "New"})
    assert [site.name for site in registry.records("site")] == ["Old", "New"]
    assert registry.records("owner") == [Owner(owner="o", credit_code="91350100M000100Y43")]
    assert isinstance(registry.records("site")[0], Site)


def test_a_site_or_owner_that_nobody_registered_is_said_where_others_are(registry):
    assert registry.take({"device_id": "a", "site": "x", "owner": "y"}).warnings == []
    made = registry.take(
        {"record": "site", "site": "s", "owner": "y"},
        {"record": "owner", "owner": "z"},
        {"device_id": "b", "site": "x"},
        {"device_id": "c", "site": "x"},
        {"device_id": "d", "site": "s", "owner": "z"},
    )
    assert made.warnings == [
        "1: owner: 'y' is no registered owner",
        "3: site: 'x' is no registered site, as of 1 more rows",
    ]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"record": "pump", "device_id": "a"}, "record: unknown kind of record 'pump'"),
        ({"record": 1, "device_id": "a"}, "record: unknown kind of record 1"),
        ({"record": "site", "device_id": "a"}, "'device_id' is no field of a site; a device or"),
        ({"record": "site", "nam": "x", "site": "s"}, "did you mean 'name'?"),
        ({"record": "certificate", "device_id": "a"}, "number is missing"),
        ({"record": "owner", "owner": "o", "credit_code": "91350100M000100Y44"}, "is 3, not 4"),
        ({"record": "certificate", "device_id": "a", "number": "1", "result": "good"},
         "result: must be pass or fail"),
        ({"record": "certificate", "device_id": "a", "number": "1", "errors": [{"at": 1}]},
         "errors: point 1 is not like"),
        ({"record": "certificate", "device_id": "a", "number": "1", "verified_at": MARCH,
          "valid_until": "2026-01-01T00:00:00Z"}, "valid_until is before verified_at"),
        ({"record": "certificate", "device_id": "nobody", "number": "1"},
         "no device 'nobody' is registered"),
        ({"device_id": "a", "valid_from": "2026-03-01"}, "valid_from: '2026-03-01' is not an RFC"),
    ],
)  # fmt: skip
def test_a_record_that_is_wrong_is_told(registry, row, fault):
    assert fault in "\n".join(registry.take(row).faults)


def test_records_of_all_kinds_may_stand_in_one_table(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text(
        "record,device_id,site,owner,name,number,valid_from,errors,parameters.k_factor\n"
        "site,,s1,,Station,,,,\n"
        "owner,,,o1,Owner,,,,\n"
        ",a,s1,o1,,,2026-03-01T00:00:00Z,,100\n"
        'certificate,a,,,,C1,,"[{""error"": {""value"": 0.1, ""unit"": ""%""}}]",\n'
    )
    found = read_files([file])
    assert found.faults == []
    site, owner, device, certificate = (entry.record for entry in found.entries)
    assert (site, owner) == (Site(site="s1", name="Station"), Owner(owner="o1", name="Owner"))
    assert (device.valid_from, device.parameters) == (nanoseconds(MARCH), {"k_factor": 100})
    assert certificate.errors == [{"error": {"value": 0.1, "unit": "%"}}]


def test_the_same_record_in_two_files_is_told_with_both_places(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"device_id": "x"}\n')
    (fault,) = read_files([tmp_path / "a.jsonl", tmp_path / "b.jsonl"]).faults
    assert fault.startswith(f"{tmp_path / 'b.jsonl'}:1: ")
    assert f"is already on {tmp_path / 'a.jsonl'}:1" in fault


# Parents, tanks, nozzles.


def meter(name, parent=None, **fields):
    parameters = {} if parent is None else {"parent": parent}
    return {"device_id": name, "kind": "electricity_meter", "parameters": parameters, **fields}


def test_a_parent_must_be_there_now_or_in_the_same_import(registry):
    (fault,) = registry.take(meter("a", "f")).faults
    assert fault.startswith("1: parameters.parent: no device 'f' is registered, nor is it in this")
    assert registry.take(meter("a", "f"), meter("f")).faults == []
    assert registry.take(meter("b", "f")).faults == []


def test_a_cycle_of_parents_is_told_with_its_way(registry):
    assert registry.take(meter("a"), meter("b", "a"), meter("c", "b")).faults == []
    (fault,) = registry.take(meter("a", "c")).faults
    assert fault == (
        "1: parameters.parent: a cycle, each is the parent of the one before: a → c → b → a"
    )
    (own,) = registry.take(meter("a", "a")).faults
    assert own == "1: parameters.parent: 'a' is the device itself"


def test_a_cycle_within_one_import_is_told_of_each_of_its_devices_but_not_of_others(registry):
    made = registry.take(meter("a", "b"), meter("b", "a"), meter("c", "a"))
    assert [fault[:2] for fault in made.faults] == ["1:", "2:"]


def test_parents_that_were_exchanged_over_time_are_no_cycle(registry):
    registry.take(meter("a", "b"), meter("b"))
    made = registry.take(meter("b", "a"), meter("a"))
    assert made.faults == []


def test_a_parent_of_another_kind_is_odd(registry):
    made = registry.take(meter("a", "f"), meter("f", kind="water_meter"))
    assert made.warnings == ["1: parameters.parent: 'f' is a water_meter, 'a' a electricity_meter"]


def pump(name, site="s", **parameters):
    return {"device_id": name, "kind": "fuel_dispenser", "site": site, "parameters": parameters}


def test_tanks_must_be_there_and_stand_at_the_same_site(registry):
    made = registry.take(
        pump("p1", tank={"1": "t1", "2": "t2"}), pump("t1"), pump("p2", site="far", tank="t1")
    )
    assert [fault.partition(";")[0] for fault in made.faults] == [
        "1: parameters.tank: no device 't2' is registered, nor is it in this import"
    ]
    assert made.warnings == ["3: parameters.tank: 't1' is at site 's', 'p2' at 'far'"]


@pytest.mark.parametrize("tank", [7, {}, {"1": 7}, [], ""])
def test_a_tank_is_a_device_or_one_a_nozzle(registry, tank):
    (fault,) = registry.take(pump("p", tank=tank)).faults
    assert fault.startswith("1: parameters.tank: must be the device_id of a tank gauge")


def test_a_parent_is_one_device(registry):
    (fault,) = registry.take(meter("a", {"1": "f"}), meter("f")).faults
    assert fault.startswith("1: parameters.parent: must be the device_id of the feeder")


def test_a_nozzle_that_is_named_twice_is_told(tmp_path):
    file = tmp_path / "r.jsonl"
    file.write_text(
        '{"device_id": "p", "parameters": {"tank": {"1": "t1", "2": "t2", "1": "t3"}}}\n'
        '{"device_id": "q", "parameters": {"note": "\\"1\\": \\"1\\":"}}\n'
    )
    assert read_files([file]).faults == [f"{file}:1: '1' is there twice"]
    table = tmp_path / "r.csv"
    table.write_text('device_id,parameters.tank\np,"{""1"": ""t1"", ""1"" : ""t2""}"\n')
    assert read_files([table]).faults == [f"{table}:2: parameters.tank: '1' is there twice"]


def test_a_nozzle_of_a_station_is_that_of_one_device(registry):
    assert registry.take(pump("n1", nozzle=1), pump("n2", nozzle=[2, 3])).faults == []
    made = registry.take(
        pump("m1", nozzle="1"), pump("m2", nozzle=[4, 4]), pump("m3", "other", nozzle=1)
    )
    assert [fault.partition(";")[0] for fault in made.faults] == [
        "1: parameters.nozzle: nozzle 1 of site 's' is that of device 'n1', too",
        "2: parameters.nozzle: 4 is there twice",
    ]


def test_every_fault_is_told_at_once_and_only_once(registry):
    made = registry.take(
        {"device_id": "bad", "kind": "watermeter"},
        meter("child", "bad"),
        meter("x", "nobody"),
        {"record": "certificate", "device_id": "gone", "number": "1"},
    )
    assert [fault.partition(":")[0] for fault in made.faults] == ["1", "4", "3"]


# Codes.


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("91350100M000100Y43", None),  # the example of GB 32100-2015, appendix A
        ("91350100M000100Y4X", "is 3, not X"),
        ("91350100M000100Y4", "has 17"),
        ("91350100M000100YO3", "has O"),
        ("9135A100M000100Y43", "is a region"),
        ("91350100M001000Y43", "not 3"),
    ],
)
def test_a_social_credit_code_is_held_to_its_check_character(code, why):
    fault = credit_code_fault(code)
    assert fault is None if why is None else why in fault


def test_a_wrong_code_as_the_owner_of_a_device_is_odd_but_not_refused(registry):
    made = registry.take(
        {"device_id": "a", "owner": "91350100M000100Y4X"},
        {"device_id": "b", "owner": "Beijing Gas Co Ltd"},
        {"device_id": "c", "owner": "91350100M000100Y43"},
    )
    assert made.faults == []
    (warning,) = made.warnings
    assert warning.startswith("1: owner: '91350100M000100Y4X': the check character")


def test_a_region_of_no_province_is_odd(registry):
    made = registry.take(
        {"device_id": "a", "region": "990101"}, {"device_id": "b", "region": 110105}
    )
    assert made.warnings == ["1: region: 99 is no province of GB/T 2260, in '990101'"]


def test_the_provinces_are_all_there():
    assert len(PROVINCES) == 34
    assert province("310115") == ("上海市", "Shanghai")
    assert len({name for names in PROVINCES.values() for name in names}) == 68


def test_what_differs_is_told_field_by_field():
    before = Device(device_id="a", verified_until=NOW, parameters={"k": 1, "gone": 2})
    after = msgspec.structs.replace(before, verified_until=NOW + DAY, parameters={"k": 3})
    from gateway.registry.changes import Change  # noqa: PLC0415 - one use

    assert Change("change", before, after, "x:1").fields == {
        "verified_until": {"before": "2026-05-01T00:00:00Z", "after": "2026-05-02T00:00:00Z"},
        "parameters.k": {"before": 1, "after": 3},
        "parameters.gone": {"before": 2, "after": None},
    }


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("dlms_key", True), ("mbus_key", True), ("key", True), ("password", True),
        ("dlms_authentication_key", True), ("ocmf_public_key", False), ("k_factor", False),
        ("keyboard", False), ("monkey", False),
    ],
)  # fmt: skip
def test_keys_and_passwords_are_known_by_their_names(name, secret):
    assert is_secret(name) is secret


def test_a_contradiction_does_not_tell_a_key(registry):
    row = {"device_id": "a", "valid_from": MARCH, "parameters": {"mbus_key": "00112233"}}
    registry.take(row)
    (fault,) = registry.take(row | {"parameters": {"mbus_key": "44556677"}}).faults
    assert "parameters.mbus_key is '(secret)', here '(secret)'" in fault

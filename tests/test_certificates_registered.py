"""Certificates of calibration brought into the registry: whose they are, and what they change."""

import json

import pytest

from gateway.casebook import Casebook
from gateway.records import Certificate, Device
from gateway.registry import Read, read_files
from gateway.registry.entries import Entry
from gateway.testing import ManualClock
from gateway.times import DAY, nanoseconds
from tests.dcc_writing import (
    NEXT,
    PASSED,
    SERIAL,
    SHANGHAI,
    dcc,
    dispenser_table,
    element,
    item,
    result,
    statement,
)

DISPENSER = Device(
    device_id="fd-1", kind="fuel_dispenser", vendor="ACME", model="F2", serial_number="SN-77",
    parameters={"k_factor": 100},
)  # fmt: skip


VERIFIED = nanoseconds("2026-03-03T00:00:00+08:00")


@pytest.fixture
def take(tmp_path):
    """``take(*texts, devices=…)``: what an import of certificates makes, and the casebook after."""

    def run(*texts, devices=(DISPENSER,), **options):
        paths = []
        for number, text in enumerate(texts):
            paths.append(tmp_path / f"c{number}.xml")
            paths[-1].write_text(text)
        with Casebook(tmp_path / "data", clock=ManualClock(VERIFIED + 30 * DAY)) as casebook:
            casebook.import_devices(devices, source="devices", actor="me")
            told = read_files(paths, zone=SHANGHAI)
            made = casebook.import_read(told, source="certificates", actor="me", **options)
            return made, casebook.devices(), casebook.records("certificate"), casebook.audit()

    return run


def test_a_certificate_begins_a_version_of_the_device_on_the_day_of_the_verification(take):
    made, registry, (certificate,), audit = take(dcc(statements=NEXT + PASSED))
    assert made.faults == made.warnings == []
    assert isinstance(certificate, Certificate)
    assert certificate.device_id == "fd-1"
    assert len(certificate.errors) == 3
    before, after = registry.at("fd-1", VERIFIED - 1), registry.at("fd-1", VERIFIED)
    assert (before.certificate, after.certificate) == (None, "JL-2026-0815")
    assert after.verified_until == nanoseconds("2026-09-02T23:59:59+08:00")
    assert after.parameters == before.parameters == {"k_factor": 100}
    assert {entry.action for entry in audit} == {"device.import", "device.change"}
    (entry,) = (entry for entry in audit if entry.action == "device.change")
    assert entry.detail["fields"]["certificate"] == {"before": None, "after": "JL-2026-0815"}
    assert entry.detail["valid_from"] == "2026-03-02T16:00:00Z"


def test_the_same_certificate_again_changes_nothing(take):
    text = dcc(statements=NEXT + PASSED)
    take(text)
    made, registry, certificates, _ = take(text)
    assert (made.changes, made.unchanged) == ([], 1)
    assert len(certificates) == 1
    assert len(registry.versions("fd-1")) == 2


def test_a_failed_verification_is_kept_and_prolongs_nothing(take):
    failed = statement("basic_conformity", element("dcc:conformity", "fail"))
    _, registry, (certificate,), _ = take(dcc(statements=NEXT + failed))
    assert certificate.result == "fail"
    assert registry.versions("fd-1") == (DISPENSER,)


def test_versions_that_followed_take_the_certificate_over_until_another_one(take):
    moved = Device(**{**as_dict(DISPENSER), "site": "st-9", "valid_from": VERIFIED + DAY})
    newer = Device(
        **{**as_dict(moved), "certificate": "B", "verified_at": VERIFIED + 2 * DAY,
           "valid_from": VERIFIED + 2 * DAY}
    )  # fmt: skip
    _, registry, _, _ = take(dcc(statements=NEXT), devices=(DISPENSER, moved, newer))
    assert [(v.certificate, v.site) for v in registry.versions("fd-1")] == [
        (None, None), ("JL-2026-0815", None), ("JL-2026-0815", "st-9"), ("B", "st-9"),
    ]  # fmt: skip


def as_dict(device):
    return {name: getattr(device, name) for name in Device.__struct_fields__}


def test_an_older_certificate_is_kept_beside_the_newer_one(take):
    newer = Device(**{**as_dict(DISPENSER), "certificate": "B", "verified_at": VERIFIED + DAY})
    _, registry, certificates, _ = take(dcc(statements=NEXT), devices=(newer,))
    assert registry.versions("fd-1") == (newer,)
    assert {c.number for c in certificates} == {"B", "JL-2026-0815"}


def test_a_device_and_its_certificate_may_come_in_one_import(tmp_path):
    (tmp_path / "d.jsonl").write_text('{"device_id": "fd-2", "serial_number": "SN-77"}\n')
    (tmp_path / "c.xml").write_text(dcc(statements=NEXT))
    told = read_files([tmp_path / "c.xml", tmp_path / "d.jsonl"], zone=SHANGHAI)
    with Casebook(tmp_path / "data") as casebook:
        made = casebook.import_read(told, source="x", actor="me")
        assert made.faults == []
        assert casebook.devices()["fd-2"].certificate == "JL-2026-0815"


@pytest.mark.parametrize(
    ("numbers", "devices", "options", "why"),
    [
        ((("owner", "nobody"),), (DISPENSER,), {}, "no device has 'nobody' as device_id or"),
        ((("owner", "fd-1"), ("customer", "fd-2")),
         (DISPENSER, Device(device_id="fd-2")), {}, "several devices, fd-1, fd-2"),
        ((("owner", "fd-1"), ("manufacturer", "SN-1")), (DISPENSER,), {},
         "its serial number is 'SN-1', the registry has 'SN-77'"),
        (SERIAL, (DISPENSER, Device(device_id="x", serial_number="SN-77")), {},
         "is the serial number of several devices, fd-1, x"),
        (SERIAL, (DISPENSER,), {"device_id": "y"}, "no device 'y' is registered"),
    ],
)  # fmt: skip
def test_an_item_that_is_no_device_for_sure_is_bound_to_none(take, numbers, devices, options, why):
    made, registry, certificates, _ = take(dcc(items=item(*numbers)), devices=devices, **options)
    assert why in "\n".join(made.faults)
    assert certificates == []
    assert list(registry.values()) == sorted(devices, key=lambda device: device.device_id)


def test_maker_and_model_tell_devices_of_the_same_number_apart(take):
    twin = Device(device_id="wm-9", vendor="Other", serial_number="SN-77")
    _, registry, _, _ = take(dcc(statements=NEXT), devices=(DISPENSER, twin))
    assert registry["fd-1"].certificate == "JL-2026-0815"
    assert registry["wm-9"].certificate is None


def test_a_device_that_is_named_needs_no_number(take):
    made, registry, _, _ = take(
        dcc(items=item(("owner", "foo")), statements=NEXT), device_id="fd-1"
    )
    assert made.faults == []
    assert registry["fd-1"].certificate == "JL-2026-0815"
    both = take(dcc(), dcc(number="2"), device_id="fd-1")[0]
    assert both.faults == ["--device is for a single certificate of a single item"]


def test_another_vendor_than_the_registrys_is_said(take):
    made, *_ = take(dcc(statements=NEXT, items=item(*SERIAL, manufacturer="Bolt")))
    assert [w.partition(": ")[2] for w in made.warnings] == [
        "the certificate says vendor 'Bolt', the registry 'ACME' for device fd-1"
    ]


def test_a_certificate_without_validity_is_told(take):
    made, registry, _, _ = take(dcc())
    assert "it says no validity (--valid-for sets one)" in made.warnings[0]
    assert registry["fd-1"].verified_until is None


def test_two_items_of_one_device_are_one_certificate(take):
    items = item(*SERIAL, identity="n1") + item(*SERIAL, identity="n2")
    results = result(dispenser_table(), refId="n1") + result(dispenser_table(), refId="n2")
    _, _, (certificate,), _ = take(dcc(items=items, results=results, statements=NEXT))
    assert len(certificate.errors) == 6


def test_other_content_under_the_same_number_needs_the_word_correct(take):
    take(dcc(statements=NEXT))
    later = statement("basic_recalibration", element("dcc:date", "2027-09-02"))
    made, registry, _, _ = take(dcc(statements=later), devices=())
    assert "certificate fd-1 JL-2026-0815" in made.faults[0]
    assert "say --correct" in made.faults[0]
    made, registry, _, _ = take(dcc(statements=later), devices=(), correct=True)
    assert made.faults == []
    assert registry["fd-1"].verified_until == nanoseconds("2027-09-02T23:59:59+08:00")


def test_a_certificate_may_be_a_line_of_the_registry_too(tmp_path):
    line = {
        "record": "certificate", "device_id": "fd-1", "number": "K-1",
        "verified_at": "2026-03-01T00:00:00+08:00", "valid_until": "2026-09-01T00:00:00+08:00",
        "laboratory": "lab", "result": "pass",
        "errors": [{"flow_rate": {"value": 30, "unit": "L/min"},
                    "error": {"value": 0.1, "unit": "%"}}],
    }  # fmt: skip
    (tmp_path / "c.jsonl").write_text(json.dumps(line) + "\n")
    told = read_files([tmp_path / "c.jsonl"])
    assert told.faults == []
    with Casebook(tmp_path / "data") as casebook:
        casebook.import_read(Read(entries=[Entry("d:1", DISPENSER)]), source="d", actor="me")
        assert casebook.import_read(told, source="c", actor="me").faults == []
        assert casebook.records("certificate") == [told.entries[0].record]
        assert casebook.devices()["fd-1"].certificate == "K-1"

"""Data quality by the program of the instruments."""

import pytest

from gateway.devices import Registry
from gateway.quality.assess import Instruments, assess, assessment_line
from gateway.quality.firmware import registered_firmware, told_firmware
from gateway.records import Device
from tests.quality.conftest import BEGIN, DAY, FIRST, HOUR, ZONE, hourly, reading, refused


def sale(device, at, firmware, channel="1"):
    return reading(
        device, at, kind="fuel_dispenser", event="transaction", channel=channel, currency="CNY",
        names=("volume", "firmware_checksum"), values=(20.0, firmware),
    )  # fmt: skip


def by_firmware(filled, devices=(), **options):
    registry = Registry(devices)
    found = assess(
        filled.store, registry, FIRST, FIRST, zone=ZONE, by="firmware",
        instruments=Instruments(registry, {"water": ("Any", "W-1")}), **options,
    )  # fmt: skip
    return {(each.model, each.group): each for each in found}


def test_the_registry_says_what_runs_else_what_the_device_told_else_nobody_knows(filled):
    devices = [
        Device(device_id="f1", model="F-1", parameters={"firmware_checksum": "A1B2"}),
        Device(device_id="f2", model="F-1"),
        Device(device_id="f3", model="F-2", parameters={"firmware_checksum": 1234}),
        Device(device_id="f4", model="F-1"),
    ]
    filled.take([sale("f1", HOUR, "ffff"), sale("f2", HOUR, "a1b2"), sale("f3", HOUR, "a1b2")])
    filled.take([sale("f4", HOUR, None)], quarantined=[refused("f2", HOUR)])
    filled.take(hourly("w1"))
    found = by_firmware(filled, devices)
    assert set(found) == {("F-1", "a1b2"), ("F-2", "1234"), ("F-1", None), ("W-1", None)}
    both = found["F-1", "a1b2"].counts
    assert (both.devices, both.readings, both.quarantined) == (2, 2, 1)
    assert found["F-1", "a1b2"].scores.conformity == 2 / 3
    assert assessment_line(found["F-1", "a1b2"], "firmware")["model"] == "F-1"
    assert assessment_line(found["F-1", None], "firmware")["firmware"] is None


def test_what_was_told_last_by_the_end_of_the_day_counts(filled):
    filled.take([sale("f1", -2 * HOUR, "old"), sale("f1", HOUR, "new"), sale("f1", DAY, "later")])
    filled.take([sale("f2", -HOUR, "old"), sale("f2", 2 * HOUR, None), sale("f3", -8 * DAY, "old")])
    assert told_firmware(filled.store, BEGIN, BEGIN + DAY) == {"f1": "new", "f2": "old"}


def test_a_device_of_several_programs_is_of_its_own_group(filled):
    filled.take(
        [sale("f1", HOUR, "b2", "1"), sale("f1", HOUR, "A1", "2"), sale("f1", HOUR, "a1", "3")]
    )
    assert set(by_firmware(filled)) == {("W-1", "a1 + b2")}


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (None, None), ("", None), ("  AB ", "ab"), (12, "12"), (True, None), (1.5, None),
        ({"1": "B", "2": "a", "3": "b"}, "a + b"), ({}, None), (["a"], None),
    ],
)  # fmt: skip
def test_a_registered_program_is_a_text_or_one_a_channel(told, name):
    assert (
        registered_firmware(Device(device_id="f1", parameters={"firmware_checksum": told})) == name
    )


def test_a_change_in_the_registry_begins_a_new_group_on_its_day(filled):
    devices = [
        Device(device_id="f1", parameters={"firmware_checksum": "a"}),
        Device(device_id="f1", parameters={"firmware_checksum": "b"}, valid_from=BEGIN + DAY),
    ]
    filled.take([sale("f1", HOUR, "x"), sale("f1", DAY + HOUR, "x")])
    found = assess(
        filled.store, Registry(devices), FIRST, FIRST.replace(day=2), zone=ZONE, by="firmware"
    )
    assert [(each.date.day, each.group) for each in found] == [(1, "a"), (2, "b")]

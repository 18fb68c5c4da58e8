"""Profiles that share a topic: each is asked by the content before its struct is made."""

import pytest

from gateway.deciding import Decided, Decider
from gateway.profiles import load_profiles
from gateway.records import Batch, Device
from tests.compiled import PROFILES, RECEIVED
from tests.mbus_encoding import answer, digits

_PROFILE = """\
profile: {name}
version: 1.0.0
extends: kinds/water-meter
title: {{en: Under test, zh: 受测}}
match: {{topic: "line/{{device_id}}/up", when: {{manufacturer: {maker}, version: {version}}}}}
decode: {{format: mbus}}
read: {{volume: {{from: values.{quantity}, unit: m3}}}}
"""


def decided(folder, payload: bytes, devices: dict[str, Device] | None = None) -> Decided:
    for name, maker, version, quantity in (
        ("one", "AAA", 1, "volume"),
        ("other", "BBB", 2, "volume_s1"),
    ):
        file = folder / f"{name}.yaml"
        file.write_text(_PROFILE.format(name=name, maker=maker, version=version, quantity=quantity))
    profiles = load_profiles([PROFILES / "kinds", folder])
    found = Decided()
    Decider(profiles, devices or {}, {}, registry_known=False).decide(
        Batch(["line/m1/up"], [payload], [RECEIVED], 0), found
    )
    return found


VOLUME = digits("13", "00054321")


def test_each_message_is_read_by_its_own_profile(tmp_path):
    for sent, name in (
        (answer("00000001", "AAA", 1, 7, VOLUME), "one"),
        (answer("00000001", "BBB", 2, 7, digits("13", "00054321", storage=1)), "other"),
    ):
        (reading,) = decided(tmp_path, sent).readings
        assert reading.profile == f"{name}@1.0.0"
        assert reading.quantities == {"volume": 54.321}


def test_a_refusal_is_told_by_the_profile_whose_message_it_is(tmp_path):
    (refused,) = decided(tmp_path, answer("00000001", "BBB", 2, 7, VOLUME)).quarantined
    assert refused.reason == "missing_field"
    assert "values.volume_s1" in refused.detail


@pytest.mark.parametrize(("maker", "version"), [("CCC", 1), ("AAA", 2)])
def test_a_message_of_no_profile_is_said_to_be_that(tmp_path, maker, version):
    (refused,) = decided(tmp_path, answer("00000001", maker, version, 7, VOLUME)).quarantined
    assert refused.reason == "no_profile"


def test_a_device_that_the_registry_gives_a_profile_is_held_to_its_conditions(tmp_path):
    devices = {"m1": Device(device_id="m1", profile="one")}
    sent = answer("00000001", "BBB", 2, 7, digits("13", "00054321", storage=1))
    assert decided(tmp_path, sent, devices).quarantined
    (reading,) = decided(tmp_path, answer("00000001", "AAA", 1, 7, VOLUME), devices).readings
    assert reading.profile == "one@1.0.0"

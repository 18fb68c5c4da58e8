"""Which profile a topic belongs to, and what its levels and templates say."""

import pytest

from gateway.profiles import load_profiles
from gateway.profiles.template import Part, TemplateError, parse_template
from gateway.profiles.topics import Topics, topic_pattern
from tests.compiled import PROFILES


@pytest.mark.parametrize(
    ("pattern", "topic", "levels"),
    [
        ("a/{device_id}/up", "a/m1/up", {"device_id": "m1"}),
        ("a/{device_id}/up", "a/电表 1/up", {"device_id": "电表 1"}),
        ("a/{device_id}/up", "a//up", None),
        ("a/{device_id}/up", "a/m1/up/", None),
        ("a/{device_id}/up", "/a/m1/up", None),
        ("a/{device_id}/up", "a/m/1/up", None),
        ("a/{device_id}/up", "A/m1/up", None),
        ("/a/{device_id}", "/a/m1", {"device_id": "m1"}),
        ("{site}/{device_id}/#", "s/m", {"site": "s", "device_id": "m"}),
        ("{site}/{device_id}/#", "s/m/", {"site": "s", "device_id": "m"}),
        ("{site}/{device_id}/#", "s/m/x/y\nz", {"site": "s", "device_id": "m"}),
        ("{site}/{device_id}/#", "s/mm", {"site": "s", "device_id": "mm"}),
        ("a/b/#", "a/bb", None),
        ("a/b/#", "a/b", {}),
        ("#", "", {}),
        ("#", "any/thing", {}),
        ("a.b/(c)*/[d]", "a.b/(c)*/[d]", {}),
        ("a.b/(c)*/[d]", "axb/cc/d", None),
    ],
)
def test_a_topic_fits_as_mqtt_has_it(pattern, topic, levels):
    match = topic_pattern(pattern).fullmatch(topic)
    assert (match.groupdict() if match else None) == levels


def test_the_more_specific_profile_comes_first():
    models = [profile.model for profile in load_profiles([PROFILES]).profiles.values()]
    topics = Topics((model, model.profile) for model in models)
    found = [name for name, _ in topics.find("tele/tele/SENSOR")]
    # Two literals all, but the last has no 'when'.
    assert found == ["tasmota-sensor-energy-3", "tasmota-teleinfo", "tasmota-sensor-energy"]
    found = [name for name, _ in topics.find("stat/SENSOR/electricitymeter/SENSOR")]
    assert found == []
    found = [name for name, _ in topics.find("meters/1/water_meter/events/up")]
    assert found == ["water-meter-reference"]
    assert topics.find("nobody/knows/this") == []


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        ("{device_id}", [Part(level="device_id")]),
        ("x-{a.b[0]}", [Part(literal="x-"), Part(path=("a", "b", 0))]),
        ("{$.site}{device_id}", [Part(path=("$", "site")), Part(level="device_id")]),
    ],
)
def test_a_template_is_text_levels_and_places(template, parts):
    assert parse_template(template, {"device_id"}) == parts


@pytest.mark.parametrize("template", ["", "{", "}", "{}", "a{b", "a}b", "{{a}}", "{a..b}", "{a.}"])
def test_a_broken_template_is_refused(template):
    with pytest.raises(TemplateError):
        parse_template(template, {"device_id"})

"""The guide to chargers says what is so: its example loads, its topics and algorithms are those."""

import re

import pytest

from gateway.cases import run_cases
from gateway.profiles import ProfileSet, load_profiles
from tests.compiled import PROFILES
from tests.ocmf_records import ALGORITHMS

GUIDE = (PROFILES / "CHARGING.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split("\n", 1)[0])
def test_an_example_loads_and_its_cases_hold(tmp_path, text):
    name = text.split("\n", 1)[0].removeprefix("profile: ")
    file = tmp_path / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    found = load_profiles(
        [PROFILES / "kinds", PROFILES / "families" / "ocpp.yaml", file], [PROFILES]
    )
    results = run_cases(ProfileSet({name: found.profiles[name]}, found.bases), {})
    assert results
    assert [result.differences for result in results] == [()] * len(results)


def test_topics_of_the_guide_are_those_of_the_profiles():
    told = set(re.findall(r"`((?:ocpp|ocmf|cs)[^`]*\{device_id\}[^`]*)`", GUIDE))
    found = load_profiles([PROFILES / "ev_charger"], [PROFILES])
    assert len(told) > 5
    assert told <= {
        topic
        for profile in found.profiles.values()
        for topic in (profile.model.match.topic if profile.model.match else [])
    }


def test_curves_of_the_guide_are_those_that_can_be_judged():
    last = GUIDE.rsplit("ECDSA over", 1)[1]
    told = {curve.lower() for curve in re.findall(r"secp\w+|brainpool\w+", last)}
    names = {name.split("-")[1] for name in ALGORITHMS}
    assert told == {name.replace("brainpool", "brainpoolp") for name in names}

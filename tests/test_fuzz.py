"""A short run of the fuzzing that `make fuzz` does at length."""

from gateway.profiles import load_profiles
from tests.benchmarks.fuzz import PROFILES, fuzz, seeds


def test_mutated_messages_are_decided_and_nothing_else_happens():
    profiles = load_profiles([PROFILES])
    assert {name for name, _, _ in seeds(profiles)} == set(profiles.profiles)
    *_, outcome = fuzz(profiles, 5_000, number=7)
    assert outcome.payloads >= 4_000
    assert outcome.decisions["read"] > 0
    assert outcome.decisions["unparseable"] > 0

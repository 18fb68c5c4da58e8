"""The schema for editors knows what the program knows."""

from gateway.checks.settings import MODELS
from gateway.profiles.schema import profile_schema


def test_every_check_and_no_other_is_offered():
    assert set(profile_schema()["properties"]["checks"]["properties"]) == set(MODELS)

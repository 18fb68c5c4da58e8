"""The API is what its description says, by requests that schemathesis makes from it."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.world import Bureau, status

pytestmark = pytest.mark.xdist_group("api-schema")
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
EXAMPLES = {"root": 5, "acme": 2}
ENDLESS = {"/api/v1/live"}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    made = Bureau(tmp_path_factory.mktemp("schema"))
    made.add_people()
    made.status = status(received=3)
    yield made
    made.close()


@pytest.fixture(scope="module")
def operations(asked):
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", asked.app)
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_answer_is_one_that_is_described(operations, asked, name):
    headers = {"Authorization": f"Bearer {asked.tokens[name]}"}
    tried = 0
    for operation in operations:
        if operation.path in ENDLESS:
            continue

        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES[name],
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        def ask(case):
            case.call_and_validate(headers=headers, checks=CHECKS)

        ask()
        tried += 1
    assert tried >= 25


def test_the_description_is_asked_for_whole(operations):
    assert {operation.path for operation in operations} > ENDLESS

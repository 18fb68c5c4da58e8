"""Profiles and messages for the tests of normalising, in the shortest form that says it."""

import json

from tests.compiled import TS

AT = TS * 10**6
SIMPLE = "read: {measured_at: {from: ts, time: epoch_ms}, energy_import: {from: ep, unit: kWh}}\n"


def block(lines: str) -> str:
    """A ``read`` of one block with a measured time and these lines."""
    rest = "".join(f"  {line}\n" for line in lines.splitlines())
    return f"read:\n  measured_at: {{from: ts, time: epoch_ms}}\n{rest}"


def message(**fields: object) -> str:
    return json.dumps({"ts": TS, **fields})


ANYTHING = [
    None,
    True,
    False,
    0,
    1.5,
    -3,
    10**30,
    "text",
    "",
    "2026-01-01T00:00:00Z",
    [],
    [1],
    {},
    {"a": 1},
]

"""Cases in a folder beside the profile: in the words of ``tests``, faults with their place."""

import json
from pathlib import Path

import pytest

from gateway.case_files import read_case_files
from gateway.cases import run_cases
from gateway.errors import ProfileError
from gateway.profiles import load_profiles
from tests.compiled import KINDS

PROFILE = """\
profile: acme
version: 1.0.0
extends: kinds/water-meter
title: {en: ACME, zh: ACME}
match: {topic: "acme/{device_id}"}
read: {volume: {from: v, unit: L}}
"""
SUMMER = """\
note: A summer's day.
payload_file: summer.json
expect: {volume: 5 L}
"""
SEVERAL = """\
- {payload: {v: 1}, expect: {volume: 1 L}}
- {payload_file: frame.hex, expect: {volume: 2 L}}
- {payload_file: frame.bin, quarantine: unparseable}
"""


FAULTS = """\
acme.tests/bytes.jsonl:1:1: not UTF-8
acme.tests/several.yaml:2:21: 1.expct: unknown key 'expct'; did you mean 'expect'?
acme.tests/several.yaml:3:3: 2: expected a case such as {payload: ..., expect: ...}, got '7'
acme.tests/several.yaml:4:3: 3.payload_file: the file must stand in acme.tests
acme.tests/several.yaml:6:4: 4.payload_file: none.json: cannot be read: No such file or directory
acme.tests/summer.yaml:1:15: not YAML: did not find expected ',' or '}'; is the '{' of line 1, \
column 10 not closed, or does a text in it need quotation marks?
acme.tests/vectors.jsonl:1:1: payload: expected a text or a mapping or a list, got 1: put it in \
quotation marks
acme.tests/vectors.jsonl:2:1: not JSON: Expecting ':' delimiter: line 1 column 11 (char 10)"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    (tmp_path / "acme.yaml").write_text(PROFILE)
    folder = tmp_path / "acme.tests"
    folder.mkdir()
    (folder / "summer.yaml").write_text(SUMMER)
    (folder / "summer.json").write_text('{"v":5}')
    (folder / "several.yaml").write_text(SEVERAL)
    (folder / "frame.hex").write_text(b'{"v":2}'.hex(" "))
    (folder / "frame.bin").write_bytes(b"\xff\x00")
    lines = [{"payload": {"v": n}, "expect": {"volume": f"{n} L"}} for n in range(3)]
    (folder / "vectors.jsonl").write_text("\n\n".join(map(json.dumps, lines)))
    (folder / "README.md").write_text("Of no interest here.")
    return tmp_path / "acme.yaml"


def told(folder: Path) -> list[str]:
    with pytest.raises(ProfileError) as refused:
        read_case_files(folder / "acme.yaml")
    return [line.replace(f"{folder}/", "") for line in str(refused.value).splitlines()]


def test_every_file_of_the_folder_is_run(profile):
    results = run_cases(load_profiles([KINDS, profile.parent]), {})
    assert [(result.label, result.ok) for result in results] == [
        ("acme.tests/several.yaml[0]", True),
        ("acme.tests/several.yaml[1]", True),
        ("acme.tests/several.yaml[2]", True),
        ("acme.tests/summer.yaml", True),
        ("acme.tests/vectors.jsonl:1", True),
        ("acme.tests/vectors.jsonl:3", True),
        ("acme.tests/vectors.jsonl:5", True),
    ]


def test_a_file_that_no_longer_agrees_fails_with_its_name(profile):
    (profile.parent / "acme.tests" / "summer.json").write_text('{"v":6}')
    failed = [r for r in run_cases(load_profiles([KINDS, profile.parent]), {}) if not r.ok]
    assert [(r.label, r.differences) for r in failed] == [
        ("acme.tests/summer.yaml", ("expect[0].volume: expected '5 L', got 6.0 L",))
    ]


def test_a_profile_without_a_folder_has_only_its_own(tmp_path):
    assert read_case_files(tmp_path / "acme.yaml") == []


def test_every_fault_of_every_file_is_told_at_once(profile):
    folder = profile.parent / "acme.tests"
    (folder / "several.yaml").write_text(
        "- {payload: {v: 1}, expect: {volume: 1 L}}\n"
        "- {payload: {v: 1}, expct: {volume: 1 L}}\n"
        "- 7\n"
        "- payload_file: ../acme.yaml\n"
        "  expect: {volume: 1 L}\n"
        "- {payload_file: none.json, expect: {volume: 1 L}}\n"
    )
    (folder / "summer.yaml").write_text("payload: {v: 1\n")
    (folder / "vectors.jsonl").write_text('{"payload": 1}\n{"payload"\n')
    (folder / "bytes.jsonl").write_bytes(b"\xff")
    assert "\n".join(told(profile.parent)) == FAULTS


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.hex", b"zz", "x.hex: no hexadecimal text"),
        ("x.txt", b"\xff", "x.txt: no UTF-8 text"),
    ],
)
def test_a_payload_that_is_not_what_its_name_says_is_told(profile, name, content, said):
    folder = profile.parent / "acme.tests"
    (folder / name).write_bytes(content)
    (folder / "summer.yaml").write_text(f"payload_file: {name}\nexpect: {{volume: 1 L}}\n")
    assert told(profile.parent) == [f"acme.tests/summer.yaml:1:1: payload_file: {said}"]


def test_two_payloads_are_told(profile):
    folder = profile.parent / "acme.tests"
    (folder / "summer.yaml").write_text(f"payload: {{v: 1}}\n{SUMMER}")
    (line,) = told(profile.parent)
    assert "say 'payload_file', 'payload' or 'payload_hex', not two of them" in line

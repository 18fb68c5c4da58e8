"""Uplinks of published LoRaWAN drivers come out as their vendors say, by a layout each."""

import json
from pathlib import Path

import pytest
import yaml

from gateway.decode.binary import compile_binary
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles.binary import Binary
from gateway.times import nanoseconds
from tests.corpora import corpora

FOLDER = corpora()
pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(FOLDER is None, reason="the corpora are not here"),
]

LAYOUTS = Path(__file__).with_name("test_binary_layouts.yaml")
SOURCES = yaml.safe_load(LAYOUTS.read_text(encoding="utf-8"))
PARSERS = {
    name: compile_binary(Binary.model_validate({"format": "binary", **layout["layout"]}))
    for name, layout in SOURCES.items()
}


def cases():
    if FOLDER is None:
        return []
    lines = (FOLDER / "ts013" / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        pytest.param(name, case, id=case["id"])
        for case in map(json.loads, lines)
        for name, source in SOURCES.items()
        if case["id"] in source["cases"]
    ]


CASES = cases()


def read(name, case):
    received = nanoseconds(case["recv_time"]) if case["recv_time"] else 0
    context = Context(received_at=received, envelope={"f_port": case["fport"]})
    return PARSERS[name](bytes.fromhex(case["payload_hex"]), context)


def at(document, path):
    for part in path.split("."):
        key = int(part) if isinstance(document, list) else part
        document = document[key]
    return document


@pytest.mark.parametrize(("name", "case"), CASES)
def test_an_uplink_comes_out_as_its_vendor_says(name, case):
    document = read(name, case)
    expected = case["expected"].get("data", case["expected"])
    compared = SOURCES[name]["same"]
    found = 0
    for ours, theirs in compared.items():
        try:
            wanted = at(expected, theirs)
        except (KeyError, IndexError):
            continue
        found += 1
        if wanted is None:
            assert ours not in document
            continue
        if isinstance(wanted, str) and wanted.endswith("Z"):
            wanted = nanoseconds(wanted) / 1e9
        assert at(document, ours) == wanted, ours
    assert found


@pytest.mark.parametrize(("name", "case"), CASES)
def test_an_uplink_with_a_byte_more_or_less_is_refused_or_says_less(name, case):
    whole = bytes.fromhex(case["payload_hex"])
    context = Context(received_at=0, envelope={"f_port": case["fport"]})
    for payload in (*(whole[:end] for end in range(len(whole))), whole + b"\x00"):
        try:
            outcome = type(PARSERS[name](payload, context)).__name__
        except DecodeError as error:
            outcome = error.reason
        assert outcome in {"dict", "unparseable", "unknown_word", "absurd_number"}


def test_the_layouts_are_for_many_drivers():
    assert len(SOURCES) >= 8

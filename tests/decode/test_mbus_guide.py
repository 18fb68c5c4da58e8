"""The guide to M-Bus meters says what is so: its examples load, and their cases hold."""

import re

import pytest

from gateway.cases import run_cases
from gateway.decode.document import Context
from gateway.decode.mbus import compile_mbus
from gateway.decode.mbus_vif import FB, FD, PRIMARY
from gateway.profiles import ProfileSet, load_profiles
from gateway.profiles.formats import Mbus
from tests.compiled import PROFILES

GUIDE = (PROFILES / "MBUS.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split("\n", 1)[0])
def test_an_example_loads_and_its_cases_hold(tmp_path, text):
    name = text.split("\n", 1)[0].removeprefix("profile: ")
    file = tmp_path / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    needed = [PROFILES / "kinds", *sorted((PROFILES / "families").glob("mbus*.yaml"))]
    needed += [PROFILES / "families" / "wmbus.yaml"]
    needed += [PROFILES / "water_meter" / "wmbus-water-meter.yaml", file]
    found = load_profiles(needed)
    results = run_cases(ProfileSet({name: found.profiles[name]}, found.bases), {})
    assert results
    assert [result.differences for result in results] == [()] * len(results)


def test_the_message_of_the_guide_says_what_the_guide_says():
    (sent,) = re.findall(r"```\n([0-9a-f]+)\n```", GUIDE)
    document = compile_mbus(Mbus(format="mbus"))(bytes.fromhex(sent), Context())
    rows = re.findall(r"^\| `(\w+)` \| ([\d.:T-]+) \|", GUIDE, re.MULTILINE)
    assert {name: str(value) for name, value in document["values"].items()} == {
        name: {"300": "300.0"}.get(value, value) for name, value in rows
    }


def test_units_in_the_guide_are_those_of_the_tables():
    known = {m.quantity: m.unit for table in (PRIMARY, FD, FB) for m in table.values()}
    table = re.search(r"\| quantity \| unit.*?\n\n", GUIDE, re.DOTALL)
    assert table is not None
    named = 0
    for row in table[0].splitlines()[2:]:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if len(cells) < 2:
            continue
        units = re.sub(r"\(.*?\)", "", cells[1]).split(",")
        quantities = re.findall(r"`(\w+)`", cells[0])
        if len(units) == 1:
            units *= len(quantities)
        if cells[1].startswith(("local", "text", "whole")):
            units = [""] * len(quantities)
        for quantity, unit in zip(quantities, units, strict=True):
            assert known[quantity] == unit.strip(), quantity
            named += 1
    assert named > 25

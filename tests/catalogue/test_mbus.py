"""Every wired M-Bus frame of the corpus: its records, and what its profile reads, are the origin's.

``tests/catalogue/mbus/records.yaml`` lists the records that are read otherwise, each with why.
``tests/catalogue/mbus/meters.yaml`` says for each model which profile reads it and which record of
the origin each quantity is (``quantity`` or ``quantity@channel``: its place, counted from 0; with
``unit`` where the origin has one name for active and reactive).  A model that is no meter of ours
stands under ``no_meter`` with the reason.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.deciding import Decided, Decider
from gateway.decode.document import Context
from gateway.decode.mbus import compile_mbus
from gateway.profiles import ProfileSet, load_profiles
from gateway.profiles.formats import Mbus
from gateway.quantities import BY_NAME
from gateway.records import Batch
from gateway.units import UnitError, conversion
from tests.compiled import PROFILES, RECEIVED
from tests.corpora import corpora

_FOLDER = corpora()
pytestmark = pytest.mark.skipif(_FOLDER is None, reason="the corpora are not here")
_HERE = Path(__file__).parent / "mbus"
_CAVEATS: dict[str, dict[int, str]] = yaml.safe_load((_HERE / "records.yaml").read_text("utf-8"))
_METERS: dict[str, Any] = yaml.safe_load((_HERE / "meters.yaml").read_text("utf-8"))
_NO_METER: dict[str, str] = _METERS.pop("no_meter")
_ROWS: list[dict[str, Any]] = []
if _FOLDER is not None:
    with (_FOLDER / "mbus" / "cases.jsonl").open(encoding="utf-8") as _lines:
        _ROWS = [json.loads(_line) for _line in _lines]

_UNITS = {
    "Wh": "Wh", "kWh": "kWh", "W": "W", "m^3": "m3", "l": "L", "m^3/h": "m3/h", "°C": "Cel",
    "K": "K", "s": "s", "V": "V", "A": "A", "Units for H.C.A.": "", "": "", "-": None,
}  # fmt: skip
"""UCUM codes of the origin's units; None where it leaves them open."""


_FUNCTIONS = {
    "Instantaneous value": "instantaneous", "Actual value": "instantaneous",
    "Maximum value": "maximum", "Minimum value": "minimum", "Value during error state": "error",
}  # fmt: skip
_QUANTITIES = {
    "Energy": "energy", "Volume": "volume", "Power": "power", "Volume flow": "flow_rate",
    "Flow temperature": "flow_temperature", "Return temperature": "return_temperature",
    "Temperature difference": "temperature_difference", "External temperature":
    "external_temperature", "Voltage": "voltage", "Current": "amperage", "On time": "on_time",
    "Operating time": "operating_time", "Time point (date)": "date",
    "Time point (date & time)": "time", "Fabrication No": "fabrication_number",
    "Error flags": "error_flags", "H.C.A.": "hca",
}  # fmt: skip


def parse(row: dict[str, Any]) -> dict[str, Any]:
    return compile_mbus(Mbus(format="mbus"))(bytes.fromhex(row["payload_hex"]), Context())


def unit(told: str) -> str | None:
    # The origin's degree sign went through a wrong encoding.
    return _UNITS.get(told.replace("Â", ""), f"? {told}")


def records(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The origin's records but the maker's own bytes at the end."""
    opaque = {"Manufacturer specific", "More records follow"}
    return [told for told in row["expected"]["records"] if told["function"] not in opaque]


def differs(told: dict[str, Any], got: dict[str, Any]) -> str | None:
    """What of a record is not as the origin says."""
    named = _QUANTITIES.get(told["quantity"], got["quantity"])
    where = [told["storage"], told["tariff"] or 0, told["device"] or 0]
    wanted = {
        "quantity": named, "function": _FUNCTIONS.get(told["function"]), "storage": where[0],
        "tariff": where[1], "subunit": where[2],
    }  # fmt: skip
    wrong = [f"{key} {got[key]}" for key, value in wanted.items() if got[key] != value]
    if not _same_value(told, got):
        wrong.append(f"value {got['value']} {got['unit']}")
    return ", ".join(wrong) or None


def _same_value(told: dict[str, Any], got: dict[str, Any]) -> bool:
    value, number = got["value"], _numeric(told["value"])
    if isinstance(value, str):
        return told["value"] in {value, f"{value}Z"} or number == _numeric(value) is not None
    if value is None or number is None:
        return False
    symbol = unit(told["unit"])
    if symbol and got["unit"]:
        try:
            number = conversion(symbol, got["unit"]).apply(number)
        except UnitError:
            return False
    elif symbol is not None and symbol != got["unit"]:
        return False
    return bool(value == pytest.approx(number, rel=1e-6, abs=1e-6))


def _numeric(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row["id"])
def test_a_frame_says_what_the_origin_says(row):
    document, told = parse(row), row["expected"]
    assert int(document["id"], 16) == int(told["id"], 16)
    assert document.get("manufacturer", "") == told["manufacturer"]
    assert str(document.get("version", "")) == told["version"]
    assert document["access"] == int(told["access_number"])
    assert document["status"] == int(told["status"], 16)
    wanted = records(row)
    assert len(document["records"]) == len(wanted)
    caveats = _CAVEATS.get(row["model"], {})
    wrong = {
        i: differs(one, got)
        for i, (one, got) in enumerate(zip(wanted, document["records"], strict=True))
    }
    assert {i for i, why in wrong.items() if why} == set(caveats), wrong


def test_each_caveat_is_of_a_record_of_the_corpus_and_has_a_reason():
    by_model = {row["model"]: row for row in _ROWS}
    for model, caveats in _CAVEATS.items():
        for i, why in caveats.items():
            assert i < len(records(by_model[model]))
            assert len(why) > 20


# -- profiles ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def profiles() -> ProfileSet:
    return load_profiles([PROFILES])


@pytest.fixture(scope="module")
def shared(profiles: ProfileSet) -> tuple[Decider, bytes]:
    """A decider with every profile, and its memory before it has seen anything."""
    decider = Decider(profiles, {}, {}, registry_known=False)
    return decider, decider.snapshot()


_SAID_AS = {
    "volume": "Volume", "tank_volume": "Volume", "energy": "Energy", "energy_import": "Energy",
    "energy_reactive_import": "Energy", "power": "Power", "power_active": "Power",
    "power_reactive": "Power", "flow_rate": "Volume flow", "flow_temperature": "Flow temperature",
    "return_temperature": "Return temperature", "temperature_difference": "Temperature difference",
    "voltage": "Voltage", "amperage": "Current",
}  # fmt: skip
"""What the origin calls each quantity that profiles read."""


def canonical(told: dict[str, Any], name: str, kind: str, symbol: str | None) -> float:
    """The origin's value of a quantity; it is one of now, and called so."""
    assert told["function"] in {"Instantaneous value", "Actual value"}
    assert told["quantity"] in {_SAID_AS[name], ""}
    known = BY_NAME[kind][name]
    return conversion(symbol or unit(told["unit"]), known.unit).apply(float(told["value"]))


@pytest.mark.parametrize(
    "row", [row for row in _ROWS if row["model"] in _METERS], ids=lambda row: row["id"]
)
def test_the_profile_says_what_the_origin_says(profiles: ProfileSet, shared, row):
    spec, told = _METERS[row["model"]], records(row)
    profile = profiles.profiles[spec["profile"]]
    decider, fresh = shared
    decider.restore(fresh)
    decided = Decided()
    batch = Batch(["mbus/house-1/up"], [bytes.fromhex(row["payload_hex"])], [RECEIVED], 0)
    decider.decide(batch, decided)
    assert not decided.quarantined, decided.quarantined[0].detail
    got = {}
    for reading in decided.readings:
        assert reading.profile == profile.id
        assert reading.device_id.endswith(row["expected"]["id"].zfill(8))
        for name, value in reading.quantities.items():
            if value is not None:
                key = f"{name}@{reading.channel}"
                got[key if key in spec["values"] else name] = value
    assert set(got) == set(spec["values"])
    for key, place in spec["values"].items():
        name = key.partition("@")[0]
        said = place if isinstance(place, dict) else {"record": place}
        wanted = canonical(told[said["record"]], name, profile.model.kind, said.get("unit"))
        assert got[key] == pytest.approx(wanted, rel=1e-6, abs=1e-6), key


def test_every_meter_of_the_corpus_is_read_or_said_to_be_none():
    assert sorted([*_METERS, *_NO_METER]) == sorted(row["model"] for row in _ROWS)
    assert all(isinstance(reason, str) and len(reason) > 20 for reason in _NO_METER.values())

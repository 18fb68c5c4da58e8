"""Every LoRaWAN meter of the corpus: what its profile reads is what the vendor's codec says.

``tests/catalogue/lorawan/*.yaml`` says for each driver which profile reads it and where the
vendor's output has each quantity: ``quantity`` or ``quantity@channel``, with ``path`` (dotted;
``[]`` takes every item of an array, ``[key=value]`` what has that value; or a list of paths),
``minus`` (a path whose value is taken off), ``unit``, ``scale``, ``digits`` where the vendor
rounds, or ``words`` (ours by the vendor's).  Cases that must not agree stand under ``differs`` with
the reason.  A driver without a quantity of ours stands under ``no_meter`` with the reason, one that
has no profile yet under ``not_yet``.
"""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.deciding import Decided, Decider
from gateway.profiles import ProfileSet, load_profiles
from gateway.quantities import BY_NAME
from gateway.records import Batch
from gateway.times import nanoseconds
from gateway.units import conversion
from tests.compiled import PROFILES
from tests.corpora import corpora

_FOLDER = corpora()
pytestmark = pytest.mark.skipif(_FOLDER is None, reason="the corpora are not here")
_FILES = sorted((Path(__file__).parent / "lorawan").glob("*.yaml"))
_SAID: dict[str, Any] = {}
_NO_METER: dict[str, str] = {}
_NOT_YET: list[str] = []
for _file in _FILES:
    _said = yaml.safe_load(_file.read_text(encoding="utf-8"))
    _NO_METER |= _said.pop("no_meter", None) or {}
    _NOT_YET += _said.pop("not_yet", None) or []
    _SAID |= _said
_ROWS = []
if _FOLDER is not None:
    with (_FOLDER / "ts013" / "cases.jsonl").open(encoding="utf-8") as _lines:
        _ROWS = [json.loads(_line) for _line in _lines]
for _row in _ROWS:
    # Where the origin gives no time of receipt, its output does not depend on one.
    _row["recv_time"] = _row["recv_time"] or "2026-01-01T00:00:00Z"
_MAPPED = [row for row in _ROWS if row["model"] in _SAID]


@pytest.fixture(scope="module")
def profiles() -> ProfileSet:
    return load_profiles([PROFILES])


@pytest.fixture(scope="module")
def fresh(profiles: ProfileSet) -> Callable[[], Decider]:
    """Gives the decider of all profiles, compiled once, with nothing remembered."""
    decider = Decider(profiles, {}, {}, registry_known=False)
    blank = decider.snapshot()

    def forget() -> Decider:
        decider.restore(blank)
        return decider

    return forget


def uplink(row: dict[str, Any], network: str) -> tuple[str, bytes]:
    """The row's payload as a network server sends it."""
    data = base64.b64encode(bytes.fromhex(row["payload_hex"])).decode()
    if network == "chirpstack":
        topic = "application/1/device/0102030405060708/event/up"
        body: dict[str, Any] = {
            "time": row["recv_time"],
            "deviceInfo": {"devEui": "0102030405060708", "deviceProfileName": row["model"]},
            "fPort": row["fport"],
            "fCnt": 1,
            "data": data,
        }
    else:
        brand, _, model = row["model"].partition("/")
        topic = "v3/meters@tenant/devices/meter-1/up"
        body = {
            "end_device_ids": {"device_id": "meter-1", "dev_eui": "0102030405060708"},
            "uplink_message": {
                "f_port": row["fport"], "f_cnt": 1, "frm_payload": data,
                "received_at": row["recv_time"],
                "version_ids": {"brand_id": brand, "model_id": model},
            },
        }  # fmt: skip
    return topic, json.dumps(body).encode()


def origins(data: Any, path: str | list[str]) -> list[float]:
    """What the vendor's output has at a path: no, one, or with ``[]`` several values."""
    if isinstance(path, list):
        return [value for one in path for value in origins(data, one)]
    values = [data]
    for part in re.findall(r"\[\]|\[\d+\]|\[[^\]=]+=[^\]]*\]|[^.\[\]]+", path):
        stepped: list[Any] = []
        for value in values:
            if part == "[]":
                stepped += value if isinstance(value, list) else []
            elif "=" in part:
                key, _, wanted = part[1:-1].partition("=")
                items = value if isinstance(value, list) else [value]
                stepped += [item for item in items if str(item.get(key)) == wanted]
            elif part.startswith("["):
                number = int(part[1:-1])
                stepped += (
                    [value[number]] if isinstance(value, list) and number < len(value) else []
                )
            elif isinstance(value, dict) and value.get(part) is not None:
                stepped.append(value[part])
        values = stepped
    return values


def expected(row: dict[str, Any], kind: str, spec: dict[str, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, place in spec["values"].items():
        known = BY_NAME[kind][name.partition("@")[0]]
        told = row["expected"] or {}
        data = told.get("data", told)  # the older drivers return the values bare
        values = origins(data, place["path"])
        if "minus" in place:
            taken = origins(data, place["minus"]) or [0] * len(values)
            values = [value - less for value, less in zip(values, taken, strict=True)]
        if known.type == "number" and values:
            convert = conversion(place.get("unit", known.unit), known.unit)
            values = [convert.apply(float(v) * place.get("scale", 1)) for v in values]
        if "words" in place:
            values = [place["words"][value] for value in values]
        if values:
            found[name] = values
    return found


@pytest.mark.parametrize("network", ["chirpstack", "things_stack"])
@pytest.mark.parametrize("row", _MAPPED, ids=lambda row: row["id"])
def test_the_profile_says_what_the_vendor_says(profiles: ProfileSet, fresh, row, network):
    spec = _SAID[row["model"]]
    if row["id"] in spec.get("differs", ()):
        with pytest.raises(AssertionError):
            agrees(profiles, fresh(), row, network)
    else:
        agrees(profiles, fresh(), row, network)


def agrees(profiles: ProfileSet, decider: Decider, row: dict[str, Any], network: str) -> None:
    spec = _SAID[row["model"]]
    profile = profiles.profiles[spec["profile"]]
    topic, payload = uplink(row, network)
    decided = Decided()
    decider.decide(Batch([topic], [payload], [nanoseconds(row["recv_time"])], 0), decided)
    wanted = expected(row, profile.kind, spec)
    got: dict[str, list[Any]] = defaultdict(list)
    for reading in decided.readings:
        assert reading.profile == profile.id
        for name, value in reading.quantities.items():
            key = f"{name}@{reading.channel}"
            got[key if key in spec["values"] else name].append(value)
    if not wanted:
        assert not got, got
        assert not decided.quarantined or (row["expected"] or {}).get("errors"), decided.quarantined
        return
    refused = decided.quarantined[0].detail if decided.quarantined else None
    assert set(got) == set(wanted), refused
    for name, values in wanted.items():
        if BY_NAME[profile.kind][name.partition("@")[0]].type == "number":
            kept = spec["values"][name].get("digits", 12)
            ours = sorted(round(value, kept) for value in got[name])
            assert ours == pytest.approx(sorted(values), rel=1e-6, abs=1e-9), name
        else:
            assert sorted(got[name]) == sorted(values), name


def test_every_driver_of_the_corpus_is_read_or_said_to_be_no_meter():
    drivers = {row["model"] for row in _ROWS}
    told = [*_SAID, *_NO_METER, *_NOT_YET]
    assert sorted(told) == sorted(drivers)
    reasons = [_NO_METER, *(spec.get("differs", {}) for spec in _SAID.values())]
    assert all(isinstance(text, str) and text for told in reasons for text in told.values())
    differing = {case for spec in _SAID.values() for case in spec.get("differs", {})}
    assert differing <= {row["id"] for row in _MAPPED}

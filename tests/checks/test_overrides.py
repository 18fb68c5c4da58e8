"""What a region or one device sets otherwise than its profile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.checks import Judge, Region, read_regions
from gateway.checks.settings import parse
from gateway.devices import Registry
from gateway.errors import ProfileError
from gateway.records import Device, Flag
from tests.checks.support import MINUTE, T0, reading, water_layout

GUIDE = Path(__file__).parents[2] / "device_profiles" / "reference" / "README.md"
LAYOUT = water_layout()
PROFILE = {"value_out_of_range": {"flow_rate": {"low": 0.0, "high": 100.0}}}
CITY = Region(
    region="1101",
    source="notice 7",
    checks={"water_meter": {"value_out_of_range": {"flow_rate": {"high": 50.0}}}},
)
PROVINCE = Region(
    region="11",
    source="notice 3",
    checks={"water_meter": {"value_out_of_range": {"flow_rate": {"high": 20.0}}}},
)


def device(*, region: str = "110105", valid_from: int | None = None, **own: object) -> Device:
    parameters = {"checks": own} if own else {}
    return Device(device_id="d1", region=region, parameters=parameters, valid_from=valid_from)


def found(devices: Registry, flows: list[float], *regions: Region) -> list[Flag]:
    judge, flags = Judge(devices, {}, regions=regions), []
    bound = judge.bind(LAYOUT, PROFILE, "water/acme.yaml")
    for number, flow in enumerate(flows):
        judge.judge(bound, reading(LAYOUT, number, number, offset=number, flow_rate=flow), flags)
    return [flag for flag in flags if flag.status == "open"]


def test_a_region_goes_over_the_profile_and_a_longer_code_over_a_shorter():
    devices = Registry([device()])
    assert not found(devices, [60.0])
    assert [f.evidence["expected"] for f in found(devices, [60.0], CITY, PROVINCE)] == [
        {"low": 0.0, "high": 50.0}
    ]
    assert not found(devices, [30.0], CITY, PROVINCE)
    assert found(devices, [30.0], PROVINCE)
    assert not found(Registry([device(region="310000")]), [60.0], CITY, PROVINCE)


def test_a_device_goes_over_its_region_parameter_by_parameter():
    devices = Registry([device(value_out_of_range={"flow_rate": {"high": 70.0}})])
    assert not found(devices, [60.0], CITY)
    assert found(devices, [80.0], CITY)
    assert [f.evidence["expected"] for f in found(devices, [-1.0], CITY)] == [
        {"low": 0.0, "high": 70.0}
    ]
    assert not found(Registry([device(value_out_of_range=False)]), [1e6], CITY)


def test_the_settings_count_that_were_valid_when_it_was_measured():
    later = device(value_out_of_range={"flow_rate": {"high": 10.0}}, valid_from=T0 + 2 * MINUTE)
    flags = found(Registry([device(), later]), [60.0, 60.0, 60.0, 60.0])
    assert [flag.measured_at for flag in flags] == [T0 + 2 * MINUTE]


@pytest.mark.parametrize("own", [{"value_out_of_range": {"flow": {"high": 1}}}, {"no_such": True}])
def test_what_cannot_be_is_counted_and_the_profile_stands(own: dict[str, object]):
    judge, flags = Judge(Registry([device(**own)]), {}), []
    bound = judge.bind(LAYOUT, PROFILE, "water/acme.yaml")
    judge.judge(bound, reading(LAYOUT, 0, 0, offset=0, flow_rate=101.0), flags)
    assert [flag.code for flag in flags] == ["value_out_of_range"]
    ((code, reason),) = (key for key in judge.not_judged if key[0] != "verification_expired")
    assert code == "*"
    assert "device d1" in reason


def test_a_device_judged_otherwise_is_remembered_like_any_other():
    judge, flags = Judge(Registry([device()]), {}, regions=[CITY]), []
    bound = judge.bind(LAYOUT, PROFILE, "water/acme.yaml")
    judge.judge(bound, reading(LAYOUT, 0, 0, offset=0, flow_rate=60.0), flags)
    judge.restore(judge.snapshot())
    assert not judge.judge(bound, reading(LAYOUT, 0, 0, offset=1, flow_rate=60.0), flags)
    judge.judge(bound, reading(LAYOUT, 1, 1, offset=2, flow_rate=1.0), flags)
    assert [flag.status for flag in flags] == ["open", "ended"]


def test_every_fault_of_region_files_is_told(tmp_path: Path):
    (tmp_path / "11.yaml").write_text('region: "11"\nchecks: {}\n')
    (tmp_path / "12.yaml").write_text("region: twelve\nsource: x\nchecks: {}\nmore: 1\n")
    (tmp_path / "13.yaml").write_text("region: [\n")
    with pytest.raises(ProfileError) as caught:
        read_regions(tmp_path.glob("*.yaml"))
    told = str(caught.value)
    assert "11.yaml: source" in told
    assert "12.yaml: region" in told
    assert "12.yaml: more" in told
    assert "13.yaml: not YAML" in told


def test_a_region_file_is_read(tmp_path: Path):
    (tmp_path / "1101.yaml").write_text(
        'region: "1101"\nsource: notice 7\n'
        "checks: {water_meter: {value_out_of_range: {flow_rate: {high: 50.0}}}}\n"
    )
    assert read_regions(tmp_path.glob("*.yaml")) == [CITY]


def test_the_example_of_the_guide_holds(tmp_path: Path):
    (text,) = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "1101.yaml").write_text(text)
    (region,) = read_regions(tmp_path.glob("*.yaml"))
    for kind, checks in region.checks.items():
        assert set(checks)
        parse(kind, checks, "the guide")

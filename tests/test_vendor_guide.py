"""The vendor guide says what is so: its examples load, and it leaves no key out."""

import ast
import re
from pathlib import Path

import pytest

from gateway.cases import run_cases
from gateway.checks.settings import MODELS
from gateway.profiles import ProfileSet, formats, load_profiles, models
from gateway.profiles.notation import TIME_FORMS
from gateway.quantities import EVENTS, STATUS_WORDS
from gateway.units import conversion
from tests.compiled import KINDS, PROFILES, compiled

ROOT = Path(__file__).parents[1]
GUIDE = (PROFILES / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
WHOLE = [text for text in EXAMPLES if text.startswith("profile: ")]
PARTS = [text for text in EXAMPLES if text.startswith("# kind: ")]
WORDS = set(re.findall(r"`([^`\n]+)`", GUIDE))


def test_every_example_is_of_a_sort_that_is_tested():
    assert len(WHOLE) == 1
    assert len(PARTS) == 3
    assert len(WHOLE) + len(PARTS) == len(EXAMPLES)


def test_the_worked_example_loads_and_its_cases_hold(tmp_path):
    (text,) = WHOLE
    name = text.split("\n", 1)[0].removeprefix("profile: ")
    file = tmp_path / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    found = load_profiles([KINDS, file])
    results = run_cases(ProfileSet({name: found.profiles[name]}, found.bases), {})
    assert [(result.ok, result.differences) for result in results] == [(True, ())] * 3
    payload = re.search(r"```json\n(.*?)\n```", GUIDE, re.DOTALL)
    assert payload is not None
    assert payload[1] == found.profiles[name].model.tests[0].payload


def test_the_mistake_in_the_guide_is_told_in_its_words(tmp_path):
    (text,) = WHOLE
    file = tmp_path / "acme-w20.yaml"
    file.write_text(text.replace("unit: L/h", "unit: l/hr"), encoding="utf-8")
    said = re.search(r"^profiles/acme-w20.yaml:(.*)$", GUIDE, re.MULTILINE)
    assert said is not None
    with pytest.raises(Exception, match="did you mean") as refused:
        load_profiles([KINDS, file])
    assert str(refused.value) == f"{file}:{said[1]}"


@pytest.mark.parametrize("text", PARTS)
def test_every_part_of_a_profile_in_the_guide_loads_and_compiles(text):
    kind = text.split("\n", 1)[0].removeprefix("# kind: ")
    assert compiled(text, kind).normaliser.layouts


def test_the_dispenser_of_the_guide_reads_a_sale():
    (text,) = [text for text in PARTS if "fuel" in text]
    (sale,) = compiled(text, "fuel-dispenser").read(
        '{"station":"S7","sales":[{"pump":3,"nozzle":2,"no":17,"start":"01.07.2026 12:00:00",'
        '"end":"01.07.2026 12:01:00","ml":20500,"price":1759,"cents":3606,"temp":-999,'
        '"tot":"00012345.67"}]}'
    )
    assert (sale.device_id, sale.channel, sale.currency) == ("S7-3", "right", "EUR")
    assert sale.measured_at == 1_782_900_060 * 10**9
    assert sale.quantities == {
        "started_at": 1_782_900_000 * 10**9,
        "volume": 20.5,
        "unit_price": 1.759,
        "amount": 36.06,
        "totaliser_volume": 12345.67,
    }


@pytest.mark.parametrize(
    "model",
    [
        models.ProfileModel, models.Title, models.Instrument, models.Match, formats.Json,
        formats.Envelope, models.Block, models.MeasuredAt, models.Sequence, models.Status,
        models.Channel,
        models.DeviceId, models.Quantity, models.Register, models.Ignore, models.Case,
        models.Condition,
    ],
    ids=lambda model: model.__name__,
)  # fmt: skip
def test_every_key_of_every_model_is_described(model):
    keys = {field.alias or name for name, field in model.model_fields.items()}
    described = WORDS | {part for word in WORDS for part in re.split(r"\W+", word)}
    assert keys - described == set()


def test_every_word_that_may_be_used_is_named():
    assert set(STATUS_WORDS) - WORDS == set()
    assert set(TIME_FORMS) - WORDS == set()
    assert set(EVENTS) - WORDS == set()


def test_every_check_and_its_parameters_are_named():
    named = {part for word in WORDS for part in re.split(r"\W+", word)}
    for code, model in MODELS.items():
        assert code in WORDS
        if "root" not in model.model_fields:
            assert set(model.model_fields) <= named, code


def test_every_unit_that_is_named_is_known():
    units = re.search(r"UCUM codes, case matters: (.*?), and any other", GUIDE, re.DOTALL)
    assert units is not None
    for code in re.findall(r"`([^`]+)`", units[1]):
        assert conversion(code, code).identity
        assert any(fits(code, canonical) for canonical in CANONICAL), code


CANONICAL = ["kWh", "kW", "kVA", "kvar", "kvar.h", "V", "A", "Hz", "m3", "m3/h", "Cel", "kPa", "km",
             "km/h", "s", "kg/m3", "%", "deg", "1/km", "1/L"]  # fmt: skip


def fits(code: str, canonical: str) -> bool:
    try:
        return conversion(code, canonical).numerator > 0
    except ValueError:
        return False


def test_every_reason_of_quarantine_is_explained_and_no_other():
    reasons = {"bad_device_id", "bad_channel"}
    files = [ROOT / "gateway" / name for name in ("moments.py", "pipeline.py")]
    files += (ROOT / "gateway" / "normalise").glob("*.py")
    for folder in ("decode", "profiles"):
        files += (ROOT / "gateway" / folder).glob("*.py")
    for file in files:
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = getattr(getattr(call, "func", None), "id", None)
            if name == "DecodeError" and isinstance(call.args[0], ast.Constant):
                reasons.add(call.args[0].value)
    reasons |= {"no_reading", "absurd_number"}
    table = GUIDE[GUIDE.index("## When a message goes to quarantine") :]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == reasons

"""The guide to binary payloads says what is so: its examples hold, and no word is left out."""

import re

import pytest

from gateway.cases import run_cases
from gateway.profiles import ProfileSet, load_profiles
from gateway.profiles.binary import Binary, BinaryField
from gateway.profiles.binary_primitives import ALGORITHMS, ENCODINGS, PRIMITIVES
from gateway.profiles.binary_text import RESERVED
from gateway.profiles.expression_text import FUNCTIONS
from gateway.profiles.formats import Format
from tests.compiled import PROFILES

GUIDE = (PROFILES / "BINARY.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
WORDS = {word for said in re.findall(r"`([^`\n]+)`", GUIDE) for word in re.split(r"[ (]", said)}


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split("\n", 1)[0])
def test_an_example_loads_and_its_cases_hold(tmp_path, text):
    name = text.split("\n", 1)[0].removeprefix("profile: ")
    file = tmp_path / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    found = load_profiles([file], [PROFILES])
    results = run_cases(ProfileSet({name: found.profiles[name]}, found.bases), {})
    assert len(results) >= 3
    assert [result.differences for result in results] == [()] * len(results)


def keys(model):
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    "words",
    [
        keys(BinaryField) | (keys(Binary) - keys(Format) - {"format"}),
        {re.sub(r"[2-7]$", "1", word) if word[0] in "us" else word for word in PRIMITIVES},
        set(ALGORITHMS),
        set(ENCODINGS),
        set(FUNCTIONS),
        set(RESERVED),
    ],
    ids=["keys", "types", "checksums", "encodings", "functions", "names"],
)
def test_the_guide_leaves_no_word_out(words):
    assert words - WORDS == set()

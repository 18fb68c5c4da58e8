"""The guide to binary payloads says what is so: it is followed, and leaves no word out."""

import ast
from pathlib import Path

import pytest
import yaml

from gateway.cases import run_cases
from gateway.decode import binary as run_time
from gateway.decode.binary import MAX_BYTES, compile_binary
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles import (
    ProfileSet,
    binary_repeats,
    binary_structures,
    binary_text,
    expressions,
    load_profiles,
)
from gateway.profiles.binary import BatchSeries, Binary, BinaryField, Structure, Switch
from gateway.profiles.binary_bytes import MAX_SIZE
from gateway.profiles.binary_primitives import ALGORITHMS, ENCODINGS, PRIMITIVES
from gateway.profiles.expression_text import FUNCTIONS
from gateway.profiles.formats import Format
from tests.compiled import PROFILES
from tests.guides import Guide, code

GUIDE = Guide("BINARY.md")
EXAMPLES = GUIDE.of("yml")
WHOLE = [
    (block.text, 3 if block.language == "yaml" else 1)  # a tutorial shows more than a recipe
    for block in GUIDE.blocks
    if block.file is None and block.text.startswith("profile: ")
]
RECIPES = [text for text in EXAMPLES if not text.startswith("profile: ")]
CONTEXT = Context(
    received_at=1_767_254_400 * 10**9,
    envelope={"f_port": 2, "received_at": "2026-01-01T08:00:00Z"},
)


def layout(said: object) -> Binary:
    return Binary.model_validate({"format": "binary", **said})


def decoded(said: object, payload: str) -> object:
    return compile_binary(layout(said))(bytes.fromhex(payload), CONTEXT)


def test_the_worked_example_goes_as_the_guide_says(tmp_path):
    assert GUIDE.follow(tmp_path) >= 10


@pytest.mark.parametrize(("text", "least"), WHOLE)
def test_a_whole_profile_holds_its_cases(tmp_path, text, least):
    name = text.split("\n", 1)[0].removeprefix("profile: ")
    file = tmp_path / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    found = load_profiles([file], [PROFILES])
    results = run_cases(ProfileSet({name: found.profiles[name]}, found.bases), {})
    assert len(results) >= least
    assert [result.differences for result in results] == [()] * len(results)


@pytest.mark.parametrize("text", RECIPES)
def test_a_recipe_reads_what_stands_above_it(text):
    said = yaml.safe_load(text)
    payloads = [line[2:].split(" → ") for line in text.splitlines() if line.startswith("# ")]
    assert payloads
    for payload, wanted in payloads:
        if wanted.startswith("{"):
            assert decoded(said, payload) == yaml.safe_load(wanted)
        else:
            with pytest.raises(DecodeError) as refused:
                decoded(said, payload)
            assert refused.value.reason == wanted


@pytest.mark.parametrize(
    ("title", "model", "beside"),
    [
        ("The layout", Binary, Format),
        ("A structure", Structure, None),
        ("A switch", Switch, None),
        ("A field", BinaryField, None),
        ("A series of a batch", BatchSeries, None),
    ],
)
def test_every_key_is_described_and_no_other(title, model, beside):
    keys = {field.alias or name for name, field in model.model_fields.items()}
    keys -= {"format", *beside.model_fields} if beside else set()
    assert sorted(code(row[0]) for row in GUIDE.table(title)) == sorted(keys)


@pytest.mark.parametrize(
    ("title", "known"),
    [
        ("Types", PRIMITIVES),
        ("Checksums", ALGORITHMS),
        ("Encodings", ENCODINGS),
        ("Names", binary_text.RESERVED),
        ("Functions", FUNCTIONS),
    ],
)
def test_every_word_is_described_and_no_other(title, known):
    assert sorted(GUIDE.words(title)) == sorted(known)


def test_every_operator_is_described_in_the_order_of_its_strength():
    rows = [
        {word.replace("\\|", "|") for word in row[0].replace("`", "").split()}
        for row in GUIDE.table("Expressions")
    ]
    assert rows[0] == {"?", ":"}
    assert rows[1:-2] == [set(operators) for operators in expressions._BINARY]
    assert rows[-2] == {"-", "~"}
    assert rows[-1] == {".", "[", "]", "(", ")", ","}


def test_every_operator_stands_where_its_strength_is():
    tightest_last = ["1 ? 2 : 3 or 4", "1 or 2 and 3", "1 and not 2", "not 1 == 2", "1 == 2 | 3",
                     "1 | 2 ^ 3", "1 ^ 2 & 3", "1 & 2 << 3", "1 << 2 + 3", "1 + 2 * 3"]  # fmt: skip
    heads = [expressions.parse(text).op for text in tightest_last]
    assert heads == ["?", "or", "and", "not", "==", "|", "^", "&", "<<", "+"]


@pytest.mark.parametrize("row", GUIDE.table("Functions"), ids=lambda row: row[0])
def test_a_function_gives_what_its_example_says(row):
    said = {
        "seq": [
            {"id": "a", "type": "u1"},
            {"id": "list", "type": "u1", "repeat": "expr", "repeat-expr": 3},
            {"id": "word", "type": "str", "size": 3},
            {"id": "result", "value": code(row[1])},
        ]
    }
    assert code(row[1]).startswith(code(row[0]) + "(")
    assert decoded(said, "07 010203 303432")["result"] == yaml.safe_load(code(row[2]))


@pytest.mark.parametrize("row", GUIDE.table("Faults of a payload"), ids=lambda row: row[0])
def test_a_fault_is_told_in_these_words(row):
    said = {"seq": [yaml.safe_load(code(row[0]))]}
    if "enum" in row[0]:
        said["enums"] = {"e": {1: "on", 2: "off"}}
    with pytest.raises(DecodeError) as refused:
        decoded(said, code(row[1]))
    assert f"{refused.value.reason}: {refused.value.detail}" == code(row[2])


def test_every_reason_of_a_refusal_is_named():
    tree = ast.parse(Path(run_time.__file__).read_text(encoding="utf-8"))
    reasons = {
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "DecodeError"
    }
    section = GUIDE.section("Faults of a payload")
    assert len(reasons) >= 4
    assert {reason for reason in reasons if f"`{reason}" not in section} == set()


def test_the_bounds_are_those_of_the_code():
    bounds = [
        binary_text.MAX_ITEMS, binary_structures.MAX_NESTING, binary_repeats.MAX_LOOPS,
        binary_text.MAX_FIELDS, MAX_SIZE, MAX_BYTES, expressions.MAX_LENGTH,
        expressions.MAX_NODES, expressions.MAX_DEPTH,
    ]  # fmt: skip
    assert [int(row[1]) for row in GUIDE.table("Bounds")] == bounds

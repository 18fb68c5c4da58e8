"""The guide to codecs says what is so: it is followed, and each of its lines is run."""

import ast
import json
from pathlib import Path

import pytest

from gateway.decode import ts013
from gateway.decode.document import Context
from gateway.decode.ts013 import compile_ts013
from gateway.errors import DecodeError
from gateway.profiles.formats import Format, Ts013
from tests.guides import Guide, code

GUIDE = Guide("TS013.md")
SETTINGS = Ts013(format="ts013", codec="codec.js", f_port=7)
CONTEXT = Context(received_at=1_767_254_400 * 10**9)


def found(title: str, head: str) -> list[list[str]]:
    """The rows of the table with this head, of several below a heading."""
    rows = GUIDE.table(title)
    start = next((i + 2 for i, row in enumerate(rows) if row[0] == head), 0)
    after = next((i for i in range(start, len(rows)) if set(rows[i][0]) == {"-"}), len(rows) + 1)
    return rows[start : after - 1]


def run(source: str) -> object:
    return compile_ts013(SETTINGS, source)(bytes.fromhex("01020304"), CONTEXT)


def test_the_worked_example_goes_as_the_guide_says(tmp_path):
    assert GUIDE.follow(tmp_path) >= 4


@pytest.mark.parametrize("row", found("What the codec finds", "in the codec"), ids=lambda r: r[0])
def test_the_codec_finds_what_the_guide_says(row):
    body = f"var b = input.bytes; return {{data: {{a: {code(row[0])}}}}};"
    parse = compile_ts013(SETTINGS, f"function decodeUplink(input) {{ {body} }}")
    for _ in range(2):
        document = parse(bytes.fromhex("01020304"), CONTEXT)
        assert document["data"]["a"] == json.loads(code(row[1]))


@pytest.mark.parametrize(
    "source",
    [
        "function CODEC",
        "module.exports = {decodeUplink: function CODEC};",
        "exports.decodeUplink = function CODEC;",
        "export function CODEC",
    ],
)
def test_a_function_may_be_exported_in_each_of_these_ways(source):
    form = "decodeUplink(input) { return {data: {port: input.fPort, bytes: input.bytes}}; }"
    assert run(source.replace("CODEC", form)) == {"data": {"port": 7, "bytes": [1, 2, 3, 4]}}


def test_of_several_forms_the_first_of_the_table_is_taken():
    forms = [code(row[0]) for row in found("What the codec finds", "form")]
    assert len(forms) == 3
    for first in range(3):
        source = ""
        for number, form in enumerate(forms[first:], first):
            made = f"{{n: {number}, bytes: Array.from({'input.bytes' if not number else 'bytes'})}}"
            source += (
                f"function {form} {{ return {'{data: ' + made + '}' if not number else made}; }}\n"
            )
        assert run(source) == {"data": {"n": first, "bytes": [1, 2, 3, 4]}}


@pytest.mark.parametrize("row", GUIDE.table("When a message is refused"), ids=lambda row: row[0])
def test_a_refusal_is_told_in_these_words(row):
    with pytest.raises(DecodeError) as refused:
        run(f"function decodeUplink(input) {{\n{code(row[0])}\n}}")
    assert f"{refused.value.reason}: {refused.value.detail}" == code(row[1])


def test_every_reason_of_a_codec_is_shown():
    tree = ast.parse(Path(ts013.__file__).read_text(encoding="utf-8"))
    reasons = {
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "DecodeError"
    }
    shown = {code(row[1]).split(":")[0] for row in GUIDE.table("When a message is refused")}
    assert reasons - shown == {"too_deep"}
    assert len(shown) == 4


def test_every_setting_is_described_and_no_other():
    keys = set(Ts013.model_fields) - set(Format.model_fields) - {"format"}
    assert {code(row[0]) for row in GUIDE.table("Settings")} == keys


def test_the_limits_are_those_of_the_code():
    mib = 1 << 20
    assert [float(row[1]) for row in GUIDE.table("What it does not find")] == [
        ts013.MAX_S, ts013.MAX_MEMORY / mib, ts013.MAX_STACK / mib, ts013.MAX_LOAD_S,
        ts013.MAX_LOAD_MEMORY / mib, ts013.MAX_SOURCE / mib, ts013.MAX_BYTES, ts013.MAX_SIGNS,
    ]  # fmt: skip

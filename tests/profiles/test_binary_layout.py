"""Faults of a binary layout are told when it is loaded, with their key path."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.decode.binary import compile_binary
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles.binary import Binary, check


def faults(text):
    """Key paths and messages."""
    with pytest.raises(ValidationError) as caught:
        Binary.model_validate({"format": "binary", **yaml.safe_load(text)})
    forms = {"fields", "switch", "structure", "name"}
    return [
        (".".join(str(part) for part in error["loc"] if part not in forms), error["msg"])
        for error in caught.value.errors()
    ]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("seq: [{id: a, type: u9}]", "seq.0.type", "there is no type 'u9'; did you mean 'u1'?"),
        ("seq: [{id: a, type: uint16le}]", "seq.0.type", "did you mean 'u2le'?"),
        ("seq: [{id: a, type: int24_t}]", "seq.0.type", "did you mean 's3'?"),
        ("seq: [{id: a, type: float}]", "seq.0.type", "did you mean 'f4'?"),
        ("seq: [{id: a, type: u16}]", "seq.0.type", "did you mean 'u2'?"),
        ("seq: [{id: a, type: Byte}]", "seq.0.type", "did you mean 'u1'?"),
        ("seq: [{id: a, type: recrod}]\ntypes: {record: [{id: b, type: u1}]}", "seq.0.type",
         "did you mean 'record'?"),
        ("seq: [{id: volume, type: u1}, {id: b, value: volme + 1}]", "seq.1.value",
         "there is no field 'volme'; did you mean 'volume'?"),
        ("seq: [{id: a, value: b + 1}, {id: b, type: u1}]", "seq.0.value",
         "'b' is read later: only fields before this are known"),
        ("seq: [{id: a, type: u1, repeat: expr}]", "seq.0.repeat", "needs 'repeat-expr'"),
        ("seq: [{id: a, type: u1, repeat: until}]", "seq.0.repeat", "needs 'repeat-until'"),
        ("seq: [{id: a, type: u1, repeat-expr: 2}]", "seq.0.repeat-expr", "say 'repeat: expr' too"),
        ("seq: [{id: a}]", "seq.0", "has a 'type', 'contents' or 'value'"),
        ("seq: [{id: a, type: str}]", "seq.0.size", "needs a 'size'"),
        ("seq: [{id: a, type: str, size: 4, encoding: utf8}]", "seq.0.encoding",
         "there is no encoding 'utf8'; did you mean 'utf-8'?"),
        ("seq: [{id: a, type: u1, enum: state}]\nenums: {states: {0: x}}", "seq.0.enum",
         "there is no enum 'state'; did you mean 'states'?"),
        ("seq: [{id: a, type: u1}, {id: a, type: u1}]", "seq.1.id", "two fields have the id 'a'"),
        ("seq: [{id: _port, type: u1}]", "seq.0.id", "means something else"),
        ("seq: [{id: a, type: t}]\ntypes: {t: [{id: b, type: t}]}", "types.t.0.type",
         "type 't' contains itself"),
        ("seq: [{id: a, type: u1}]\ntypes: {t: [{id: b, type: u1}]}", "types.t",
         "no field is of type 't'"),
        ("seq: [{id: a, type: t}]\ntypes: {t: [{id: b, type: u3x}]}", "types.t.0.type",
         "there is no type 'u3x'"),
        ("seq: [{id: a, type: b3, if: 1 == 1}]", "seq.0.if", "a bit field has no 'if'"),
        ("seq: [{id: a, type: b3, repeat: until, repeat-until: _ == 1}]", "seq.0.repeat",
         "bits are repeated 'eos' or 'expr' times"),
        ("seq: [{id: a, type: u1, value: _index}]", "seq.0.value", "there is none here"),
        ("seq: [{id: a, value: _ + 1}]", "seq.0.value", "this field reads none"),
        ("seq: [{id: a, type: checksum, algorithm: crc16}]", "seq.0.algorithm",
         "there is no algorithm 'crc16'"),
        ("seq: [{id: a, type: bcd}]", "seq.0.digits", "needs its 'digits'"),
        ("seq: [{id: a, type: bcd, digits: 8, size: 3}]", "seq.0.size", "8 digits are 4 bytes"),
        ("seq: [{id: a, type: u1, size: 2}]", "seq.0.size", "has no meaning for 'u1'"),
        ("seq: [{id: a, contents: [256]}]", "seq.0.contents", "contents are bytes"),
        ("seq: [{type: {switch-on: 1, cases: {x: u1}}, id: a}]", "seq.0.type.cases.x",
         "'x' is none: a case is a whole number"),
        ("seq: [{type: {switch-on: 1, cases: {1: u1}}}]", "seq.0.type.cases.1", "needs an id"),
        ("seq: [{id: a, type: {switch-on: 1, cases: {1: u1, '0x01': u2}}}]",
         "seq.0.type.cases.0x01", "two cases are '0x01'"),
        ("seq: [{id: a, type: {switch-on: q, cases: {1: u1}}}]", "seq.0.type.switch-on",
         "there is no field 'q'"),
        ("seq: [{id: a, type: {switch-on: 1, cases: {1..5: u1, 3: u2}}}]",
         "seq.0.type.cases.3", "never reached: the case '1..5' above is for this too"),
        ("seq: [{id: a, type: {switch-on: 1, cases: {5..1: u1}}}]",
         "seq.0.type.cases.5..1", "is empty: the lower number comes first"),
        ("seq: [{id: a, type: {switch-on: _root, cases: {1: u1}}}]", "seq.0.type.switch-on",
         "a case is chosen by a number or text"),
        ("seq: [{type: {switch-on: 1, cases: {1: [{id: a, type: u1}]}}}, {id: b, value: a}]",
         "seq.1.value", "'a' is read in some cases of a switch: compute"),
        ("seq: [{id: a, type: u1, if: has(_parent)}]", "seq.0.if", "'_parent' is always there"),
        ("seq: [{id: a, type: strz, encoding: utf-16le}]", "seq.0.encoding",
         "a 0 byte ends no UTF-16 text"),
        ("seq: [{id: a, type: u1}]\ninstances: {b: c * 2}", "instances.b.value", "no field 'c'"),
        ("seq: [{id: a, type: u1}]\ninstances: {b: {type: u1}}", "instances.b.type", "is computed"),
        ("seq: [{id: a, repeat: eos, type: [{id: b, type: u1}, {id: c, value: _prev.x}]}]",
         "seq.0.type.1", "'_prev.x': there is no field 'x'"),
        ("seq: [{id: a, type: u1, value: 'a +'}]", "seq.0.value", "the expression ends too early"),
        ("seq: []", "seq", "at least 1 item"),
        ("endian: middle\nseq: [{id: a, type: u1}]", "endian", "'le' or 'be'"),
    ],
)  # fmt: skip
def test_a_fault_is_told_where_it_is(text, path, message):
    found = faults(text)
    assert any(at == path and message in said for at, said in found), found
    assert len(found) == 1, found


def test_all_faults_are_told_at_once():
    found = faults("seq: [{id: a, type: x1}, {id: b, value: a + c}, {id: d, type: str}]")
    assert [path for path, _ in found] == ["seq.0.type", "seq.1.value", "seq.2.size"]


def test_a_good_layout_has_no_faults():
    layout = Binary.model_validate({"format": "binary", "seq": [{"id": "a", "type": "u1"}]})
    assert check(layout) == []


def nested(depth, kind):
    layout = {"id": "x", "type": "u1"}
    for _ in range(depth):
        layout = {"id": "x", "type": [layout], **kind}
    return {"format": "binary", "seq": [layout]}


@pytest.mark.parametrize("kind", [{}, {"repeat": "eos"}])
def test_depth_is_bounded(kind):
    with pytest.raises(ValidationError, match="lie deeper than"):
        Binary.model_validate(nested(20, kind))


def test_a_layout_that_unfolds_without_end_is_refused():
    types = {f"t{n}": [{"id": f"f{m}", "type": f"t{n + 1}"} for m in range(9)] for n in range(8)}
    types["t8"] = [{"id": "x", "type": "u1"}]
    layout = {"format": "binary", "seq": [{"id": "a", "type": "t0"}], "types": types}
    with pytest.raises(ValidationError, match="unfolds into too much"):
        Binary.model_validate(layout)


def test_a_layout_of_empty_structures_that_unfolds_without_end_is_refused():
    types = {f"t{n}": [{"type": f"t{n + 1}"} for m in range(9)] for n in range(8)}
    types["t8"] = []
    with pytest.raises(ValidationError, match="unfolds into too much"):
        Binary.model_validate({"format": "binary", "seq": [{"type": "t0"}], "types": types})


def test_a_switch_of_a_thousand_cases_in_each_other_is_compiled_and_finds_each():
    inner = {str(n): [{"id": "x", "value": n}] for n in range(1000)}
    ranges = {f"{n}..{n + 1}": [{"id": "x", "value": -n}] for n in range(2000, 2024, 2)}
    for _ in range(4):
        field = {"type": {"switch-on": "_n", "cases": {**inner, **ranges}}}
        inner = {**{str(n): [{"id": "x", "value": n}] for n in range(999)}, "999": [field]}
    layout = {"format": "binary", "seq": [{"id": "_n", "type": "u2"}, field]}
    parse = compile_binary(Binary.model_validate(layout))
    for n in (*range(1000), 2000, 2001, 2023):
        wanted = n if n < 1000 else -(n // 2 * 2)
        assert parse(n.to_bytes(2, "big"), Context()) == {"x": wanted}
    for n in (1000, 1999, 2024, 65535):
        with pytest.raises(DecodeError, match="has no case for"):
            parse(n.to_bytes(2, "big"), Context())


def test_a_switch_of_many_texts_finds_each():
    cases = {f"k{n}": [{"id": "x", "value": n}] for n in range(40)}
    layout = {
        "format": "binary",
        "seq": [
            {"id": "_k", "type": "str", "size": "eos"},
            {"type": {"switch-on": "_k", "cases": {**cases, "_": []}}},
        ],
    }
    parse = compile_binary(Binary.model_validate(layout))
    for n in range(40):
        assert parse(f"k{n}".encode(), Context()) == {"x": n}
    assert parse(b"k40", Context()) == {}


def test_items_of_many_computed_fields_count_as_several():
    fields = [{"id": f"f{n}", "value": n} for n in range(160)]
    layout = {
        "format": "binary",
        "seq": [
            {"id": "_n", "type": "u2"},
            {"id": "a", "type": fields, "repeat": "expr", "repeat-expr": "_n"},
        ],
    }
    parse = compile_binary(Binary.model_validate(layout))
    assert len(parse(b"\x03\xe8", Context())["a"]) == 1000
    with pytest.raises(DecodeError, match="1001 items"):
        parse(b"\x03\xe9", Context())


def test_checksums_of_a_repeat_are_bounded():
    check = {"type": "checksum", "algorithm": "sum8", "over": [0, "_size"]}
    layout = {
        "format": "binary",
        "seq": [{"id": "a", "repeat": "eos", "type": [{"type": "skip", "size": 128}, check]}],
    }  # fmt: skip
    parse = compile_binary(Binary.model_validate(layout))
    assert len(parse(bytes(129 * 100), Context())["a"]) == 100
    with pytest.raises(DecodeError, match="checksums of more than"):
        parse(bytes(129 * 1000), Context())


def test_texts_of_a_layout_never_become_code():
    text = "');import os;x=('"
    layout = {
        "format": "binary",
        "seq": [
            {"id": "a", "type": "u1", "enum": "e"},
            {"id": "b", "type": "str", "size": 17},
            {"id": "c", "value": f'b == "{text}" ? 1 : 0'},
        ],
        "enums": {"e": {1: text}},
    }
    parse = compile_binary(Binary.model_validate(layout))
    assert parse(b"\x01" + text.encode(), Context()) == {"a": text, "b": text, "c": 1}


IDS = st.sampled_from(["a", "b", "c", "_d"])
TYPES = st.sampled_from(["u1", "u2le", "s3", "f4", "b3", "b9le", "strz", "sub", "nosuch"])
OPERATORS = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "&", "|", "^", "<<", ">>", "==", "<", ">=", "and", "or"]
)
FUNCTIONS = st.sampled_from(["min({}, {})", "max({}, {})", "{} ? {} : 1", "round({} * {}, 2)"])
OPERANDS = st.sampled_from(
    ["a", "b", "c", "_d", "_", "_index", "_left", "_size", "1", "0.1", "64", "0xffff", "1e18",
     "a.x", "c[0]", "sum(c)", "_prev.a", "has(b)", "int(a / 3)", "local_time(a, b, 1)", "-1"]
)  # fmt: skip
EXPRESSIONS = st.sampled_from(
    ["a", "a + b", "_", "_index", "_prev.a", "c[0]", "_d > 1", "a / b", "sub", "a.x", "sum(c)",
     "_left", "a << b", "has(a)", "a == 1 ? b : c", "3", "_parent.a", "x"]
) | st.recursive(
    OPERANDS,
    lambda inner: st.tuples(inner, OPERATORS, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
    | st.tuples(FUNCTIONS, inner, inner).map(lambda t: t[0].format(t[1], t[2])),
    max_leaves=6,
)  # fmt: skip
FIELDS = st.recursive(
    st.fixed_dictionaries(
        {"type": TYPES},
        optional={
            "id": IDS, "value": EXPRESSIONS, "if": EXPRESSIONS, "absent": st.just(0),
            "repeat": st.sampled_from(["eos", "expr", "until"]), "repeat-expr": EXPRESSIONS,
            "repeat-until": EXPRESSIONS, "enum": st.just("e"), "collect": st.booleans(),
        },
    )
    | st.fixed_dictionaries({"id": IDS, "value": EXPRESSIONS}),
    lambda inner: st.fixed_dictionaries(
        {
            "type": st.lists(inner, max_size=4)
            | st.fixed_dictionaries(
                {
                    "switch-on": EXPRESSIONS,
                    "cases": st.fixed_dictionaries(
                        {0: st.lists(inner, max_size=3)},
                        optional={"1..9": TYPES, "_": st.lists(inner, max_size=2)},
                    ),
                }
            )
        },
        optional={
            "id": IDS, "if": EXPRESSIONS, "size": st.sampled_from([3, "eos", "a"]),
            "repeat": st.sampled_from(["eos", "expr", "until"]), "repeat-expr": EXPRESSIONS,
            "repeat-until": EXPRESSIONS,
        },
    ),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(FIELDS, min_size=1, max_size=6), st.lists(st.binary(max_size=40), max_size=6))
@settings(max_examples=150)
def test_any_layout_is_refused_or_reads_any_bytes(seq, payloads):
    layout = {
        "format": "binary", "trailing": "ignore", "seq": [*seq],
        "types": {"sub": [{"id": "x", "type": "u1"}, {"id": "y", "value": "x * 0.1"}]},
        "enums": {"e": {0: "zero", 1: "one"}},
    }  # fmt: skip
    if "'sub'" not in repr(seq):
        del layout["types"]
    try:
        parse = compile_binary(Binary.model_validate(layout))
    except ValidationError:
        return
    for payload in payloads:
        try:
            document = parse(payload, Context())
        except DecodeError:
            continue
        assert isinstance(document, dict)

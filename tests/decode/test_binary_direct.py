"""A struct that is made of the bytes at once is the one that the document would be converted to."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.assembly import read_profiles
from gateway.decode.binary import compile_binary, compile_direct
from gateway.decode.compile import compile_documents
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles.binary import Binary
from gateway.profiles.formats import Json
from gateway.profiles.paths import build_shape
from gateway.profiles.shape import LEAVES, Node
from gateway.profiles.topics import topic_levels
from tests.profiles.test_binary_layout import FIELDS

UPLINK = Context(received_at=1_700_000_000_999_999_999, envelope={"f_port": 2})


def shape(tree):
    """A shape written as plain data: a leaf's kind, a mapping of children, a list of one item."""
    root = Node("")
    fill(root, tree)
    root.required = True
    root.build()
    return root


def fill(node, tree):
    required = isinstance(tree, tuple)
    node.required = required
    tree = tree[0] if required else tree
    if isinstance(tree, dict):
        for name, inner in tree.items():
            fill(node.child(name), inner)
    elif isinstance(tree, list):
        fill(node.items(), tree[0])
    else:
        node.leaf |= set(tree.split())


def ways(layout, root):
    """The document's way, as a format has it without a direct one, and that of a profile."""
    parse = compile_binary(layout)
    return (
        compile_documents(parse, Json(), root, {}),
        compile_documents(parse, layout, root, {}),
    )


def outcome(decode, payload):
    try:
        found = decode(payload, UPLINK)
    except DecodeError as error:
        return error.reason, error.detail
    return repr(found)


LAYOUT = """
endian: le
seq:
  - {id: n, type: u1}
  - {id: wide, type: u8, if: n & 1}
  - {id: f, type: f4, if: n & 2}
  - {id: word, type: u1, enum: e, absent: 0}
  - {id: pair, type: [{id: x, type: u2}, {id: y, type: s1, absent: 0}], if: n & 4}
  - {id: list, type: u2, repeat: expr, repeat-expr: n >> 4}
  - {id: time, type: str, size: 3}
  - repeat: until
    repeat-until: _tag == 0 or _left == 0
    type:
      - {id: _tag, type: u1}
      - type:
          switch-on: _tag
          cases:
            1: [{id: volume, type: u2, value: _ / 10}]
            2: [{id: volume, type: u4}, {id: also, type: u1}]
            3: [{id: log, type: record, collect: true}]
            4: [{id: log, type: record, collect: true, if: n & 8}]
            _: []
  - {id: either, type: {switch-on: n & 1, cases: {0: record, 1: [{id: at, type: u1}]}}}
  - {id: inner, repeat: eos, type: [{id: list, repeat: expr, repeat-expr: 2, type: record}]}
types:
  record: [{id: at, type: u1}, {id: _h, type: u1}, {id: count, value: _h * 3}]
enums: {e: {1: one, 2: two, 3: three}}
trailing: ignore
"""
TREES = [
    {"n": ("number",), "volume": "number", "log": [{"at": "epoch", "count": "number"}]},
    {"n": "integer", "wide": "number", "f": ("number",), "word": "text"},
    {"wide": "integer", "pair": ({"x": "number", "y": ("number",)},), "list": ["number"]},
    {"pair": {"x": "scalar"}, "list": ["any"], "word": ("any",), "also": "scalar text"},
    {"time": "moment", "inner": [{"list": [{"at": "integer"}]}], "either": {"at": "number"}},
    {"log": "any", "inner": "raw", "pair": "raw", "either": "any", "time": ("text",)},
    {"log": [{"nosuch": "number", "at": ("number",)}], "either": {"count": ("number",)}},
    {"word": "number", "n": "text", "pair": "number"},
    {"pair": [{"x": "number"}], "volume": {"x": "number"}, "nosuch": {"a": "number"}},
]


@st.composite
def messages(draw):
    """A payload of the layout; now and then cut off, or of any bytes."""
    n = draw(st.integers(0, 0x3F))
    data = bytes([n])
    for bit, size in ((1, 8), (2, 4)):
        data += draw(st.binary(min_size=size, max_size=size)) if n & bit else b""
    data += bytes([draw(st.sampled_from([0, 1, 1, 2, 3, 4]))])
    data += draw(st.binary(min_size=3, max_size=3)) if n & 4 else b""
    data += draw(st.binary(min_size=2 * (n >> 4), max_size=2 * (n >> 4)))
    data += draw(st.sampled_from([b"abc", b"2Z\0", b"\xff11"]))
    for tag in draw(st.lists(st.sampled_from([1, 1, 2, 2, 3, 3, 4, 9]), max_size=6)):
        size = {1: 2, 2: 5, 3: 2, 4: 2}.get(tag, 0)
        data += bytes([tag]) + draw(st.binary(min_size=size, max_size=size))
    data += bytes([0, draw(st.integers(0, 255)), *([] if n & 1 else [5])])
    data += draw(st.binary(max_size=3)) * 4
    return data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 9)) == 0 else data


@pytest.mark.parametrize("tree", TREES, ids=range(len(TREES)))
@given(payload=messages() | st.binary(max_size=30))
@settings(max_examples=200)
def test_both_ways_give_the_same(tree, payload):
    decode, direct = WAYS[repr(tree)]
    assert outcome(direct, payload) == outcome(decode, payload)


MODEL = Binary.model_validate({"format": "binary", **yaml.safe_load(LAYOUT)})
WAYS = {repr(tree): ways(MODEL, shape(tree)) for tree in TREES}


def test_most_shapes_need_no_document_between():
    made = [compile_direct(MODEL, shape(tree)) is not None for tree in TREES]
    # A place that must be there never is, and a number is read as a text: its way is the long one.
    assert made == [True, True, True, True, True, True, False, False, True]


SHORTEST = bytes([0, 1]) + b"abc" + bytes(1 + 4) + bytes(2)


def test_a_number_becomes_a_float_and_an_absent_one_its_places_default():
    root = shape({"n": "number", "pair": {"x": "number"}, "wide": "number"})
    found = compile_direct(MODEL, root)(SHORTEST, UPLINK)
    assert isinstance(found, root.struct)
    values = {name: getattr(found, child.attribute) for name, child in root.children.items()}
    assert values == {"n": 0.0, "wide": None, "pair": root.children["pair"].empty}
    assert isinstance(values["n"], float)


def test_a_number_beyond_any_instrument_is_refused_in_the_documents_words():
    _, direct = ways(MODEL, shape({"wide": "number"}))
    reason, detail = outcome(direct, b"\x01" + b"\xff" * 8 + SHORTEST[1:-1])
    assert reason == "absurd_number"
    assert "$.wide" in detail


NAMES = st.sampled_from(["a", "b", "c", "x", "y", "_d"])
KINDS = st.sampled_from([*LEAVES, "number any", "number text"])
SHAPES = st.recursive(
    KINDS | KINDS.map(lambda kind: (kind,)),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=1)
        | st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    ),
    max_leaves=5,
)


@given(
    st.lists(FIELDS, min_size=1, max_size=6),
    st.dictionaries(NAMES, SHAPES, min_size=1, max_size=4),
    st.lists(st.binary(max_size=40), max_size=6),
)
@settings(max_examples=150)
def test_both_ways_give_the_same_for_any_layout_and_shape(seq, tree, payloads):
    layout = {
        "format": "binary", "trailing": "ignore", "seq": [*seq],
        "types": {"sub": [{"id": "x", "type": "u1"}, {"id": "y", "value": "x * 0.1"}]},
        "enums": {"e": {0: "zero", 1: "one"}},
    }  # fmt: skip
    if "'sub'" not in repr(seq):
        del layout["types"]
    try:
        model = Binary.model_validate(layout)
    except ValidationError:
        return
    decode, direct = ways(model, shape(tree))
    for payload in payloads:
        assert outcome(direct, payload) == outcome(decode, payload)


def test_nearly_every_binary_profile_is_read_without_a_document_between():
    models = [profile.model for profile in read_profiles(()).profiles.values()]
    made = [
        compile_direct(model.decode, build_shape(model, topic_levels(model))) is not None
        for model in models
        if isinstance(model.decode, Binary)
    ]
    assert sum(made) > 0.9 * len(made) > 0

"""The arithmetic of profiles: what it gives, what it refuses, and that none of it is evaluated."""

import ast
import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.profiles.expression_text import FUNCTIONS, Value, closed, emit
from gateway.profiles.expressions import ExpressionError, parse


class Names:
    """Some names with values, and the constants of one expression."""

    def __init__(self, **values):
        self.values = values
        self.constants = {}

    def name(self, name):
        if name not in self.values:
            raise ExpressionError(f"there is no field {name!r}")
        value = self.values[name]
        kind = {int: "int", float: "float", str: "text", bool: "bool"}[type(value)]
        return Value(self.constant(value), kind, bound=2.0**64)

    def constant(self, value):
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return name


def result(text, **values):
    names = Names(**values)
    code = closed(emit(parse(text), names)).code
    return eval(code, {"__builtins__": {}, "min": min, "max": max, "abs": abs, "round": round,
                       "int": int, **names.constants})  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * 2", 10 + 6),
        ("(a + b) * 2", 26),
        ("a - b - 1", 6),
        ("a // b", 3),
        ("a % b", 1),
        ("-a", -10),
        ("~a & 0xff", 245),
        ("a << 4 | b", 163),
        ("a & 2 == 2", True),
        ("a ^ b >> 1", 11),
        ("a > b and b > 1", True),
        ("not a > b", False),
        ("a < b or b == 3", True),
        ("a == 1 ? 5 : a == 10 ? 6 : 7", 6),
        ("w == 'on' ? 1 : 0", 1),
        ('w != "on"', False),
        ("min(a, b, 2)", 2),
        ("max(a, b)", 10),
        ("abs(b - a)", 7),
        ("int(a / 4)", 2),
        ("round(a / 3, 2)", 3.33),
        ("0b101 + 0x1F + 1_000", 1036),
        ("true", True),
        ("f * 2", 5.0),
        ("f + 0.5", 3.0),
        (7, 7),
        (0.5, 0.5),
        (True, True),
    ],
)
def test_an_expression_is_worth(text, expected):
    assert result(text, a=10, b=3, w="on", f=2.5) == expected


@given(
    st.integers(-(2**31), 2**31),
    st.sampled_from(["0.1", "0.001", "0.25", "0.02", "1.5", "3"]),
    st.sampled_from(["-40", "+ 0.5", "- 273.15", ""]),
)
def test_decimals_of_whole_numbers_are_exact(raw, factor, offset):
    shown = float(raw * Fraction(factor) + Fraction(offset.replace(" ", "") or "0"))
    assert result(f"raw * {factor} {offset}", raw=raw) == shown
    assert result(f"{factor} * raw {offset}", raw=raw) == shown


@given(st.integers(-(2**31), 2**31))
def test_many_small_factors_are_a_fraction_or_a_float_and_no_crash(raw):
    text = "raw" + " * 0.0000000001" * 30
    assert result(text, raw=raw) == pytest.approx(raw * 1e-300, rel=1e-9, abs=1e-320)
    text = "raw" + " / 10000000000.7" * 25
    assert result(text, raw=raw) == pytest.approx(raw / 10000000000.7**25, rel=1e-9, abs=1e-320)
    text = " + ".join(f"raw / {prime}" for prime in (999983, 999979, 999961, 999959, 999953, 7, 3))
    sum_of = sum(Fraction(raw, p) for p in (999983, 999979, 999961, 999959, 999953, 7, 3))
    assert result(text, raw=raw) == pytest.approx(float(sum_of), rel=1e-12, abs=1e-12)


@given(st.integers(-(2**40), 2**40), st.sampled_from([10, 100, 1000, 3, 0.5]))
def test_division_is_that_of_the_whole_number(raw, by):
    assert result(f"raw / {by}", raw=raw) == float(raw / Fraction(str(by)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "ends too early"),
        ("a +", "ends too early"),
        ("a b", "'b' is left over"),
        ("a < b < 3", "not chained"),
        ("a @ b", "column 3: '@' has no meaning"),
        ("(a", "here ')' is needed"),
        ("a.", "after '.' the id of a field is needed"),
        ("c + 1", "there is no field 'c'"),
        ("w + 1", "'w' is a text, no number"),
        ("w == 1", "a text is compared with a number"),
        ("f & 1", "'f' is no whole number"),
        ("a / 0", "division by zero"),
        ("a % (2 - 2)", "division by zero"),
        ("a << 65", "a shift is by 0 to 64 bits"),
        ("eval(1)", "there is no function 'eval'; one of min"),
        ("min(a)", "min() takes 2 to 8"),
        ("a[0]", "'a' is no list"),
        ("a.b", "'a' has no fields"),
        ("a and w", "'w' is neither true nor false"),
        ("a == 1 ? 'x' : 2", "one side of '?:' is a text"),
        ("a * a * a * a * a * a * a * a * a", "beyond 512 bits"),
        ("1e300 * a", "at most 64 bits"),
        ("round(a, b)", "0 to 12 digits"),
        ("(" * 50 + "a" + ")" * 50, "nested deeper"),
        ("-" * 50 + "a", "nested deeper"),
        ("not " * 50 + "a", "nested deeper"),
        ("+".join("a" * 60), "nested deeper"),
        ("a" * 501, "at most 500 characters"),
    ],
)
def test_a_mistake_is_told(text, problem):
    with pytest.raises(ExpressionError) as caught:
        result(text, a=10, b=3, w="on", f=2.5)
    assert problem in str(caught.value)


WORDS = ["a", "b", "w", "1", "0.1", "0x10", "'t'", "(", ")", "[", "]", ".", "?", ":", ",", "and",
         "or", "not", "true", *"+-*/%&|^~<>", "//", "<<", ">>", "==", "!=", "<=", "min", "abs",
         "__import__", "lambda", "exec", "a.__class__"]  # fmt: skip
OURS = {f"K{n}" for n in range(200)} | {"min", "max", "abs", "round", "int", "len", "sum",
        "NUMBER", "WHOLE", "LEFT", "RIGHT", "ITEM", "DIGITS", "LOCAL_TIME", "EPOCH",
        "bool"}  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)))
@settings(max_examples=200)
def test_any_text_is_a_tree_or_a_fault_and_what_is_emitted_has_only_our_names(text):
    names = Names(a=10, b=3, w="on", f=2.5)
    try:
        code = closed(emit(parse(text), names)).code
    except ExpressionError:
        return
    tree = ast.parse(code, mode="eval")
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Attribute | ast.Lambda | ast.Subscript)
        if isinstance(node, ast.Name):
            assert node.id in OURS
        if isinstance(node, ast.Constant):
            assert isinstance(node.value, int | bool)


def test_every_function_is_in_the_reference():
    assert all(re.fullmatch(r"[a-z_]+", name) for name in FUNCTIONS)

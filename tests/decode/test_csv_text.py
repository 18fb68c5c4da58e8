"""Lines of text: columns, fixed widths and pairs against their own writers; refusals; any bytes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.decode.csv_text import compile_csv
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles.formats import Csv

CONTEXT = Context()


def rows(payload: bytes | str, **settings):
    octets = payload.encode() if isinstance(payload, str) else payload
    return compile_csv(Csv(format="csv", **settings))(octets, CONTEXT)["rows"]


def refusal(payload: bytes | str, **settings) -> DecodeError:
    with pytest.raises(DecodeError) as refused:
        rows(payload, **settings)
    return refused.value


def fault(**settings) -> str:
    with pytest.raises(ValidationError) as wrong:
        Csv(format="csv", **settings)
    return str(wrong.value)


# -- separated columns ---------------------------------------------------------------------------


def test_the_first_row_names_the_columns():
    text = (
        'time,serial,"volume, m3"\r\n2026-01-01 08:00,W20-1,"1,5"\r\n2026-01-01 09:00,W20-1,2\r\n'
    )
    assert rows(text) == [
        {"time": "2026-01-01 08:00", "serial": "W20-1", "volume, m3": "1,5"},
        {"time": "2026-01-01 09:00", "serial": "W20-1", "volume, m3": "2"},
    ]


def test_the_profile_names_the_columns():
    assert rows("8,W20-1,12.5", columns=["hour", "serial", "volume"]) == [
        {"hour": "8", "serial": "W20-1", "volume": "12.5"}
    ]


def test_both_name_the_columns_and_agree():
    settings = {"columns": ["a", "b"], "header": True}
    assert rows("\na,b\n1,2\n", **settings) == [{"a": "1", "b": "2"}]
    refused = refusal("b,a\n1,2\n", **settings)
    assert refused.reason == "unparseable"
    assert refused.detail == "the first row must name the columns 'a,b', got 'b,a'"


def test_empty_values_and_columns_without_a_name_are_absent():
    assert rows("a,,b,\n1,2,,4\n,,,\n , ,3,\n") == [{"a": "1"}, {"b": "3"}]


def test_a_delimiter_at_the_end_of_a_line_begins_no_value():
    assert rows("1;2;\n3;4;;", columns=["a", "b"], delimiter=";") == [
        {"a": "1", "b": "2"}, {"a": "3", "b": "4"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "settings", "told"),
    [
        ("1;2", {"delimiter": ";"}, ["1", "2"]),
        ("1\t2", {"delimiter": "\t"}, ["1", "2"]),
        ("1|2", {"delimiter": "|"}, ["1", "2"]),
        ("  1 \t  2  ", {"delimiter": "blanks"}, ["1", "2"]),
        ("1 2", {"delimiter": " "}, ["1", "2"]),
        ("'1;x';2", {"delimiter": ";", "quote": "'"}, ["1;x", "2"]),
        ('"1;2', {"delimiter": ";", "quote": None}, ['"1', "2"]),
        ('"a""b", "c\r\nd"', {}, ['a"b', "c\r\nd"]),
        ("1,5;-0,25", {"delimiter": ";", "decimal": ","}, ["1.5", "-0.25"]),
        ("1,5,2;x,y", {"delimiter": ";", "decimal": ","}, ["1,5,2", "x,y"]),
        ("# x\n1,2\n#", {"comment": "#"}, ["1", "2"]),
        ("Logger 7\r\nfw 1.2\r\n1,2", {"skip": 2}, ["1", "2"]),
        ("\ufeff1,2", {}, ["1", "2"]),
        ("1,2\r\r", {}, ["1", "2"]),
    ],
)
def test_what_a_profile_may_say_of_the_text(text, settings, told):
    assert rows(text, columns=["a", "b"], **settings) == [dict(zip("ab", told, strict=True))]


@pytest.mark.parametrize(
    ("encoding", "octets"),
    [
        ("utf-8", "水,é".encode()),
        ("gb18030", "水,é".encode("gb18030")),
        ("utf-16", "水,é".encode("utf-16")),
    ],
)
def test_texts_are_read_in_their_encoding(encoding, octets):
    assert rows(octets, columns=["a", "b"], encoding=encoding) == [{"a": "水", "b": "é"}]


def test_latin_1_reads_any_byte():
    assert rows(b"\xe9,\xb0", columns=["a", "b"], encoding="latin-1") == [{"a": "é", "b": "°"}]


def test_short_rows_leave_the_last_values_out():
    settings = {"columns": ["a", "b", "c"], "short_rows": True}
    assert rows("1,2\n1\n1,2,3", **settings) == [
        {"a": "1", "b": "2"}, {"a": "1"}, {"a": "1", "b": "2", "c": "3"},
    ]  # fmt: skip


VALUES = st.text(st.characters(blacklist_categories=("Cs",)), max_size=8)


def written(table, delimiter, quote, end) -> str:
    """RFC 4180 §2, written out: quotes where they are needed, doubled inside."""
    special = {delimiter, quote, "\r", "\n"}
    lines = []
    for row in table:
        values = []
        for value in row:
            doubled = value.replace(quote, quote + quote)
            needed = bool(special & set(value)) or value != value.strip()
            values.append(f"{quote}{doubled}{quote}" if needed else value)
        lines.append(delimiter.join(values))
    return end.join(lines) + end


@given(
    table=st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(VALUES, min_size=n, max_size=n), min_size=1, max_size=4)
    ),
    delimiter=st.sampled_from(",;\t|"),
    quote=st.sampled_from("\"'"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_rfc_4180_writes_is_read(table, delimiter, quote, end):
    names = [f"c{i}" for i in range(len(table[0]))]
    settings = {"columns": names, "delimiter": delimiter, "quote": quote}
    text = written(table, delimiter, quote, end)
    wanted = [
        {name: value.strip() for name, value in zip(names, row, strict=True) if value.strip()}
        for row in table
    ]
    wanted = [row for row in wanted if row]
    if text.startswith("\ufeff"):
        return  # a byte order mark and a text that begins with one are the same bytes
    if not wanted:
        assert refusal(text, **settings).reason == "missing_field"
    else:
        assert rows(text, **settings) == wanted


# -- columns of fixed width, pairs ---------------------------------------------------------------

FIXED = {"serial": (0, 8), "volume": (8, 9), "state": (17, 2)}


def test_columns_of_fixed_width():
    text = "W20-0001 00321.04OK\r\nW20-0002         --\r\n\r\n"
    assert rows(text, columns=FIXED) == [
        {"serial": "W20-0001", "volume": "00321.04", "state": "OK"},
        {"serial": "W20-0002", "state": "--"},
    ]


@given(
    table=st.lists(
        st.tuples(
            st.text("ABC019-", min_size=1, max_size=8),
            st.integers(0, 10**8),
            st.text("xy", max_size=2),
        ),
        min_size=1, max_size=5,
    )
)  # fmt: skip
def test_what_is_written_in_fixed_width_is_read(table):
    text = "\n".join(f"{serial:<8}{volume:>9}{state:^2}" for serial, volume, state in table)
    wanted = [
        {"serial": serial, "volume": str(volume), "state": state} for serial, volume, state in table
    ]
    assert rows(text, columns=FIXED) == [
        {name: value for name, value in row.items() if value} for row in wanted
    ]


def test_a_line_that_ends_before_its_columns_is_cut_off():
    refused = refusal("W20-0001 00321.", columns=FIXED)
    assert refused.reason == "unparseable"
    assert refused.detail.startswith("line 1 has 15 signs, the columns end at 19")
    assert rows("W20-0001 00321", columns=FIXED, short_rows=True) == [
        {"serial": "W20-0001", "volume": "00321"}
    ]


@pytest.mark.parametrize(
    ("text", "settings", "told"),
    [
        ("a=1;b=2", {"delimiter": ";"}, [{"a": "1", "b": "2"}]),
        (" a = 1 ;; b = x=y ; ", {"delimiter": ";"}, [{"a": "1", "b": "x=y"}]),
        ("a=1 b=2\na=3", {"delimiter": "blanks"}, [{"a": "1", "b": "2"}, {"a": "3"}]),
        ("a:1,b:", {"pairs": ":"}, [{"a": "1"}]),
        ("a=1,5;b=2", {"delimiter": ";", "decimal": ","}, [{"a": "1.5", "b": "2"}]),
        ("a=1&b=2", {"delimiter": "&"}, [{"a": "1", "b": "2"}]),
        ("a:=1,b:=2", {"pairs": ":="}, [{"a": "1", "b": "2"}]),
    ],
)
def test_pairs_of_key_and_value(text, settings, told):
    assert rows(text, **{"pairs": "=", **settings}) == told


@given(
    pairs=st.dictionaries(
        st.text("abcXYZ_09", min_size=1, max_size=6),
        st.text("0123456789.=xy", min_size=1),
        min_size=1,
    )
)  # fmt: skip
def test_what_is_written_in_pairs_is_read(pairs):
    text = ";".join(f"{name}={value}" for name, value in pairs.items())
    assert rows(text, pairs="=", delimiter=";") == [pairs]


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "settings", "reason", "words"),
    [
        ("", {}, "missing_field", "no row"),
        ("\r\n \r\n", {}, "missing_field", "no row"),
        ("a,b\n", {}, "missing_field", "no row"),
        ("# 1,2", {"comment": "#"}, "missing_field", "no row"),
        ("1,2", {"skip": 5}, "missing_field", "no row"),
        ("a,b\n1", {}, "unparseable", "row 2 has 1 values, and there are 2 columns: '1'"),
        ("a,b\n1,2,3", {}, "unparseable", "row 2 has 3 values, and there are 2 columns: '1,2,3'"),
        ('a\n"1', {}, "unparseable", "row 2 (RFC 4180): unexpected end of data; it begins '\"1'"),
        ('a\n"1"2', {}, "unparseable", "row 2 (RFC 4180): ',' expected after '\"'"),
        ("a,b,a\n1,2,3", {}, "duplicate_key", "two columns have the name 'a'"),
        ("a=1;a=2", {"pairs": "=", "delimiter": ";"}, "duplicate_key",
         "row 1 has the key 'a' twice"),
        ("a=1;b", {"pairs": "=", "delimiter": ";"}, "unparseable",
         "row 1: 'b' is no key and value with '=' between"),
        ("=1", {"pairs": "="}, "unparseable", "row 1: '=1' is no key and value"),
        (b"a\n\xff", {}, "unparseable", "byte 2 is no utf-8"),
        (b"a\n\xff", {"encoding": "ascii"}, "unparseable", "byte 2 is no ascii"),
        (b"\xff\xfea", {"encoding": "utf-16"}, "unparseable", "byte 2 is no utf-16"),
        ("a\n" * 20_000, {}, "too_large", "20000 lines, at most 10000"),
        ("a" * 100, {"max_bytes": 99}, "too_large", "payload of 100 bytes"),
        ("," * 600 + "a", {}, "too_large", "row 1 has more than 500 values"),
        ("a\n" + "x" * 200_000, {}, "unparseable", "row 2 (RFC 4180): field larger than"),
    ],
)  # fmt: skip
def test_a_refusal_says_where_and_what(payload, settings, reason, words):
    refused = refusal(payload, **settings)
    assert refused.reason == reason
    assert refused.detail.startswith(words)
    assert len(refused.detail) < 300


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"delimiter": ",,"}, "delimiter: one sign, or 'blanks', got ',,'"),
        ({"delimiter": "\n"}, "delimiter: one sign, or 'blanks'"),
        ({"delimiter": '"'}, "quote: '\"' has another meaning already"),
        ({"pairs": "=", "columns": ["a"]}, "pairs name their values"),
        ({"pairs": "=", "header": True}, "pairs name their values"),
        ({"pairs": ";", "delimiter": ";"}, "'pairs' and 'delimiter' are two signs"),
        ({"columns": {"a": [0, 5]}, "header": True}, "columns of fixed width have no header"),
        ({"columns": {"a": [0, 0]}}, "greater than or equal to 1"),
        ({"columns": {"a": [0]}}, "Field required"),
        ({"columns": ["a", "b", "a"]}, "columns: 'a' stands twice"),
        ({"columns": [""]}, "at least 1 character"),
        ({"columns": []}, "at least 1 item"),
        ({"columns": "a,b"}, "a list of names, or a mapping"),
        ({"header": False}, "name the 'columns', or let the first row name them"),
        ({"encoding": "klingon"}, "Input should be 'utf-8'"),
        ({"decimal": ";"}, "Input should be '.'"),
        ({"comment": ""}, "at least 1 character"),
        ({"separator": ";"}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_say_no_table_are_faults(settings, words):
    assert words in fault(**settings)


# -- any bytes -------------------------------------------------------------------------------------

LAYOUTS = [
    {}, {"columns": ["a", "b"]}, {"columns": ["a", "b"], "header": True, "delimiter": ";"},
    {"columns": FIXED}, {"columns": FIXED, "short_rows": True}, {"pairs": "=", "delimiter": ";"},
    {"pairs": "=", "delimiter": "blanks"}, {"delimiter": "blanks", "short_rows": True},
    {"quote": None, "decimal": ",", "delimiter": ";"}, {"encoding": "gb18030"},
    {"encoding": "utf-16"}, {"encoding": "latin-1", "comment": "#", "skip": 1},
]  # fmt: skip
PARSERS = [compile_csv(Csv(format="csv", **layout)) for layout in LAYOUTS]
TEXTS = st.text("abc,;=\"'\r\n\t #\0é水12.", max_size=60).map(str.encode)


@pytest.mark.parametrize("parse", PARSERS, ids=map(str, LAYOUTS))
@given(payload=st.one_of(st.binary(max_size=80), TEXTS))
def test_any_bytes_give_rows_of_texts_or_a_refusal(parse, payload):
    with contextlib.suppress(DecodeError):
        document = parse(payload, CONTEXT)
        assert list(document) == ["rows"]
        assert document["rows"]
        for row in document["rows"]:
            for name, value in row.items():
                assert isinstance(name, str)
                assert isinstance(value, str)
                assert name
                assert value

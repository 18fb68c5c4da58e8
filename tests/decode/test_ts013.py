"""TS013: codecs in the styles that vendors use, what comes of them, and what is refused."""

import struct
import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.document import Context, Parse
from gateway.decode.ts013 import compile_ts013
from gateway.errors import DecodeError
from gateway.profiles.formats import Ts013
from gateway.times import nanoseconds, rfc3339

CODECS = sorted((Path(__file__).parent / "ts013_codecs").iterdir())
NOW = nanoseconds("2026-03-01T12:00:30.250Z")
CONTEXT = Context(received_at=NOW + 123_456)
UPLINK = Context(
    received_at=NOW + 10**10,
    envelope={"f_port": 7, "received_at": "2026-03-01T13:00:30.25+01:00"},
)


def settings(**more) -> Ts013:
    return Ts013(format="ts013", codec="acme-p10.js", **more)


def run(source: str, payload: bytes = b"", context: Context = CONTEXT, **more):
    return compile_ts013(settings(**more), source)(payload, context)


def data(source: str, payload: bytes = b"", context: Context = CONTEXT, **more):
    return run(source, payload, context, **more)["data"]


def value(expression: str, payload: bytes = b"", context: Context = CONTEXT):
    """What an expression over ``input`` is in a codec."""
    source = f"function decodeUplink(input) {{ return {{data: {{v: {expression}}}}}; }}"
    return data(source, payload, context).get("v")


def refusal(source: str, payload: bytes = b"", context: Context = CONTEXT, **more) -> DecodeError:
    with pytest.raises(DecodeError) as refused:
        run(source, payload, context, **more)
    return refused.value


def fault(source: str) -> str:
    with pytest.raises(ValueError, match=r"^acme-p10\.js:|the codec") as wrong:
        compile_ts013(settings(), source)
    return str(wrong.value)


# -- a dozen styles --------------------------------------------------------------------------------


MESSAGES = st.fixed_dictionaries(
    {
        "serial": st.text(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789"), max_size=24),
        "volume": st.integers(0, 2**32 - 1),
        "centidegrees": st.integers(-(2**15), 2**15 - 1),
        "flags": st.integers(0, 255),
        "battery": st.integers(0, 255),
        "age": st.integers(0, 65535),
    }
)


def encoded(said) -> bytes:
    return b"".join([
        b"\x01", struct.pack(">I", said["volume"]), struct.pack("<h", said["centidegrees"]),
        struct.pack(">BBH", said["flags"], said["battery"], said["age"]), said["serial"].encode(),
    ])  # fmt: skip


@cache
def compiled(codec: Path) -> Parse:
    return compile_ts013(settings(variables={"battery_divisor": 50}), codec.read_text("utf-8"))


def read(codec: Path, payload: bytes):
    return compiled(codec)(payload, UPLINK)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@given(said=MESSAGES)
def test_a_codec_of_any_style_reads_what_was_encoded(codec, said):
    when = rfc3339(NOW - said["age"] * 60 * 10**9)
    assert read(codec, encoded(said)) == {
        "data": {
            "serial": said["serial"],
            "volume": said["volume"],
            "temperature": said["centidegrees"] / 100,
            "leak": said["flags"] % 2 == 1,
            "battery": said["battery"] / 50,
            "time": when if "." in when else when.replace("Z", ".000Z"),
        }
    }


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@given(payload=st.binary(max_size=300))
def test_any_bytes_give_a_document_or_a_refusal_in_any_style(codec, payload):
    try:
        assert set(read(codec, payload)) == {"data"}
    except DecodeError as refused:
        assert refused.reason in {"codec_refused", "codec_failed"}  # noqa: PT017


def test_there_are_a_dozen_styles():
    assert len(CODECS) >= 12


# -- what a codec is given -------------------------------------------------------------------------


def test_input_is_bytes_port_time_of_receipt_and_variables():
    source = """function decodeUplink(input) {
      return {data: {keys: Object.keys(input), array: Array.isArray(input.bytes),
        sum: input.bytes.reduce((a, b) => a + b), port: input.fPort,
        date: input.recvTime instanceof Date, time: input.recvTime, v: input.variables}};
    }"""
    assert data(source, b"\x00\xff\x01", UPLINK, variables={"k": 2.5, "n": "x"}) == {
        "keys": ["bytes", "fPort", "recvTime", "variables"], "array": True, "sum": 256, "port": 7,
        "date": True, "time": "2026-03-01T12:00:30.250Z", "v": {"k": 2.5, "n": "x"},
    }  # fmt: skip


def test_without_an_envelope_the_port_is_the_profiles_and_the_time_that_of_the_ledger():
    assert value("[input.fPort, input.recvTime]") == [1, "2026-03-01T12:00:30.250Z"]
    source = "function Decoder(bytes, port) { return {port: port}; }"
    assert data(source, f_port=33) == {"port": 33}


@pytest.mark.parametrize("said", ["7", {"a": 1}, 2**40, -1, 1.5, True, None, [7]])
def test_a_port_of_an_envelope_that_is_none_is_the_profiles(said):
    assert value("input.fPort", b"", Context(envelope={"f_port": said})) == 1


@pytest.mark.parametrize("said", ["yesterday", "2026-03-01T12:00:30", 5, None])
def test_a_time_of_receipt_that_cannot_be_read_gives_way_to_the_ledgers(said):
    context = Context(received_at=NOW, envelope={"f_port": 2, "received_at": said})
    assert value("[input.fPort, input.recvTime]", b"", context) == [2, "2026-03-01T12:00:30.250Z"]


def test_the_clock_stands_at_the_time_of_receipt():
    assert value("[Date.now(), new Date().getTime(), Date.parse(Date())]", b"", UPLINK) == [
        NOW // 10**6, NOW // 10**6, NOW // 10**9 * 1000,
    ]  # fmt: skip


def test_chance_is_the_same_for_every_message():
    parse = compile_ts013(
        settings(),
        "function decodeUplink() { return {data: {r: [Math.random(), Math.random()]}}; }",
    )
    first, second = parse(b"", CONTEXT), parse(b"\1", UPLINK)
    assert first == second
    a, b = first["data"]["r"]
    assert 0 <= a < 1
    assert 0 <= b < 1
    assert a != b


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("new Date(2026, 0, 1, 8, 30).toISOString()", "2026-01-01T08:30:00.000Z"),
        ("new Date('2026-07-01T08:30:00').toISOString()", "2026-07-01T08:30:00.000Z"),
        ("new Date('2026-07-01').toISOString()", "2026-07-01T00:00:00.000Z"),
        ("new Date('2026-07-01T08:30:00+02:00').toISOString()", "2026-07-01T06:30:00.000Z"),
        ("new Date('Jul 1, 2026 08:30:00').toISOString()", "2026-07-01T08:30:00.000Z"),
        ("new Date('Wed, 01 Jul 2026 08:30:00 GMT').toISOString()", "2026-07-01T08:30:00.000Z"),
        ("new Date(1782894600000).getHours()", 8),
        ("new Date(1782894600000).getTimezoneOffset()", 0),
        ("new Date(1782894600000).toString()", "Wed Jul 01 2026 08:30:00 GMT+0000 (UTC)"),
        ("new Date(1782894600000).toLocaleString()", "07/01/2026, 08:30:00 AM"),
        ("(d => (d.setHours(23), d.toISOString()))(new Date(0))", "1970-01-01T23:00:00.000Z"),
        ("new Date(new Date(5)).getTime()", 5),
        ("new Date(NaN).toString()", "Invalid Date"),
        ("new Date(undefined).getTime()", None),
        ("typeof Date()", "string"),
        ("new (class Day extends Date { next() { return this.getTime() + 1; } })(5).next()", 6),
    ],
)
def test_times_are_utc_whatever_the_machine(expression, told, monkeypatch):
    # The engine asks the C library for the zone of the process.
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        assert value(expression) == told
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "expression",
    [
        "typeof require('fs').readFileSync",
        "typeof setTimeout",
        "typeof fetch",
        "typeof print",
        "typeof std",
        "typeof os",
        "typeof WeakRef",
        "typeof performance",
        "typeof SharedArrayBuffer",
        "typeof Atomics",
        "typeof queueMicrotask",
        "typeof input.constructor.constructor('return this')().std",
        "typeof (() => {}).constructor('return globalThis')().loadFile",
    ],
)
def test_there_is_no_host(expression):
    assert value(expression) == "undefined"


def test_console_takes_anything_and_says_nothing(capfd):
    assert value("[console.log('a', input), console.error(1), console.table([])].length") == 3
    assert capfd.readouterr() == ("", "")


def test_eval_of_an_expression_works():
    assert value("eval('1 + 2')") == 3
    assert value("eval('var a = 4; return a * 2')") == 8


# -- what comes out --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("1.5", 1.5),
        ("0.1 + 0.2", 0.1 + 0.2),
        ("5.0", 5),
        ("-0", 0),
        ("1e300", 1e300),
        ("5e-324", 5e-324),
        ("2 ** 53 + 2", 2**53 + 2),
        ("NaN", None),
        ("Infinity", None),
        ("undefined", None),
        ("null", None),
        ("'\\u0000ü\\u{1F600}'", "\0ü😀"),
        ("[1, [2], {a: [undefined]}]", [1, [2], {"a": [None]}]),
        ("new Date(0)", "1970-01-01T00:00:00.000Z"),
        ("Buffer.from([1, 2])", {"type": "Buffer", "data": [1, 2]}),
        ("new Uint8Array([7])", {"0": 7}),
        ("({toJSON() { return 'own'; }})", "own"),
        ("new Map([[1, 2]])", {}),
        ("{get a() { return 3; }}", {"a": 3}),
        ("Object.create({inherited: 1})", {}),
        ("new Proxy({a: 1}, {get: (t, k) => k === 'a' ? 9 : t[k]})", {"a": 9}),
    ],
)
def test_a_value_is_what_json_makes_of_it(expression, told):
    assert value(expression) == told


double = compile_ts013(
    settings(),
    "function decodeUplink(i) { return {data: {v: Buffer.from(i.bytes).readDoubleBE()}}; }",
)


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_comes_out_as_it_was(number):
    # Whole numbers beyond 2^53 are written with zeros for the digits that a double does not have.
    assert float(double(struct.pack(">d", number), CONTEXT)["data"]["v"]) == number


def test_warnings_are_kept_beside_the_data():
    source = "function decodeUplink() { return {data: {}, warnings: ['low battery', 'old']}; }"
    assert run(source) == {"data": {}, "warnings": ["low battery", "old"]}


@pytest.mark.parametrize(
    ("returned", "reason", "words"),
    [
        ("{errors: ['unknown port 9']}", "codec_refused", "acme-p10.js: unknown port 9"),
        ("{errors: ['a', 'b'], data: {x: 1}}", "codec_refused", "acme-p10.js: a; b"),
        ("{errors: 'plain text'}", "codec_refused", "acme-p10.js: plain text"),
        ("{errors: [{code: 7}]}", "codec_refused", 'acme-p10.js: {"code":7}'),
        ("{errors: ['two\\nlines\\u0000']}", "codec_refused", "acme-p10.js: two lines"),
        ("{errors: [undefined, null]}", "codec_refused", "acme-p10.js: undefined; null"),
        ("{}", "codec_failed", "acme-p10.js: the codec returned no data, but undefined"),
        ("{data: null}", "codec_failed", "acme-p10.js: the codec returned no data, but null"),
        ("{data: 5}", "codec_failed", "acme-p10.js: the codec returned no data, but number"),
        ("null", "codec_failed",
         "acme-p10.js: decodeUplink returned null, not an object with data or errors"),
        ("Promise.resolve({data: {}})", "codec_failed",
         "acme-p10.js: decodeUplink returned a promise: a codec answers at once"),
        ("{data: {a: 1n}}", "codec_failed", "acme-p10.js: TypeError: BigInt are forbidden"),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_in_the_codecs_words(returned, reason, words):
    refused = refusal(f"function decodeUplink() {{ return ({returned}); }}")
    assert refused.reason == reason
    assert refused.detail.startswith(words)


def test_an_empty_list_of_errors_is_none():
    source = "function decodeUplink() { return {data: {a: 1}, errors: [], warnings: []}; }"
    assert run(source) == {"data": {"a": 1}}


def test_long_words_are_cut():
    refused = refusal("function decodeUplink() { return {errors: ['x'.repeat(5000)]}; }")
    assert len(refused.detail) < 400
    refused = refusal("function decodeUplink() { throw new Error('x'.repeat(5000)); }")
    assert len(refused.detail) < 400


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return {data: input.bytes.x.y};",
         "2:17: TypeError: cannot read property 'y' of undefined"),
        ("throw new RangeError('no such port');", "RangeError: no such port"),
        ("throw 'only a text';", "only a text"),
        ("throw {code: 5};", '{"code":5}'),
        ("throw undefined;", "undefined"),
        ("return Buffer.from([1]).readUInt16BE(0);",
         "RangeError: Attempt to access memory outside buffer bounds"),
        ("throw new Proxy({}, {get() { throw 1; }, getPrototypeOf() { throw 2; }});",
         "an exception that cannot be shown"),
        ("throw {toJSON() { throw 1; }, toString() { throw 2; }};",
         "an exception that cannot be shown"),
        ("throw Object.defineProperty(new Error('m'), 'stack', {value: 5});", "Error: m"),
        ("throw Object.defineProperty(new Error('m'), 'message', {get() { throw 1; }});",
         "an exception that cannot be shown"),
        ("throw '\\ud800';", "\N{REPLACEMENT CHARACTER}"),
    ],
)  # fmt: skip
def test_an_exception_is_told_with_file_line_and_message(body, told):
    refused = refusal(f"function decodeUplink(input) {{\n  {body}\n}}")
    assert refused.reason == "codec_failed"
    assert refused.detail.startswith("acme-p10.js:")
    assert refused.detail.endswith(told)


def test_the_line_is_the_codecs_also_where_the_engine_threw():
    source = (
        "function decodeUplink(input) {\n\n  return Buffer.from('00', 'hex').readInt32LE(1);\n}"
    )
    assert refusal(source).detail.startswith("acme-p10.js:3:")


# -- codecs that cannot be used --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", "acme-p10.js: has none of decodeUplink(input), "),
        ("function decode() {}", "acme-p10.js: has none of decodeUplink(input), "),
        ("var decodeUplink = 5;", "acme-p10.js: has none of decodeUplink(input), "),
        ("function decodeUplink( {\n",
         "acme-p10.js: SyntaxError: the file ends before its functions do"),
        ("\n\nvar a = ;", "acme-p10.js:3:9: SyntaxError: "),
        ("function decodeUplink() {\n  return {\n",
         "acme-p10.js: SyntaxError: the file ends before its functions do"),
        ("var a = 1;\nthrow new Error('not here');", "acme-p10.js:2:11: Error: not here"),
        ("const lib = require('./acme-lib');",
         "acme-p10.js:1:13: Error: Cannot find module './acme-lib': a codec is one file"),
        ("export { decodeUplink } from './other.js';", "acme-p10.js:1:"),
        ("for (;;);", "acme-p10.js: ran longer than 1 s"),
        ("var a = [];\nfor (;;) a.push(new Array(1000).fill(0));",
         "acme-p10.js:2:33: asked for more than 64 MiB of memory"),
    ],
)  # fmt: skip
def test_a_codec_that_cannot_be_used_is_told_when_the_profile_is_loaded(source, told):
    assert fault(source).startswith(told)


def test_a_codec_has_a_bound():
    assert "2097152" in fault("//" + "x" * 2**21)


RESULT = "{return {data: {f: 3}};}"


@pytest.mark.parametrize(
    "source",
    [
        f"function Decode() {{}} function Decoder() {{}} function decodeUplink() {RESULT}",
        f"module.exports = function (input) {RESULT};",
        f"module.exports = {{Decoder() {{ return {{f: 1}}; }}, decodeUplink() {RESULT}}}",
        f"exports.default = {{decodeUplink: () => {RESULT}}};",
        f"globalThis.decodeUplink = () => {RESULT};",
        f"this.decodeUplink = () => {RESULT};",
        f"\ufefffunction decodeUplink() {RESULT}",
        f"var decodeUplink = (input) => {RESULT} // no line end",
        f"'use strict';\nlet decodeUplink = function () {RESULT}",
        f"export default function decodeUplink() {RESULT}",
        f"export default function () {RESULT}",
        f"function f() {RESULT}\nexport {{\n  f as decodeUplink,\n}};",
        f"import * as b from 'buffer';\nimport 'util';\nexport var decodeUplink = () => {RESULT}",
    ],
)
def test_the_function_is_found_where_vendors_leave_it(source):
    assert data(source) == {"f": 3}


# -- settings --------------------------------------------------------------------------------------


def test_a_payload_has_a_bound():
    source = "function decodeUplink(i) { return {data: {n: i.bytes.length}}; }"
    assert data(source, bytes(4096)) == {"n": 4096}
    assert refusal(source, bytes(4097)).reason == "too_large"
    assert refusal(source, bytes(11), max_bytes=10).reason == "too_large"
    assert data(source, bytes(60_000), max_bytes=65_536) == {"n": 60_000}


@pytest.mark.parametrize(
    "codec", ["/etc/passwd", "/etc/x.js", "..\\x.js", "codec.py", "x.js\n", ""]
)
def test_a_codec_is_a_file_beside_the_profile(codec):
    with pytest.raises(ValueError, match="codec"):
        Ts013(format="ts013", codec=codec)

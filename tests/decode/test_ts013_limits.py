"""What a codec may not do: run without end, take all memory, reach out, or remember."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decode.document import Context
from gateway.decode.ts013 import MAX_S, compile_ts013
from gateway.errors import DecodeError
from gateway.profiles.formats import Ts013

CONTEXT = Context(received_at=1_780_000_000_000_000_000)
SETTINGS = Ts013(format="ts013", codec="acme.js")
WELL = {"data": {"n": 1}}
PATIENCE_S = 40 * MAX_S
"""For a test on a machine that does much else; the limit is of the processor's time."""


def hostile(body: str):
    """A codec that decodes 01 well and does ``body`` for any other payload."""
    return compile_ts013(
        SETTINGS,
        f"function decodeUplink(input) {{ if (input.bytes[0] === 1) return {{data: {{n: 1}}}};\n"
        f"{body}\nreturn {{data: {{}}}}; }}",
    )


def survives(body: str) -> DecodeError | None:
    """Decodes a good message, the bad one, and a good one again; how the bad one was refused."""
    parse = hostile(body)
    assert parse(b"\1", CONTEXT) == WELL
    began, refused = time.monotonic(), None
    try:
        parse(b"\0", CONTEXT)
    except DecodeError as error:
        refused = error
    assert time.monotonic() - began < PATIENCE_S
    assert parse(b"\1", CONTEXT) == WELL
    return refused


@pytest.mark.parametrize(
    "body",
    [
        "for (;;);",
        "while (true) { try { for (;;); } catch (e) { } finally { for (;;); } }",
        "let i = 0; while (i < input.bytes.length) { i += input.bytes[0]; }",
        "(function f() { try { f(); } finally { f(); } })();",
        "var g = (function* () { for (;;) yield 1; })(); for (const x of g);",
        "/^(a+)+$/.test('a'.repeat(60) + 'b');",
        "/(a*a*a*a*a*a*b)/.test('a'.repeat(1000));",
        "'x'.repeat(100000).match(/x*?y/g);",
        "'a'.repeat(400000).indexOf('a'.repeat(200000) + 'b');",
        "'a'.repeat(400000).split('a'.repeat(200000) + 'b');",
        "const a = new Array(20000).fill(0); for (;;) a.slice();",
        "const a = new Array(20000).fill(0); for (;;) a.sort();",
        "const a = new Array(10000).fill(0); for (;;) [].concat(a, a);",
        "const u = new Uint8Array(500000); for (;;) u.sort();",
        "const o = {}; for (let i = 0; i < 9000; i++) o['k' + i] = i; for (;;) Object.keys(o);",
        "const o = {}; for (let i = 0; i < 9000; i++) o['k' + i] = i; for (;;) JSON.stringify(o);",
        "for (;;) JSON.parse('[' + '1,'.repeat(10000) + '1]');",
        "for (;;) Array.from({length: 10000});",
        "for (;;) Buffer.from('a'.repeat(10000)).toString('hex');",
        "Array.prototype.forEach.call({length: 2 ** 53 - 1}, Math.abs);",
        "return {get data() { for (;;); }};",
        "return {data: {get a() { for (;;); }}};",
        "return {data: {toJSON() { for (;;); }}};",
        "return {data: new Proxy({}, {ownKeys() { for (;;); }})};",
        "return {errors: [{toJSON() { for (;;); }}]};",
        "return new Proxy({}, {get() { for (;;); }});",
        "throw new Proxy({}, {get() { for (;;); }});",
        "throw new Proxy({}, {getPrototypeOf() { for (;;); }});",
        "throw {toString() { for (;;); }, toJSON() { for (;;); }};",
        "throw Object.defineProperty(new Error(), 'message', {get() { for (;;); }});",
        "throw Object.defineProperty(new Error(), 'stack', {get() { for (;;); }});",
    ],
)
def test_what_runs_without_end_is_stopped(body):
    refused = survives(body)
    assert refused is not None
    assert refused.reason == "codec_stopped"
    assert "ran longer than 0.1 s" in refused.detail or "too deep" in refused.detail


@pytest.mark.parametrize(
    "body",
    [
        "new ArrayBuffer(2 ** 30);",
        "new Uint8Array(2 ** 30);",
        "Buffer.alloc(2 ** 30);",
        "'a'.repeat(2 ** 29);",
        "'a'.padEnd(2 ** 29);",
        "new Array(1000000).fill('x').map((x, i) => x + i);",
        "const a = []; for (;;) a.push('x'.repeat(1000) + a.length);",
        "let s = 'ab'; for (;;) s = s + s;",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, [i]);",
        "let o = {}; for (;;) o = {o};",
        "2n ** 100000000n;",
        "input.bytes.length = 2 ** 31; return {data: input.bytes};",
        "return {data: {a: 'x'.repeat(2 ** 20).split('')}};",
        "const a = []; a[3000000000] = 1; return {data: {a}};",
    ],
)
def test_what_takes_all_memory_is_stopped(body):
    refused = survives(body)
    assert refused is not None
    assert refused.reason in {"codec_stopped", "codec_failed", "too_large"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("(function f() { return f() + 1; })();", "codec_stopped"),
        ("let a = []; for (let i = 0; i < 10000; i++) a = [a]; return {data: a};", "codec_stopped"),
        ("let a = []; for (let i = 0; i < 500; i++) a = {a}; return {data: a};", None),
        ("JSON.parse('['.repeat(20000));", "codec_stopped"),
        ("const a = {}; a.a = a; return {data: a};", "codec_failed"),
        ("return {data: {a: 'x'.repeat(300000)}};", "too_large"),
        ("new Array(1e9).join('x');", "codec_failed"),
        ("Array.prototype.splice.call({length: 2 ** 53 - 2}, 0, 1);", "codec_failed"),
        ("return {errors: new Array(10000).fill('x')};", "codec_refused"),
        ("return {data: new Proxy({a: 1}, {})};", None),
        ("throw null;", "codec_stopped"),
        ("return Object.create({data: {a: 1}});", None),
    ],
)
def test_what_is_too_deep_or_too_large_is_refused(body, reason):
    refused = survives(body)
    assert (refused and refused.reason) == reason


def test_a_limit_is_told_with_the_line_where_it_was_met():
    refused = survives("\n\n(function f() { f(); })();")
    assert refused is not None
    assert refused.detail.startswith("acme.js:4:")


# -- nothing is remembered -------------------------------------------------------------------------

REMEMBERING = {
    "variable": "var n = 0; function decodeUplink() { return {data: {n: n++}}; }",
    "undeclared": "function decodeUplink() { if (typeof m === 'undefined') m = 0; "
    "return {data: {n: m++}}; }",
    "globalThis": "function decodeUplink() { globalThis.m = (globalThis.m || 0) + 1; "
    "return {data: {n: m - 1}}; }",
    "this": "function decodeUplink() { const g = (function () { return this; })(); "
    "g.m = (g.m || 0) + 1; return {data: {n: g.m - 1}}; }",
    "function": "function decodeUplink() { decodeUplink.n = (decodeUplink.n || 0) + 1; "
    "return {data: {n: decodeUplink.n - 1}}; }",
    "exports": "exports.n = 0; exports.decodeUplink = () => ({data: {n: exports.n++}});",
    "module": "module.exports = {n: 0, decodeUplink() { return {data: {n: this.n++}}; }};",
    "table": "const t = {n: 0}; function decodeUplink() { return {data: {n: t.n++}}; }",
    "closure": "const next = (() => { let n = 0; return () => n++; })(); "
    "function decodeUplink() { return {data: {n: next()}}; }",
    "class": "class C { static n = 0; } function decodeUplink() { return {data: {n: C.n++}}; }",
    "Object.prototype": "function decodeUplink() { const p = Object.prototype; "
    "const n = p.n || 0; p.n = n + 1; return {data: {n}}; }",
    "__proto__": "function decodeUplink() { const p = ({}).__proto__; "
    "const n = p.n || 0; p.n = n + 1; return {data: {n}}; }",
    "constructor": "function decodeUplink() { const p = (5).constructor; "
    "const n = p.n || 0; p.n = n + 1; return {data: {n}}; }",
    "generator": "function decodeUplink() { const p = Object.getPrototypeOf(function* () {}); "
    "const n = p.n || 0; p.n = n + 1; return {data: {n}}; }",
    "iterator": "function decodeUplink() { const p = Object.getPrototypeOf([].keys()); "
    "const n = p.n || 0; p.n = n + 1; return {data: {n}}; }",
    "patch": "Array.prototype.n = Array.prototype.n || 0; "
    "function decodeUplink() { return {data: {n: [].n}}; }",
    "patch at work": "function decodeUplink() { Array.prototype.n = Array.prototype.n || 0; "
    "return {data: {n: Array.prototype.n++}}; }",
    "console": "function decodeUplink() { console.n = console.n || 0; "
    "return {data: {n: console.n === undefined ? 0 : console.n++}}; }",
    "eval": "function decodeUplink() { try { (0, eval)('let m = 0'); } catch (e) { } "
    "return {data: {n: typeof m === 'undefined' ? 0 : m++}}; }",
    "Function": "function decodeUplink() { "
    "Function('m = typeof m === \"undefined\" ? 0 : m + 1')(); "
    "return {data: {n: m}}; }",
    "regular expression": "const r = /a/g; function decodeUplink() { const n = r.lastIndex; "
    "r.test('aaaa'); return {data: {n}}; }",
    "symbol": "function decodeUplink() { const s = Symbol.for('m'); const n = globalThis[s] || 0; "
    "globalThis[s] = n + 1; return {data: {n}}; }",
    "fixed": "function decodeUplink() { const n = globalThis.m || 0; "
    "try { Object.defineProperty(globalThis, 'm', {value: n + 1}); } catch (e) { } "
    "return {data: {n}}; }",
    "frozen": "function decodeUplink() { const n = Object.isFrozen(globalThis) ? 1 : 0; "
    "Object.freeze(globalThis); return {data: {n}}; }",
    "inherited": "function decodeUplink() { const n = globalThis.m || 0; "
    "Object.setPrototypeOf(globalThis, {m: n + 1, Object}); return {data: {n}}; }",
    "deleted": "function decodeUplink() { const n = typeof Date === 'function' ? 0 : 1; "
    "delete globalThis.Date; return {data: {n}}; }",
    "overwritten": "function decodeUplink() { const n = typeof JSON.parse === 'function' ? 0 : 1; "
    "JSON = {}; Date = 5; return {data: {n}}; }",
    "buffer": "function decodeUplink() { const n = Buffer.prototype.n || 0; "
    "Buffer.prototype.n = n + 1; Buffer.from = null; return {data: {n}}; }",
    "chance": "function decodeUplink() { const n = Math.floor(Math.random() * 1e9); "
    "return {data: {n: n - Math.floor(0.23645552527159452 * 1e9)}}; }",
    "template": "const seen = new WeakMap(); function t(s) { const n = seen.get(s) || 0; "
    "seen.set(s, n + 1); return n; } function decodeUplink() { return {data: {n: t`x`}}; }",
    "promise": "function decodeUplink() { const n = globalThis.m || 0; "
    "Promise.resolve().then(() => { globalThis.m = 1; }); return {data: {n}}; }",
    "error": "function decodeUplink() { const n = Error.prototype.n || 0; "
    "Error.prototype.n = 1; Error.stackTraceLimit = 0; return {data: {n}}; }",
}


@pytest.mark.parametrize("name", REMEMBERING)
def test_a_codec_carries_nothing_from_one_message_to_the_next(name):
    parse = compile_ts013(SETTINGS, REMEMBERING[name])
    assert [parse(b"", CONTEXT)["data"]["n"] for _ in range(4)] == [0, 0, 0, 0]


PROBE = """
function decodeUplink(input) {
  const text = Buffer.from(input.bytes).toString();
  return {data: {v: text === "" ? [[3, 1, 2].sort(), "a-b".split("-"), Number("1.5"), `${{}}`,
    new Date(0).toISOString(), JSON.stringify({a: [1]}), Buffer.from("ff", "hex")[0],
    Object.keys({b: 1}), Math.max(1, 2), /a+/.exec("caa")[0], typeof x, typeof module,
    [..."ab"], [1].map(String), new Map([[1, 2]]).get(1), parseInt("7f", 16)]
    : eval(text) === undefined}};
}
"""
NAMES = ["Object", "Array", "String", "Number", "Date", "JSON", "Buffer", "Math", "RegExp", "Map",
         "Function", "globalThis", "module", "x", "eval", "parseInt", "Symbol"]  # fmt: skip
MEMBERS = ["prototype", "prototype.constructor", "prototype.toString", "prototype.map", "from",
           "prototype.exec", "prototype.split", "keys", "stringify", "max", "prototype.get",
           "prototype.sort", "prototype.toISOString", "iterator", "__proto__"]  # fmt: skip
ATTACKS = st.one_of(
    st.builds("{}.{} = 5".format, st.sampled_from(NAMES), st.sampled_from(MEMBERS)),
    st.builds("{} = 5".format, st.sampled_from(NAMES)),
    st.builds("delete {}.{}".format, st.sampled_from(NAMES), st.sampled_from(MEMBERS)),
    st.builds("delete globalThis.{}".format, st.sampled_from(NAMES)),
    st.builds(
        "Object.defineProperty({}, '{}', {{value: 5}})".format,
        st.sampled_from(NAMES), st.sampled_from(MEMBERS),
    ),
    st.builds(
        "Object.defineProperty(globalThis, '{}', {{value: 5, configurable: {}}})".format,
        st.sampled_from(NAMES), st.sampled_from(["true", "false"]),
    ),
    st.builds(
        "Object.{}({})".format,
        st.sampled_from(["freeze", "preventExtensions", "seal"]), st.sampled_from(NAMES),
    ),
    st.builds("Object.setPrototypeOf({}, {{}})".format, st.sampled_from(NAMES)),
    st.just("for (;;);"), st.just("new ArrayBuffer(1e9)"), st.text(max_size=20),
)  # fmt: skip

probed = compile_ts013(SETTINGS, PROBE)
UNTOUCHED = probed(b"", CONTEXT)


@settings(max_examples=50)
@given(attacks=st.lists(ATTACKS, min_size=1, max_size=3))
def test_no_attack_on_the_surroundings_changes_the_next_message(attacks):
    try:
        probed("\n;".join(attacks).encode("utf-8", "replace"), CONTEXT)
    except DecodeError as refused:
        assert refused.reason.startswith("codec_")  # noqa: PT017
    assert probed(b"", CONTEXT) == UNTOUCHED


def test_a_long_run_neither_grows_nor_slows_until_it_fails():
    parse = compile_ts013(
        SETTINGS,
        "function decodeUplink(i) { const ring = {}; ring.ring = ring; "
        "Promise.resolve().then(() => 1); return {data: {n: 1}}; }",
    )
    for _ in range(12_000):
        assert parse(b"\1", CONTEXT) == WELL


def test_messages_of_a_codec_that_was_stopped_often_still_decode():
    parse = hostile("for (;;);")
    for _ in range(5):
        with pytest.raises(DecodeError, match="codec_stopped"):
            parse(b"\0", CONTEXT)
        assert parse(b"\1", CONTEXT) == WELL

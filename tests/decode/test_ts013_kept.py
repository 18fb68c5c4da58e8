"""Codecs that are kept from one message to the next: which are, and that it makes no difference."""

import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.document import Context
from gateway.decode.ts013 import Codec
from gateway.decode.ts013_kept import kept
from gateway.errors import DecodeError
from gateway.profiles.formats import Ts013

SETTINGS = Ts013(format="ts013", codec="acme.js", variables={"battery_divisor": 50})
CODECS = sorted((Path(__file__).parent / "ts013_codecs").iterdir())
ANEW = "\n// <!-- a comment by which a text is refused, so that the file is run anew each message"


@cache
def codec(source: str) -> Codec:
    return Codec(SETTINGS, source)


def said(source: str, payload: bytes, at: int = 0):
    context = Context(received_at=1_780_000_000_000_000_000 + at * 1_000_000_000)
    try:
        return codec(source).parse(payload, context)
    except DecodeError as refused:
        return refused.reason, refused.detail


def keeps(source: str) -> bool:
    return codec(source).keeps


TABLES = """
const UNITS = {0x03: ["energy", "Wh", 1], 0x13: ["volume", "m3", 0.001],
  0xfd: {0x17: ["flags", null, null], 0x40: ["text", null, null]}};
var NAMES = {1: {name: "forward", states: ["closed", "open"]}, 2: {name: "back", states: []}};
let hex = (value) => value.toString(16).padStart(2, "0"), port = 7;
const COUNT = Object.keys(UNITS).length, POWERS = [1, 10, 100].map((n) => n / 10);
function state(byte) {
  const entry = NAMES[byte >> 4];
  return entry === undefined ? "unknown" : entry.states[byte & 15] || entry.name;
}
function decodeUplink(input) {
  var data = {count: COUNT, port: port, states: []}, i = 0;
  function next() { return input.bytes[i++]; }
  try {
    while (i < input.bytes.length) {
      var unit = UNITS[next()];
      while (!Array.isArray(unit)) unit = unit[next()];
      data[unit[0]] = unit[2] === null ? hex(next()) : next() * unit[2] * POWERS[1];
      data.states.push(state(next()));
    }
  } catch (error) {
    return {errors: [error.message]};
  }
  return {data: data};
}
exports.decodeUplink = decodeUplink;
exports.encodeDownlink = function (input) { return {bytes: [port], that: this}; };
"""
CLOSED = """
var RAW = 0;
function value(map, key) { return RAW ? key : map[key] || "unknown"; }
function decodeUplink(input) {
  return {data: Object.assign({a: [value({1: "on", 2: "off"}, input.bytes[0])]}, {a: [1]})};
}
Object.defineProperty(Object, "assign", {configurable: true, writable: true,
  value: function (to) {
    "use strict";
    for (var i = 1; i < arguments.length; i++) {
      for (const key of Object.keys(arguments[i])) to[key] = to[key].concat(arguments[i][key]);
    }
    return to;
  }});
var encoder = (function () {
  var RAW = 1, count = 0;
  function value(map, key) { return map[key]; }
  function Buffer(size) { this.bytes = new Array(size); count++; }
  Buffer.prototype.write = function (byte) { this.bytes[0] = byte; };
  return {encode: function () { return new Buffer(1); }};
})();
function encodeDownlink(input) { return encoder.encode(input); }
"""
LINES = """
const scale = 10
const read = function (bytes, at) { return (bytes[at] << 8 | bytes[at + 1]) / scale }
const label = at => `channel ${at + 1}`
const pattern = /^[a-c/"]+$/
function decodeUplink({bytes, fPort}) {
  const data = {}
  for (let at = 0; at + 1 < bytes.length; at += 2) data[label(at)] = read(bytes, at)
  data.match = pattern.test(String.fromCharCode(...bytes))
  if (fPort) data.port = fPort
  return {data}
}
"""
OBJECTS = """
function Reader(bytes) { this.bytes = bytes; this.at = 0; }
Reader.prototype.next = function () { return this.bytes[this.at++]; };
Reader.prototype.word = function () { return this.next() << 8 | this.next(); };
var table = {
  rows: [{name: "level", of: function (x) { return x / 10; }}, {name: "battery"}],
  find: function (index) { return this.rows[index % this.rows.length]; }
};
function decodeUplink(input) {
  var reader = new Reader(input.bytes), data = {n: 0};
  for (var i = 0, row; reader.at < input.bytes.length; i++) {
    row = table.find(i);
    data[row.name] = row.of ? row.of(reader.word()) : reader.next();
  }
  return {data: data};
}
"""
ANONYMOUS = """
const half = (value) => value / 2;
exports.decodeUplink = function (input) { return {data: {n: half(input.bytes.length)}}; };
"""


@pytest.mark.parametrize("source", [TABLES, CLOSED, LINES, OBJECTS, ANONYMOUS])
def test_a_codec_of_functions_and_tables_is_kept(source):
    assert keeps(source)
    assert not keeps(source + ANEW)


@pytest.mark.parametrize("source", [TABLES, CLOSED, LINES, OBJECTS, ANONYMOUS])
@given(payloads=st.lists(st.binary(max_size=30), min_size=1, max_size=4))
def test_a_kept_codec_says_what_a_fresh_run_says(source, payloads):
    for at, payload in enumerate(payloads):
        assert said(source, payload, at) == said(source + ANEW, payload, at)
    assert keeps(source)


@given(rows=st.lists(st.sampled_from([b"\x03\x05\x10", b"\x13\x07\x21", b"\xfd\x17\x80\x11"])))
def test_messages_that_are_well_formed_are_read_alike(rows):
    payload = b"".join(rows)
    told = said(TABLES, payload)
    assert isinstance(told, dict)
    assert told == said(TABLES + ANEW, payload)


@pytest.mark.parametrize("path", CODECS, ids=lambda path: path.name)
@given(payloads=st.lists(st.binary(max_size=40), min_size=1, max_size=3))
def test_in_every_style_a_document_is_that_of_a_fresh_run(path, payloads):
    source = path.read_text("utf-8")
    for at, payload in enumerate(payloads):
        assert said(source, payload, at) == said(source + ANEW, payload, at)


def body(text: str) -> str:
    return f"function decodeUplink(i) {{ {text} return {{data: {{n: n}}}}; }}"


# Each tries to count messages; none may get further than the first.
COUNTING = {
    "variable": "let n = 0; " + body("n++;"),
    "in brackets": "let n = 0; " + body("(n) = n + 1;"),
    "in brackets, counted": "let n = 0; " + body("++(n);"),
    "by a pattern": "let n = 0; " + body("[n] = [n + 1];"),
    "by a pattern behind a condition": "let n = 0; " + body("if (i) [n] = [n + 1];"),
    "by a pattern behind a block": "let n = 0; " + body("{} [n] = [n + 1];"),
    "by a pattern of members": "let n = 0; " + body("({a: n} = {a: n + 1});"),
    "by a nested pattern": "let n = 0; " + body("[, [n]] = [0, [n + 1]];"),
    "by a default": "let n = 0; " + body("[n = n + 1] = [];"),
    "by a loop": "let n = 0; " + body("for (n of [n + 1]);"),
    "by a pattern of a loop": "let n = 0; " + body("for ([, n] of [[0, n + 1]]);"),
    "by a function that is named": "let n = 0; function next() { n++; } " + body("next();"),
    "by a function in a table": "let n = 0; const t = {f: () => n++}; " + body("t.f();"),
    "in a table": "const t = {n: 0}; " + body("t.n++; const n = t.n;"),
    "in a table, caught": "const t = {n: 0}; "
    + body("try { t.n++; } catch (e) { } const n = t.n;"),
    "in a list": "const t = []; " + body("const n = t.push(1);"),
    "in an inner list": "const t = {a: [[]]}; " + body("const n = t.a[0].push(1);"),
    "in itself": body("decodeUplink.n = (decodeUplink.n || 0) + 1; const n = decodeUplink.n;"),
    "in a prototype": "function F() { } "
    + body("F.prototype.n = (F.prototype.n || 0) + 1; const n = F.prototype.n;"),
    "in a map": "const t = new Map(); "
    + body("const n = (t.get(1) || 0) + 1; t.set(1, n);"),
    "in bytes": "const t = new Uint8Array(1); " + body("const n = ++t[0];"),
    "in a regular expression": "const r = /a/g; " + body("r.test('aaaa'); const n = r.lastIndex;"),
    "in a date": "const t = new Date(0); " + body("t.setTime(t.getTime() + 1); const n = +t;"),
    "in a date that looks plain": "function F() { } F.prototype = Object.prototype; "
    "const t = Reflect.construct(Date, [0], F); const d = Date.prototype; "
    + body("d.setTime.call(t, d.getTime.call(t) + 1); const n = d.getTime.call(t);"),
    "in a map that looks plain": "const t = new Map(); t['__pro' + 'to__'] = Object.prototype; "
    "const m = Map.prototype; "
    + body("m.set.call(t, 1, (m.get.call(t, 1) || 0) + 1); const n = m.get.call(t, 1);"),
    "behind a proxy": "let k = 0; const t = new Proxy({}, {get: () => ++k}); "
    + body("const n = t.x;"),
    "in a function's variable": "const next = (() => { let n = 0; return () => ++n; })(); "
    + body("const n = next();"),
    "in a planted function": "const t = {}; (function () { let n = 0; t.f = () => ++n; })(); "
    + body("const n = t.f();"),
    "in a planted function of the same text": "const t = {}; const twin = () => ++n; "
    "(function () { let n = 0; t.f = () => ++n; })(); " + body("const n = t.f();"),
    "in a function of a text": "const twin = () => ++n; const next = "
    "(0, eval)('(() => { let n = 0; return () => +' + '+n; })()'); " + body("const n = next();"),
    "in a function of a text that a function makes": "const twin = () => ++n; const next = "
    "(() => 0)['const' + 'ructor']('let n = 0; return () => +' + '+n')(); "
    + body("const n = next();"),
    "in a function put in the place of another": "function f() { return 1; } "
    "(function () { let n = 0; f = function () { return ++n; }; })(); " + body("const n = f();"),
    "behind a getter": "const o = {}; Object.defineProperty(o, 'f', {get: function () { "
    "let n = 0; return () => ++n; }}); const next = o.f; " + body("const n = next();"),
    "in a block": "var f; { let n = 0; f = function () { return ++n; }; } "
    + body("const n = f();"),
    "in a block's object": "var f; for (let t = {n: 0}; !f;) f = function () { return ++t.n; }; "
    + body("const n = f();"),
    "in what was caught": "var f; try { throw {n: 0}; } catch (t) { f = () => ++t.n; } "
    + body("const n = f();"),
    "in a class": "class C { static #n = 0; static next() { return ++C.#n; } } "
    "const next = C.next; " + body("const n = next();"),
    "in a generator": "const g = (function* () { let n = 0; for (;;) yield ++n; })(); "
    + body("const n = g.next().value;"),
    "in an iterator": "const g = [1, 2, 3, 4, 5][Symbol.iterator](); "
    + body("const n = g.next().value;"),
    "in what is bound": "const f = (function () { return ++this.n; }).bind({n: 0}); "
    + body("const n = f();"),
    "in a template": "function tag(parts) { try { parts.n = (parts.n || 0) + 1; } catch (e) { } "
    "return parts.n || 1; } " + body("const n = tag`x`;"),
    "in the input's prototype": body(
        "const p = Object.getPrototypeOf(i); const n = (p.n || 0) + 1; "
        "try { p.n = n; } catch (e) { }"
    ),
    "in a module": body("const m = require('fs'); const n = (m.n || 0) + 1; m.n = n;"),
    "in context": body("context.push(1); const n = context.length;"),
    "in context, by text": body(
        "const n = (() => 0)['const' + 'ructor']('context.push(1); return context.length')();"
    ),
    "in exports, by text": "exports.decodeUplink = decodeUplink; "
    + body(
        "const n = (() => 0)['const' + 'ructor']"
        "('exports.n = (exports.n || 0) + 1; return exports.n')();"
    ),
    "in exports, as this": "exports.decodeUplink = function () { this.n = (this.n || 0) + 1; "
    "const n = this.n; return {data: {n: n}}; };",
    "in a prototype, by this": "function F() { } F.prototype.t = {n: 0}; "
    "F.prototype.next = function () { return ++this.t.n; }; " + body("const n = new F().next();"),
    "in the global object, by text": body(
        "const n = (() => 0)['const' + 'ructor']('this.q = (this.q || 0) + 1; return this.q')();"
    ),
    "behind a regular expression": "let n = 0; "
    + body('if (i) /"/.test("x"); n++; /"/.test("x");'),
    "behind a regular expression after a block": "let n = 0; "
    + body('{}\n/"/.test("x"); n++; "/";'),
    "behind a comment": "let n = 0; " + body("// x\r n++;\n"),
    "behind a comment of a web page": "let n = 0; " + body("let x = 1\n<!-- `\nn++;\n<!-- `\n"),
    "behind a division": "let n = 0; " + body("const x = {in: 4}; x.in / n++ / 2;"),
    "behind a call that looks like a method": "let n = 0; var f; function g() { } g()\n"
    "{ let k = 0; f = function () { return ++k; }; } function decodeUplink() "
    "{ return {data: {n: f()}}; }",
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTING)
def test_no_codec_counts_messages(name):
    source = COUNTING[name]
    told = [said(source, b"\1", at) for at in range(4)]
    assert told == [told[0]] * 4
    assert told[0] == said(source + ANEW, b"\1")
    assert isinstance(told[0], dict)


# Each is told one thing by a fresh run; in strict mode, or with frozen tables, it would be another.
TELLING = {
    "an undeclared variable": "k = 1; const n = k;",
    "an undeclared variable, caught": "let n = 1; try { k = 1; } catch (e) { n = 2; }",
    "this of a plain call": "const n = (function () { return this === undefined; })();",
    "this of a plain call, its member": "let n; "
    "try { n = typeof (function () { return this.Object; })(); } catch (e) { n = 2; }",
    "this of a callback": "let n = 0; "
    "[1].forEach(function () { n = this === undefined ? 1 : 2; });",
    "arguments": "const n = (function (x) { arguments[0] = 5; return x; })(1);",
    "a property of a text": "let n = 1; try { 'abc'.x = 1; } catch (e) { n = 2; }",
    "a deleted member": "const n = delete t.a;",
    "a written member": "let n = 1; try { t.a = 1; } catch (e) { n = 2; }",
    "an added member": "let n = 1; try { t.b = 1; } catch (e) { n = 2; }",
    "a sorted list": "let n = 1; try { t.list.sort(); } catch (e) { n = 2; }",
    "whether it is frozen": "const n = Object.isFrozen(t);",
    "whether it is frozen, by text": "const n = Object['isFro' + 'zen'](t);",
    "a prototype that is frozen": "const o = Object.create(t); let n; "
    "try { o.a = 5; n = o.a; } catch (e) { n = 2; }",
    "a function of a block": "{ function g() { return 2; } } const n = g();",
    "a function of a block and another": "{ function f() { return 2; } } const n = f();",
    "the type of a function of a block": "{ function g() { } } const n = typeof g;",
    "an octal number": "const n = 010;",
    "the name of a function": "const n = (function f() { try { f = 1; } catch (e) { return 2; } "
    "return typeof f; })();",
    "the time of the file": "const n = started;",
    "a variable left in the global object": "const n = typeof left;",
}


@pytest.mark.parametrize("name", TELLING)
def test_a_kept_codec_is_not_told_from_a_fresh_run(name):
    source = (
        "const t = {a: 3, list: [3, 1, 2]}; function f() { return 1; }"
        + ("const started = Date.now();" if "started" in TELLING[name] else "")
        + ("globalThis.left = 1;" if "left" in TELLING[name] else "")
        + body(TELLING[name])
    )
    for at in range(3):
        assert said(source, b"\1", at) == said(source + ANEW, b"\1", at)


@pytest.mark.parametrize(
    "source",
    [
        "var decoded = {}; function decodeUplink() { decoded = {a: 1}; return {data: decoded}; }",
        "class A { a() { return {}; } } function decodeUplink() { return {data: new A().a()}; }",
        "function decodeUplink() { var that = this; return {data: that}; }",
        "function decodeUplink(i) { for (k = 0; k < 2; k++); return {data: {n: k}}; }",
        "var driver = {decodeUplink: function () { return {data: {}}; }}",
        "!function () { exports.decodeUplink = function () { return {data: {}}; }; }();",
        "if (true) { function decodeUplink() { return {data: {}}; } }",
        "export function decodeUplink() { return {data: {}}; }",
        "function decodeUplink() { return {data: {}}; } function decodeUplink() { return {}; }",
        "const t = {a() { return 1; }}; function decodeUplink() { return {data: {n: t.a()}}; }",
        "function decodeUplink() { return {data: {}}; } // \u2028",
        "function decodeUplink( {",
        "`${",
        "}",
        "/",
        "\\u0061",
        "",
    ],
)
def test_of_other_files_it_is_not_certain(source):
    assert kept(source) is None


@given(
    source=st.text(st.sampled_from("(){}[]`'\"/*\\\n$;=+-.,:<!>abfunction varletif0"), max_size=60)
)
def test_any_text_is_looked_at(source):
    kept(source)


@given(
    parts=st.lists(
        st.sampled_from([
            "function decodeUplink(i) {", "}", "return {data: t};", "var t = {a: [1]};",
            "let n = 0;", "n++;", "if (n)", "/", "'", "`${", "`", "=>", "(", ")", "catch (e)",
            "for (let k of t)", "\n", "[n] = [1];", "t.a", "function", "exports.f =",
            "in", "//", "/*", "*/", "=",
        ]),
        max_size=14,
    )
)  # fmt: skip
def test_any_pieces_are_looked_at(parts):
    kept(" ".join(parts))


@pytest.mark.parametrize(
    "text", ["(x)=>", "[", "`${", "function(){return ", "a(", "/*", "//\n", "{"]
)
def test_a_text_is_looked_at_in_bounded_time(text):
    source = "function decodeUplink() { return {data: {}}; }\nvar a = "
    began = time.monotonic()
    kept(source + text * (120_000 // len(text)))
    assert time.monotonic() - began < 20  # some tenths of a second


def test_a_kept_codec_that_was_stopped_is_kept_again():
    source = (
        "const t = [1]; function decodeUplink(i) { while (i.bytes[0] === 0); return {data: t}; }"
    )
    for _ in range(3):
        assert said(source, b"\1") == {"data": [1]}
        assert said(source, b"\0")[0] == "codec_stopped"
    assert keeps(source)


def test_a_codec_that_writes_its_tables_is_run_anew_after_a_while():
    source = "const t = {n: 0}; function decodeUplink() { t.n++; return {data: {n: t.n}}; }"
    assert keeps(source)
    for _ in range(1200):
        assert said(source, b"") == {"data": {"n": 1}}
    assert not keeps(source)

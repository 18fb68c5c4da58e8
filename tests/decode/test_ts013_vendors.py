"""Codecs in the manners of the public catalogues: bundles, drivers, polyfills, older signatures."""

import time

import pytest

from gateway.decode.document import Context
from gateway.decode.ts013 import compile_ts013
from gateway.errors import DecodeError
from gateway.profiles.formats import Ts013

SETTINGS = Ts013(format="ts013", codec="acme.js")
CONTEXT = Context(
    received_at=1_780_000_000_000_000_000,
    envelope={"f_port": 7, "received_at": "2026-03-01T12:00:30.250Z"},
)
WELL = "return {data: {port: input.fPort, n: input.bytes.length}};"
DOCUMENT = {"port": 7, "n": 2}


def data(source: str, payload: bytes = b"\1\2"):
    parse = compile_ts013(SETTINGS, source)
    first = parse(payload, CONTEXT)["data"]
    assert parse(payload, CONTEXT)["data"] == first
    return first


BUNDLE = """/* acme meter 2.1 */"use strict";
function _typeof(e){return _typeof="function"==typeof Symbol?function(e){return typeof e}:
function(e){return "object"},_typeof(e)}
var driver;!function(){var e={11:function(e,t,r){var n=r(12);e.exports={read:function(e){
return{data:{port:e.fPort,n:n.count(e.bytes),kind:_typeof(e)}}}}},12:function(e){
Math.trunc=Math.trunc||function(e){return e<0?Math.ceil(e):Math.floor(e)};
e.exports={count:function(e){return Math.trunc(e.length+.5)}}},13:function(e,t,r){
var n=r(11),i="undefined"!=typeof globalThis?globalThis:this;
t.decodeUplink=function(e){return n.read(e)},i.decodeUplink=t.decodeUplink}},t={};
driver=function r(n){var i=t[n];if(void 0!==i)return i.exports;var o=t[n]={exports:{}};
return e[n].call(o.exports,o,o.exports,r),o.exports}(13)}(),
"undefined"!=typeof exports&&"undefined"!=typeof module&&(exports.driver=driver);
driver.inner=driver.decodeUplink;
function decodeUplink(input){var out=driver.inner(input);return out}
driver.decodeUplink=decodeUplink;
"""


def test_a_bundle_with_a_global_driver_and_polyfills_runs():
    assert data(BUNDLE) == {"port": 7, "n": 2, "kind": "object"}


@pytest.mark.parametrize(
    "source",
    [
        f"var driver = {{decodeUplink(input) {{ {WELL} }}}};",
        f"let driver = {{}}; driver.decodeUplink = (input) => {{ {WELL} }};",
        f"globalThis.driver = {{decodeUplink(input) {{ {WELL} }}}};",
        f"driver = {{decodeUplink(input) {{ {WELL} }}}};",
        f"exports.driver = {{decodeUplink(input) {{ {WELL} }}}};",
        f"module.exports = {{driver: {{decodeUplink(input) {{ {WELL} }}}}}};",
        "var driver = {Decode(port, bytes) { return {port: port, n: bytes.length}; }};",
        "exports.driver = {Decoder: (bytes, port) => ({port: port, n: bytes.length})};",
        (
            "class Driver { constructor() { this.extra = 0; } "
            f"decodeUplink(input) {{ input.fPort += this.extra; {WELL} }} }} "
            "var driver = new Driver();"
        ),
        (
            "(function (root, factory) { "
            "if (typeof exports === 'object' && typeof module === 'object') "
            "module.exports = factory(); else root.driver = factory(); })(this, () => { "
            f"return {{driver: {{decodeUplink: (input) => {{ {WELL} }}}}}}; }});"
        ),
        # A driver goes before what is beside it; what has no such function is none.
        (
            f"var driver = {{decodeUplink(input) {{ {WELL} }}}}; "
            "function decodeUplink() { return {data: {other: 1}}; }"
        ),
        f"var driver = {{name: 'acme'}}; function decodeUplink(input) {{ {WELL} }}",
    ],
)
def test_a_driver_is_found(source):
    assert data(source) == DOCUMENT


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("function decodeUplink(input) { return {level: -1192, battery: 3.4}; }",
         {"level": -1192, "battery": 3.4}),
        ("function decodeUplink(input) { return {a: undefined, then: 5}; }", {"then": 5}),
        ("function decodeUplink(input) { return [1, 2]; }", [1, 2]),
    ],
)  # fmt: skip
def test_a_document_may_be_returned_without_an_envelope(source, told):
    assert data(source) == told


@pytest.mark.parametrize(
    "returned", ["{}", "{warnings: []}", "{data: undefined, a: 1}", "{errors: [], a: 1}"]
)
def test_what_is_no_document_without_an_envelope_is_refused(returned):
    parse = compile_ts013(SETTINGS, f"function decodeUplink() {{ return ({returned}); }}")
    with pytest.raises(DecodeError, match=r"codec_failed: acme\.js: the codec returned no data"):
        parse(b"", CONTEXT)


def test_input_has_the_time_and_the_thing_of_thingpark():
    source = """function decodeUplink(input) {
      const same = input.time === input.recvTime, thing = typeof input.thing.key;
      input.time = "mine";
      return {data: {same, thing, keys: Object.keys(input).length, time: input.time}};
    }"""
    assert data(source) == {"same": True, "thing": "undefined", "keys": 5, "time": "mine"}


def test_context_is_a_list_that_is_empty_for_every_message():
    source = """function decodeUplink(input) {
      const n = context.length; context.push(input.bytes); return {data: {n: n}};
    }"""
    assert data(source) == {"n": 0}


MERGE = """
function decodeUplink(input) {
  return {data: Object.assign({a: [input.bytes[0]]}, {a: [input.bytes[1]]})};
}
Object.defineProperty(Object, "assign", {configurable: true, writable: true,
  value: function (to, from) {
    for (const key of Object.keys(from)) to[key] = to[key].concat(from[key]);
    return to;
  }});
"""


def test_a_codec_may_replace_a_function_of_the_engine_for_itself():
    assert data(MERGE) == {"a": [1, 2]}


@pytest.mark.parametrize(
    "source",
    [
        (
            "'use strict'; Math.trunc = Math.trunc || function () { return 9; };"
            "function decodeUplink(i) { return {data: {v: Math.trunc(1.5)}}; }"
        ),
        (
            "String.prototype.half = function () { return this.length / 2; };"
            "function decodeUplink(i) { return {data: {v: 'ab'.half()}}; }"
        ),
        (
            "if (!Array.prototype.last) Array.prototype.last = function () "
            "{ return this[this.length - 1]; };"
            "function decodeUplink(i) { return {data: {v: [3, 1].last()}}; }"
        ),
        (
            "'use strict'; const A = Array.prototype; A.last = A.last || "
            "function () { return this[1]; };"
            "function decodeUplink(i) { return {data: {v: [3, 1].last()}}; }"
        ),
        (
            "function decodeUplink(i) { Number.prototype.one = function () { return 1; };"
            "return {data: {v: (5).one()}}; }"
        ),
        (
            "'use strict'; globalThis.Buffer = class { one() { return 1; } };"
            "function decodeUplink(i) { return {data: {v: new Buffer().one()}}; }"
        ),
        (
            "const enc = (function () { function Buffer() { this.n = 1; } "
            "Buffer.prototype._write = function () { return this.n; }; return new Buffer(); })();"
            "function decodeUplink(i) { return {data: {v: enc._write()}}; }"
        ),
        (
            "Date.prototype.toJSON = function () { return 1; };"
            "function decodeUplink(i) { return {data: {v: i.recvTime}}; }"
        ),
    ],
)
def test_what_a_codec_patches_costs_no_new_engine_each_message(source):
    parse = compile_ts013(SETTINGS, source)
    began = time.monotonic()
    for _ in range(400):
        assert parse(b"\1", CONTEXT) == {"data": {"v": 1}}
    # A new engine takes some milliseconds.
    assert time.monotonic() - began < 1.0


# What tells that something was kept, and what tries to keep it.
PATCHES = {
    "on the owner": ("Object.n || 0", "Object.n = n + 1"),
    "under a symbol": ("Object[Symbol.for('n')] || 0", "Object[Symbol.for('n')] = n + 1"),
    "fixed": ("Object.n || 0", "Object.defineProperty(Object, 'n', {value: n + 1})"),
    "fixed value": (
        "typeof Object.assign === 'function' ? 0 : 1",
        "Object.defineProperty(Object, 'assign', {value: 1, writable: false, configurable: false})",
    ),
    "frozen": ("Object.isExtensible(Object)", "Object.freeze(Object)"),
    "prototype": (
        "Object.m || 0",
        "Object.setPrototypeOf(Object, {m: n + 1, __proto__: Function.prototype})",
    ),
    "deleted": ("Object.keys ? 0 : 1", "delete Object.keys; delete Object.assign"),
    "accessor": (
        "typeof Object.assign === 'function' ? 0 : 1",
        "Object.defineProperty(Object, 'assign', {get() { return 5; }, configurable: true})",
    ),
    "on another": ("Array.n || 0", "Array.n = n + 1"),
    "how lists are gone through": (
        "[...[1]].length - 1",
        "Array.prototype[Symbol.iterator] = function* () { yield 1; yield 2; }",
    ),
    "module, fixed": (
        "typeof module === 'object' ? 0 : 1",
        "Object.defineProperty(globalThis, 'module', {value: 5, configurable: false})",
    ),
    "exports, fixed": (
        "Object.keys(exports).length",
        "Object.defineProperty(globalThis, 'exports', {value: {a: 1}, configurable: false})",
    ),
    "context, as a getter": (
        "context.length",
        "Object.defineProperty(globalThis, 'context', {get: () => [1]})",
    ),
    "stackTraceLimit": ("Error.stackTraceLimit - 10", "Error.stackTraceLimit = 0"),
    "prepareStackTrace": (
        "new Error().stack === 'mine' ? 1 : 0",
        "Error.prepareStackTrace = () => 'mine'",
    ),
}


@pytest.mark.parametrize("name", PATCHES)
@pytest.mark.parametrize(
    "before", ["", MERGE.replace("decodeUplink", "other")], ids=["", "patched"]
)
def test_what_a_codec_patches_is_put_back_after_each_message(name, before):
    told, act = PATCHES[name]
    source = (
        f"{before} function decodeUplink() {{ const n = {told}; "
        f"try {{ {act}; }} catch (e) {{ }} return {{data: {{n}}}}; }}"
    )
    parse = compile_ts013(SETTINGS, source)
    assert len({parse(b"", CONTEXT)["data"]["n"] for _ in range(4)}) == 1

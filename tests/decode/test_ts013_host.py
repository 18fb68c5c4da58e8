"""What a codec is given beside the engine, Buffer and its like, against Python's own."""

import base64
import binascii
import json
import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.decode.document import Context
from gateway.decode.ts013 import compile_ts013
from gateway.errors import DecodeError
from gateway.profiles.formats import Ts013

CONTEXT = Context()
SETTINGS = Ts013(format="ts013", codec="acme.js", max_bytes=100_000)
# The payload is the arguments as JSON, so that one codec serves all cases of a property.
SOURCE = """
function decodeUplink(input) {
  const a = JSON.parse(Buffer.from(input.bytes).toString());
  try { return {data: {v: (%s)}}; }
  catch (error) { return {data: {thrown: error.name}}; }
}
"""


def function(expression: str):
    """An expression over ``a``, the arguments, as a function."""
    parse = compile_ts013(SETTINGS, SOURCE % expression)

    def call(*arguments):
        found = parse(json.dumps(arguments).encode(), CONTEXT)["data"]
        return found.get("thrown", found.get("v"))

    return call


OCTETS = st.binary(max_size=40)


# -- reading and writing numbers -------------------------------------------------------------------

TYPES = {
    "UInt8": "B", "Int8": "b", "UInt16LE": "<H", "UInt16BE": ">H", "Int16LE": "<h",
    "Int16BE": ">h", "UInt32LE": "<I", "UInt32BE": ">I", "Int32LE": "<i", "Int32BE": ">i",
    "FloatLE": "<f", "FloatBE": ">f", "DoubleLE": "<d", "DoubleBE": ">d", "Uint16LE": "<H",
    "Uint8": "B", "Uint32BE": ">I",
}  # fmt: skip


@pytest.mark.parametrize(("name", "form"), TYPES.items(), ids=TYPES)
def test_a_typed_read_is_what_struct_unpacks(name, form):
    read = function(f"Buffer.from(a[0], 'hex').read{name}(a[1])")

    @given(octets=st.binary(min_size=8, max_size=20), offset=st.integers(0, 12))
    def reads(octets, offset):
        size = struct.calcsize(form)
        got = read(octets.hex(), offset)
        if offset + size > len(octets):
            assert got == "RangeError"
            return
        (wanted,) = struct.unpack_from(form, octets, offset)
        if wanted != wanted or wanted in {float("inf"), float("-inf")}:  # noqa: PLR0124
            assert got is None
        else:
            assert float(got) == wanted

    reads()


@pytest.mark.parametrize(("name", "form"), TYPES.items(), ids=TYPES)
def test_a_typed_write_is_what_struct_packs(name, form):
    write = function(f"(b => [b.write{name}(a[0], 1), b.toString('hex')])(Buffer.alloc(10))")
    numbers = (
        st.floats(width=32 if "f" in form else 64, allow_nan=False, allow_infinity=False)
        if form[-1] in "fd"
        else st.integers(-(2**33), 2**33)
    )

    @given(number=numbers)
    def writes(number):
        got = write(number)
        try:
            packed = struct.pack(form, number)
        except struct.error:
            assert got == "RangeError"
            return
        after = 1 + len(packed)
        assert got == [after, (b"\0" + packed).ljust(10, b"\0").hex()]

    writes()


@given(octets=st.binary(min_size=6, max_size=12), offset=st.integers(0, 6), size=st.integers(1, 6))
def test_reads_of_any_size_are_pythons(octets, offset, size):
    got = any_size(octets.hex(), offset, size)
    if offset + size > len(octets):
        assert got == "RangeError"
        return
    part = octets[offset : offset + size]
    assert got == [
        int.from_bytes(part, order, signed=signed)
        for signed in (False, True)
        for order in ("little", "big")
    ]


any_size = function(
    "(b => [b.readUIntLE(a[1], a[2]), b.readUIntBE(a[1], a[2]), b.readIntLE(a[1], a[2]), "
    "b.readIntBE(a[1], a[2])])(Buffer.from(a[0], 'hex'))"
)


@given(octets=st.binary(min_size=8, max_size=8))
def test_reads_of_64_bits_are_pythons(octets):
    assert wide(octets.hex()) == [
        str(int.from_bytes(octets, order, signed=signed))
        for signed in (False, True)
        for order in ("little", "big")
    ]


wide = function(
    "(b => [b.readBigUInt64LE(), b.readBigUInt64BE(0), b.readBigInt64LE(), b.readBigInt64BE(0)]"
    ".map(String))(Buffer.from(a[0], 'hex'))"
)


# -- texts -----------------------------------------------------------------------------------------

texts = function(
    "(b => ['hex', 'base64', 'base64url', 'latin1', 'binary', 'ascii', 'utf8', undefined]"
    ".map(e => b.toString(e)))(Buffer.from(a[0], 'hex'))"
)


@given(octets=OCTETS)
def test_bytes_as_texts_are_pythons(octets):
    url = base64.urlsafe_b64encode(octets).decode().rstrip("=")
    utf8 = octets.decode("utf-8", "replace")
    latin = octets.decode("latin-1")
    ascii_ = bytes(octet & 0x7F for octet in octets).decode("ascii")
    plain = base64.b64encode(octets).decode()
    assert texts(octets.hex()) == [octets.hex(), plain, url, latin, latin, ascii_, utf8, utf8]


UNDEFINED = {b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d"}

decoder = function(
    "[new TextDecoder('utf-8', {ignoreBOM: true}).decode(new Uint8Array(Buffer.from(a[0], 'hex'))),"
    " new TextDecoder('latin1').decode(Buffer.from(a[0], 'hex'))]"
)


@given(octets=OCTETS)
def test_a_text_decoder_replaces_what_is_broken_as_python_does(octets):
    windows = "".join(
        octet.decode("cp1252" if octet not in UNDEFINED else "latin-1")
        for octet in (octets[i : i + 1] for i in range(len(octets)))
    )
    assert decoder(octets.hex()) == [octets.decode("utf-8", "replace"), windows]


fatal = function("new TextDecoder('utf-8', {fatal: true}).decode(Buffer.from(a[0], 'hex'))")


@given(octets=OCTETS)
def test_a_fatal_text_decoder_refuses_what_is_broken(octets):
    assume(not octets.startswith(b"\xef\xbb\xbf"))
    try:
        wanted = octets.decode("utf-8")
    except UnicodeDecodeError:
        wanted = "TypeError"
    assert fatal(octets.hex()) == wanted


back = function(
    "['utf8', 'latin1', 'utf16le'].map(e => Buffer.from(a[0], e).toString('hex'))"
    ".concat(Buffer.from(new TextEncoder().encode(a[0])).toString('hex'), Buffer.byteLength(a[0]))"
)


@given(text=st.text(max_size=30))
def test_texts_as_bytes_are_pythons(text):
    wide_text = text.encode("utf-16-le")
    utf8 = text.encode()
    units = bytes(wide_text[0::2])
    assert back(text) == [utf8.hex(), units.hex(), wide_text.hex(), utf8.hex(), len(utf8)]


from_base64 = function("Buffer.from(a[0], 'base64').toString('hex')")


@given(octets=OCTETS)
def test_base64_is_read_in_both_alphabets_padded_or_not(octets):
    for text in (base64.b64encode(octets), base64.urlsafe_b64encode(octets)):
        assert from_base64(text.decode()) == octets.hex()
        assert from_base64(text.decode().rstrip("=")) == octets.hex()
        assert from_base64("\n".join(text.decode())) == octets.hex()


@given(octets=OCTETS, cut=st.integers(0, 80))
def test_hexadecimal_is_read_up_to_what_is_none(octets, cut):
    text = octets.hex()
    cut = min(cut, len(text))
    assert from_hex(text[:cut] + "xy" + text[cut:]) == text[: cut // 2 * 2]


from_hex = function("Buffer.from(a[0], 'hex').toString('hex')")


@given(text=st.text(st.characters(max_codepoint=255), max_size=30))
def test_btoa_and_atob_are_base64_of_latin_1(text):
    assert there_and_back(text) == [base64.b64encode(text.encode("latin-1")).decode(), text]


there_and_back = function("[btoa(a[0]), atob(btoa(a[0]))]")


# -- the rest of Buffer ----------------------------------------------------------------------------


@given(octets=OCTETS, start=st.integers(-45, 45), end=st.integers(-45, 45))
def test_a_slice_is_a_view_of_the_same_bytes(octets, start, end):
    part = octets[slice(start, end)].hex()
    assert slices(octets.hex(), start, end) == [part, part, True, len(part) // 2]


slices = function(
    "((b, s) => [s.toString('hex'), b.subarray(a[1], a[2]).toString('hex'), Buffer.isBuffer(s), "
    "(s.fill(1), b.filter(x => x === 1).length >= s.length ? s.length : -1)])"
    "(...(b => [b, b.slice(a[1], a[2])])(Buffer.from(a[0], 'hex')))"
)


@given(octets=OCTETS, sought=st.binary(max_size=2), start=st.integers(0, 45))
def test_index_of_finds_bytes_as_python_does(octets, sought, start):
    assume(start <= len(octets))
    at = octets.find(sought, start)
    assert finds(octets.hex(), sought.hex(), start) == [at, at >= 0]


finds = function(
    "(b => [b.indexOf(Buffer.from(a[1], 'hex'), a[2]), b.includes(Buffer.from(a[1], 'hex'), a[2])])"
    "(Buffer.from(a[0], 'hex'))"
)


@given(parts=st.lists(st.binary(max_size=8), max_size=6))
def test_concat_joins(parts):
    assert joined([part.hex() for part in parts]) == b"".join(parts).hex()


joined = function("Buffer.concat(a[0].map(h => Buffer.from(h, 'hex'))).toString('hex')")


@given(one=st.binary(max_size=4), other=st.binary(max_size=4))
def test_buffers_compare_as_bytes_do(one, other):
    order = (one > other) - (one < other)
    assert ordered(one.hex(), other.hex()) == [order, order == 0]


ordered = function(
    "((x, y) => [Buffer.compare(x, y), x.equals(y)])(...a.map(h => Buffer.from(h, 'hex')))"
)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("new Buffer([1, 2]).toString('hex')", "0102"),
        ("Buffer('ff', 'hex')[0]", 255),
        ("new Buffer(3).length", 3),
        ("Buffer.from(Buffer.from([1])).toJSON()", {"type": "Buffer", "data": [1]}),
        ("Buffer.from({type: 'Buffer', data: [4]})[0]", 4),
        ("Buffer.from(new Uint8Array([1, 2, 3]).buffer, 1, 1)[0]", 2),
        ("Buffer.from([256, -1, 1.9])", {"type": "Buffer", "data": [0, 255, 1]}),
        ("Buffer.from(new String('a'))[0]", 97),
        ("Buffer.from(5)", "TypeError"),
        ("Buffer.from(null)", "TypeError"),
        ("Buffer.from('a', 'rot13')", "TypeError"),
        ("Buffer.alloc(4, 'ab').toString()", "abab"),
        ("Buffer.alloc(2, 0x1ff)[1]", 255),
        ("Buffer.allocUnsafe(2).length", 2),
        ("Buffer.isBuffer(new Uint8Array(1))", False),
        ("Buffer.isEncoding('HEX')", True),
        ("Buffer.isEncoding('rot13')", False),
        ("Buffer.from([1, 2]).map(x => x * 2) instanceof Buffer", True),
        ("Array.from(Buffer.from([1, 2]))", [1, 2]),
        ("[...Buffer.from([1, 2]).entries()]", [[0, 1], [1, 2]]),
        ("Buffer.from([1, 2, 3]).reverse().toString('hex')", "030201"),
        ("Buffer.from([1, 2, 3, 4]).swap16().toString('hex')", "02010403"),
        ("Buffer.from([1, 2, 3, 4]).swap32().toString('hex')", "04030201"),
        ("Buffer.from([1]).swap16()", "RangeError"),
        ("(t => [Buffer.from([1, 2]).copy(t, 1), t.toString('hex')])(Buffer.alloc(4))",
         [2, "00010200"]),
        ("(b => [b.write('ab', 1), b.toString('hex')])(Buffer.alloc(4))", [2, "00616200"]),
        ("(b => [b.write('0102', 'hex'), b.toString('hex')])(Buffer.alloc(3))", [2, "010200"]),
        ("Buffer.from('abc').toString('utf8', 1, 2)", "b"),
        ("'' + Buffer.from('abc')", "abc"),
        ("Buffer.from([1, 2]).readUInt8(2)", "RangeError"),
        ("Buffer.from([1, 2]).readUInt8(-1)", "RangeError"),
        ("Buffer.from([1, 2]).readUInt8(0.5)", "RangeError"),
        ("Buffer.from([1, 2]).readUIntBE(0, 7)", "RangeError"),
        ("new Uint8Array(Buffer.from([5]))[0]", 5),
        ("typeof Buffer.from([5]).buffer", "object"),
        ("new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 65]))", "A"),
        ("new TextDecoder().decode(new Uint8Array([65, 66]).buffer)", "AB"),
        ("new TextDecoder('utf-16le').decode(new Uint8Array([65, 0, 0x3d, 0xd8, 0, 0xde]))", "A😀"),
        ("new TextDecoder().decode(new DataView(new Uint8Array([65, 66]).buffer, 1))", "B"),
        ("new TextDecoder().decode()", ""),
        ("new TextDecoder('koi8-r')", "RangeError"),
        ("new TextDecoder('UTF8').encoding", "utf-8"),
        ("new TextEncoder().encodeInto('aé', new Uint8Array(9)).written", 3),
        ("require('buffer').Buffer === Buffer", True),
        ("require('node:util').TextDecoder === TextDecoder", True),
        ("typeof require('crypto').createHash", "undefined"),
        ("require('./other')", "Error"),
    ],
)  # fmt: skip
def test_a_buffer_behaves_as_in_node(expression, told):
    assert function(expression)() == told


# -- the engine's own functions, which are watched -------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("[3, 1, 2].sort()", [1, 2, 3]),
        ("[3, 1, 10].sort((x, y) => y - x)", [10, 3, 1]),
        ("[1, 2, 3, 4].splice(1)", [2, 3, 4]),
        ("[1, 2, 3].splice(1, undefined)", []),
        ("[1, 2, 3].splice()", []),
        ("[1, 2, 1].lastIndexOf(1)", 2),
        ("[1, 2, 1].lastIndexOf(1, undefined)", 0),
        ("[1, 2].concat(3, [4, [5]])", [1, 2, 3, 4, [5]]),
        ("[[1, [2]], 3].flat()", [1, [2], 3]),
        ("[[1, [2]], 3].flat(Infinity)", [1, 2, 3]),
        ("[1, 2].join()", "1,2"),
        ("[1, null, undefined].join('-')", "1--"),
        ("[1, 2].unshift(0, 5)", 4),
        ("[1, 2, 3].slice(-2)", [2, 3]),
        ("Array.prototype.slice.call('abc', 1)", ["b", "c"]),
        ("Array.prototype.slice.call({0: 1, length: 1})", [1]),
        ("new Array(3).fill(7)", [7, 7, 7]),
        ("String([1, [2, 3]])", "1,2,3"),
        ("'a-b-c'.split('-')", ["a", "b", "c"]),
        ("'a-b-c'.split('-', 2)", ["a", "b"]),
        ("'abc'.split()", ["abc"]),
        ("'a1b22'.split(/\\d+/)", ["a", "b", ""]),
        ("'aa'.replace('a', (m) => m + '!')", "a!a"),
        ("'aa'.replaceAll('a', '$&$&')", "aaaa"),
        ("'a'.replace('a')", "undefined"),
        ("'abcabc'.lastIndexOf('b')", 4),
        ("'abc'.includes('c')", True),
        ("Array.from('ab', (s, i) => s + i)", ["a0", "b1"]),
        ("Array.from({length: 2})", [None, None]),
        ("Object.entries({a: 1})", [["a", 1]]),
        ("Object.keys([7, 8])", ["0", "1"]),
        ("JSON.stringify({b: [1.5], a: undefined}, null, 1)", '{\n "b": [\n  1.5\n ]\n}'),
        ("JSON.stringify(undefined)", None),
        ("JSON.stringify({a: 1, b: 2}, ['b'])", '{"b":2}'),
        ("JSON.parse('[1]', (k, v) => v === 1 ? 2 : v)", [2]),
        ("String.raw`\\n${1}`", "\\n1"),
        ("[].slice.length + [].concat.length + [].splice.length", 5),
        ("[].slice.name + JSON.stringify.name", "slicestringify"),
        ("new Uint8Array([3, 1, 2]).sort().join()", "1,2,3"),
        ("encodeURIComponent('é/')", "%C3%A9%2F"),
        ("escape('é')", "%E9"),
    ],
)  # fmt: skip
def test_a_watched_function_does_what_it_did(expression, told):
    assert function(expression)() == told


def test_long_lists_and_texts_are_worked_on_as_ever():
    assert function("Array.from({length: 20000}, (_, i) => i).reverse().slice(0, 2)")() == [
        19999, 19998,
    ]  # fmt: skip
    assert function("'ab'.repeat(20000).split('b').length")() == 20001
    assert function("'ab'.repeat(2000).replaceAll('ab', 'c').length")() == 2000
    assert function("JSON.parse(JSON.stringify(new Array(5000).fill(1))).length")() == 5000


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"null"])
def test_what_is_no_json_is_an_exception(payload):
    parse = compile_ts013(SETTINGS, SOURCE % "1")
    if payload == b"null":
        assert parse(payload, CONTEXT) == {"data": {"v": 1}}
        return
    with pytest.raises(DecodeError, match=r"codec_failed: acme\.js:3:\d+: SyntaxError"):
        parse(payload, CONTEXT)


def test_hexadecimal_of_python_and_of_node_are_the_same_letters():
    assert function("Buffer.from([171]).toString('hex')")() == binascii.hexlify(b"\xab").decode()

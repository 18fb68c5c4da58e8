// What Node.js and browsers have for bytes and texts, for codecs in QuickJS: Buffer, TextDecoder and
// TextEncoder, after the documentation of Node.js and the Encoding Standard.
//
// One expression: a function of `items` (see ts013_bounds.js) that gives the three.
(function (bounds) {
  "use strict";

  const {items} = bounds;
  const {create} = Object;
  const {defineProperty, ownKeys, setPrototypeOf} = Reflect;
  const {floor, min, trunc} = Math;
  const {isArray} = Array;
  const {fromCharCode} = String;

  function hidden(object, name, value) {
    defineProperty(object, name, {value, writable: true, enumerable: false, configurable: true});
  }

  // -- bytes ------------------------------------------------------------------------------------

  const HEX = [];
  for (let i = 0; i < 256; i++) HEX.push((i < 16 ? "0" : "") + i.toString(16));
  const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  function utf8(text) {
    const bytes = [];
    for (const sign of text) {
      let code = sign.codePointAt(0);
      if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
      if (code < 0x80) bytes.push(code);
      else if (code < 0x800) bytes.push(0xc0 | code >> 6, 0x80 | code & 63);
      else if (code < 0x10000) {
        bytes.push(0xe0 | code >> 12, 0x80 | code >> 6 & 63, 0x80 | code & 63);
      } else {
        bytes.push(0xf0 | code >> 18, 0x80 | code >> 12 & 63, 0x80 | code >> 6 & 63,
          0x80 | code & 63);
      }
    }
    return bytes;
  }

  // The Encoding Standard's decoder: a maximal part of a broken sequence becomes one U+FFFD.
  function fromUtf8(bytes, fatal) {
    let text = "", need = 0, code = 0, low = 0x80, high = 0xbf;
    const broken = () => {
      if (fatal) throw new TypeError("The encoded data was not valid for encoding utf-8");
      text += "\ufffd";
    };
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i];
      if (need > 0) {
        if (byte >= low && byte <= high) {
          low = 0x80;
          high = 0xbf;
          code = code << 6 | byte & 63;
          if (--need === 0) text += String.fromCodePoint(code);
          continue;
        }
        need = 0;
        low = 0x80;
        high = 0xbf;
        broken();
      }
      if (byte < 0x80) text += fromCharCode(byte);
      else if (byte >= 0xc2 && byte <= 0xdf) { need = 1; code = byte & 31; }
      else if (byte >= 0xe0 && byte <= 0xef) {
        if (byte === 0xe0) low = 0xa0;
        if (byte === 0xed) high = 0x9f;
        need = 2;
        code = byte & 15;
      } else if (byte >= 0xf0 && byte <= 0xf4) {
        if (byte === 0xf0) low = 0x90;
        if (byte === 0xf4) high = 0x8f;
        need = 3;
        code = byte & 7;
      } else broken();
    }
    if (need > 0) broken();
    return text;
  }

  function fromUtf16(bytes) {
    let text = "";
    for (let i = 0; i + 1 < bytes.length; i += 2) {
      text += fromCharCode(bytes[i] | bytes[i + 1] << 8);
    }
    return text;
  }

  function fromLatin1(bytes, mask) {
    let text = "";
    for (let i = 0; i < bytes.length; i++) text += fromCharCode(bytes[i] & mask);
    return text;
  }

  // Windows-1252 is Latin-1 but for these, at 0x80 and after.
  const HIGH = "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d"
    + "\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d"
    + "\u017e\u0178";

  function fromWindows1252(bytes) {
    let text = "";
    for (let i = 0; i < bytes.length; i++) {
      text += bytes[i] >= 0x80 && bytes[i] < 0xa0 ? HIGH[bytes[i] - 0x80] : fromCharCode(bytes[i]);
    }
    return text;
  }

  function toHex(bytes) {
    let text = "";
    for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i]];
    return text;
  }

  function toBase64(bytes, url) {
    let text = "";
    for (let i = 0; i < bytes.length; i += 3) {
      const left = bytes.length - i;
      const word = bytes[i] << 16 | (left > 1 ? bytes[i + 1] << 8 : 0) | (left > 2 ? bytes[i + 2] : 0);
      text += BASE64[word >> 18] + BASE64[word >> 12 & 63];
      text += left > 1 ? BASE64[word >> 6 & 63] : url ? "" : "=";
      text += left > 2 ? BASE64[word & 63] : url ? "" : "=";
    }
    return url ? text.replaceAll("+", "-").replaceAll("/", "_") : text;
  }

  function encoding(name) {
    const word = name === undefined ? "utf8" : String(name).toLowerCase();
    switch (word) {
      case "utf8": case "utf-8": return "utf8";
      case "hex": case "base64": case "base64url": case "ascii": return word;
      case "latin1": case "binary": return "latin1";
      case "ucs2": case "ucs-2": case "utf16le": case "utf-16le": return "utf16le";
      default: throw new TypeError("Unknown encoding: " + name);
    }
  }

  function encoded(text, name) {
    const bytes = [];
    switch (encoding(name)) {
      case "utf8": return utf8(text);
      case "hex":
        for (let i = 0; i + 1 < text.length; i += 2) {
          const pair = text.slice(i, i + 2);
          if (!/^[0-9a-f]{2}$/i.test(pair)) break;
          bytes.push(parseInt(pair, 16));
        }
        return bytes;
      case "base64": case "base64url": {
        let word = 0, bits = 0;
        for (const sign of text) {
          if (sign === "=") break;
          const value = BASE64.indexOf(sign === "-" ? "+" : sign === "_" ? "/" : sign);
          if (value < 0) continue;
          word = (word << 6 | value) & 0xffffff;
          bits += 6;
          if (bits >= 8) {
            bits -= 8;
            bytes.push(word >> bits & 255);
          }
        }
        return bytes;
      }
      case "utf16le":
        for (let i = 0; i < text.length; i++) {
          bytes.push(text.charCodeAt(i) & 255, text.charCodeAt(i) >> 8);
        }
        return bytes;
      default:
        for (let i = 0; i < text.length; i++) bytes.push(text.charCodeAt(i) & 255);
        return bytes;
    }
  }

  function decoded(bytes, name) {
    switch (encoding(name)) {
      case "hex": return toHex(bytes);
      case "base64": return toBase64(bytes, false);
      case "base64url": return toBase64(bytes, true);
      case "ascii": return fromLatin1(bytes, 0x7f);
      case "latin1": return fromLatin1(bytes, 0xff);
      case "utf16le": return fromUtf16(bytes);
      default: return fromUtf8(bytes, false);
    }
  }

  // -- Buffer, as Node.js has it ----------------------------------------------------------------

  function asBuffer(array) {
    setPrototypeOf(array, Buffer.prototype);
    return array;
  }

  // A function and no class: codecs call it with and without `new`.
  function Buffer(value, second, third) {
    if (typeof value === "number") return Buffer.alloc(value);
    return Buffer.from(value, second, third);
  }
  setPrototypeOf(Buffer, Uint8Array);
  Buffer.prototype = create(Uint8Array.prototype);
  hidden(Buffer.prototype, "constructor", Buffer);

  const statics = {
    from(value, second, third) {
      if (typeof value === "string") return asBuffer(new Uint8Array(encoded(value, second)));
      if (value instanceof ArrayBuffer) return asBuffer(new Uint8Array(value, second, third));
      if (value !== null && typeof value === "object") {
        if (value instanceof String) return Buffer.from(String(value), second);
        if (value.type === "Buffer" && isArray(value.data)) value = value.data;
        if (isArray(value) || typeof value.length === "number") {
          items(value);
          return asBuffer(new Uint8Array(value));
        }
        const plain = typeof value.valueOf === "function" ? value.valueOf() : value;
        if (plain !== value && plain !== null) return Buffer.from(plain, second, third);
      }
      throw new TypeError("Buffer.from takes a text, an array, a buffer; got " + typeof value);
    },
    alloc(size, fill, name) {
      const made = asBuffer(new Uint8Array(size));
      return fill === undefined ? made : made.fill(fill, 0, size, name);
    },
    allocUnsafe(size) { return asBuffer(new Uint8Array(size)); },
    isBuffer(value) { return value instanceof Buffer; },
    isEncoding(name) {
      try {
        encoding(name);
      } catch {
        return false;
      }
      return typeof name === "string";
    },
    byteLength(value, name) {
      return typeof value === "string" ? encoded(value, name).length : value.byteLength;
    },
    concat(list, total) {
      const length = total === undefined ? list.reduce((sum, each) => sum + each.length, 0) : total;
      const made = Buffer.alloc(length);
      let at = 0;
      for (const each of list) {
        if (at >= length) break;
        made.set(each.subarray(0, length - at), at);
        at += each.length;
      }
      return made;
    },
    compare(a, b) {
      for (let i = 0; i < min(a.length, b.length); i++) {
        if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
      }
      return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
    },
  };
  for (const name of ownKeys(statics)) hidden(Buffer, name, statics[name]);

  function beyond(name, low, high, got) {
    const error = new RangeError(
      `The value of "${name}" is out of range. It must be >= ${low} and <= ${high}. Received ${got}`);
    error.code = "ERR_OUT_OF_RANGE";
    return error;
  }

  function place(bytes, offset, size) {
    if (offset === undefined) offset = 0;
    const last = bytes.length - size;
    if (last < 0) {
      const error = new RangeError("Attempt to access memory outside buffer bounds");
      error.code = "ERR_BUFFER_OUT_OF_BOUNDS";
      throw error;
    }
    if (!(offset >= 0 && offset <= last) || offset !== floor(offset)) {
      throw beyond("offset", 0, last, offset);
    }
    return offset;
  }

  function readUnsigned(bytes, offset, size, little) {
    if (!(size >= 1 && size <= 6)) throw beyond("byteLength", 1, 6, size);
    const at = place(bytes, offset, size);
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + bytes[little ? at + size - 1 - i : at + i];
    return value;
  }

  function readSigned(bytes, offset, size, little) {
    const value = readUnsigned(bytes, offset, size, little);
    const half = 2 ** (8 * size - 1);
    return value < half ? value : value - 2 * half;
  }

  function write(bytes, value, offset, size, little, signed) {
    if (!(size >= 1 && size <= 6)) throw beyond("byteLength", 1, 6, size);
    value = +value;
    const whole = 2 ** (8 * size);
    const low = signed ? -whole / 2 : 0;
    const high = signed ? whole / 2 - 1 : whole - 1;
    if (value < low || value > high) throw beyond("value", low, high, value);
    const at = place(bytes, offset, size);
    let rest = trunc(value) || 0;
    if (rest < 0) rest += whole;
    for (let i = 0; i < size; i++) {
      bytes[little ? at + i : at + size - 1 - i] = rest % 256;
      rest = floor(rest / 256);
    }
    return at + size;
  }

  function view(bytes, offset, size) {
    return new DataView(bytes.buffer, bytes.byteOffset + place(bytes, offset, size), size);
  }

  const methods = {
    toString(name, start, end) {
      const from = start === undefined ? 0 : start, to = end === undefined ? this.length : end;
      return decoded(from === 0 && to === this.length ? this : this.subarray(from, to), name);
    },
    toLocaleString(name, start, end) { return this.toString(name, start, end); },
    toJSON() { return {type: "Buffer", data: Array.from(this)}; },
    equals(other) { return Buffer.compare(this, other) === 0; },
    compare(other) { return Buffer.compare(this, other); },
    slice(start, end) { return this.subarray(start, end); },
    copy(target, at = 0, start = 0, end = this.length) {
      const part = this.subarray(start, min(end, start + target.length - at));
      target.set(part, at);
      return part.length;
    },
    fill(value, start = 0, end = this.length, name = undefined) {
      if (typeof start === "string") [start, end, name] = [0, this.length, start];
      const pattern = typeof value === "string" ? encoded(value, name)
        : typeof value === "number" ? [value & 255] : value;
      for (let i = start; i < end; i++) this[i] = pattern.length ? pattern[(i - start) % pattern.length] : 0;
      return this;
    },
    write(text, offset = 0, length = undefined, name = undefined) {
      if (typeof offset === "string") [offset, name] = [0, offset];
      if (typeof length === "string") [length, name] = [undefined, length];
      const bytes = encoded(text, name).slice(0, min(this.length - offset, length ?? this.length));
      this.set(bytes, offset);
      return bytes.length;
    },
    indexOf(value, start = 0, name = undefined) {
      const sought = typeof value === "string" ? encoded(value, name)
        : typeof value === "number" ? [value & 255] : value;
      const first = start < 0 ? Math.max(0, this.length + start) : start;
      for (let i = first; i + sought.length <= this.length; i++) {
        let same = 0;
        while (same < sought.length && this[i + same] === sought[same]) same++;
        if (same === sought.length) return i;
      }
      return -1;
    },
    includes(value, start, name) { return this.indexOf(value, start, name) >= 0; },
    readUInt8(offset) { return this[place(this, offset, 1)]; },
    readInt8(offset) { return this[place(this, offset, 1)] << 24 >> 24; },
    writeUInt8(value, offset) { return write(this, value, offset, 1, true, false); },
    writeInt8(value, offset) { return write(this, value, offset, 1, true, true); },
  };
  for (const [suffix, little] of [["LE", true], ["BE", false]]) {
    const made = {
      ["readUInt" + suffix](offset, size) { return readUnsigned(this, offset, size, little); },
      ["readInt" + suffix](offset, size) { return readSigned(this, offset, size, little); },
      ["writeUInt" + suffix](value, offset, size) {
        return write(this, value, offset, size, little, false);
      },
      ["writeInt" + suffix](value, offset, size) {
        return write(this, value, offset, size, little, true);
      },
      ["readFloat" + suffix](offset) { return view(this, offset, 4).getFloat32(0, little); },
      ["readDouble" + suffix](offset) { return view(this, offset, 8).getFloat64(0, little); },
      ["readBigUInt64" + suffix](offset) { return view(this, offset, 8).getBigUint64(0, little); },
      ["readBigInt64" + suffix](offset) { return view(this, offset, 8).getBigInt64(0, little); },
      ["writeFloat" + suffix](value, offset = 0) {
        view(this, offset, 4).setFloat32(0, value, little);
        return offset + 4;
      },
      ["writeDouble" + suffix](value, offset = 0) {
        view(this, offset, 8).setFloat64(0, value, little);
        return offset + 8;
      },
      ["writeBigUInt64" + suffix](value, offset = 0) {
        view(this, offset, 8).setBigUint64(0, value, little);
        return offset + 8;
      },
      ["writeBigInt64" + suffix](value, offset = 0) {
        view(this, offset, 8).setBigInt64(0, value, little);
        return offset + 8;
      },
    };
    for (const size of [2, 4]) {
      const name = 8 * size + suffix;
      made["readUInt" + name] = function (offset) { return readUnsigned(this, offset, size, little); };
      made["readInt" + name] = function (offset) { return readSigned(this, offset, size, little); };
      made["writeUInt" + name] = function (value, offset) {
        return write(this, value, offset, size, little, false);
      };
      made["writeInt" + name] = function (value, offset) {
        return write(this, value, offset, size, little, true);
      };
    }
    Object.assign(methods, made);
  }
  for (const [size, name] of [[2, "swap16"], [4, "swap32"], [8, "swap64"]]) {
    methods[name] = function () {
      if (this.length % size) throw new RangeError(`Buffer size must be a multiple of ${8 * size}-bits`);
      for (let i = 0; i < this.length; i += size) this.subarray(i, i + size).reverse();
      return this;
    };
  }
  for (const name of ownKeys(methods)) {
    hidden(Buffer.prototype, name, methods[name]);
    if (name.includes("UInt")) hidden(Buffer.prototype, name.replace("UInt", "Uint"), methods[name]);
  }

  // -- texts ------------------------------------------------------------------------------------

  function bytesOf(source) {
    if (source === undefined) return new Uint8Array(0);
    if (source instanceof ArrayBuffer) return new Uint8Array(source);
    if (ArrayBuffer.isView(source)) {
      return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    }
    if (isArray(source)) return new Uint8Array(source);
    throw new TypeError("TextDecoder.decode takes an ArrayBuffer or a view of one");
  }

  class TextDecoder {
    constructor(label = "utf-8", options = {}) {
      const word = String(label).trim().toLowerCase();
      const known = {
        "utf-8": "utf-8", utf8: "utf-8", "unicode-1-1-utf-8": "utf-8", "utf-16le": "utf-16le",
        "utf-16": "utf-16le", ascii: "windows-1252", "us-ascii": "windows-1252",
        latin1: "windows-1252", "iso-8859-1": "windows-1252", "windows-1252": "windows-1252",
      }[word];
      if (known === undefined) {
        throw new RangeError(`The "${label}" encoding is not supported`);
      }
      this.encoding = known;
      this.fatal = !!options.fatal;
      this.ignoreBOM = !!options.ignoreBOM;
    }

    decode(source) {
      const bytes = bytesOf(source);
      if (this.encoding === "windows-1252") return fromWindows1252(bytes);
      const text = this.encoding === "utf-8" ? fromUtf8(bytes, this.fatal) : fromUtf16(bytes);
      return !this.ignoreBOM && text[0] === "\ufeff" ? text.slice(1) : text;
    }
  }

  class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return new Uint8Array(utf8(String(text))); }
    encodeInto(text, target) {
      const bytes = utf8(String(text)).slice(0, target.length);
      target.set(bytes);
      return {read: text.length, written: bytes.length};
    }
  }

  return {Buffer, TextDecoder, TextEncoder};
})

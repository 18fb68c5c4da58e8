// Bounds of what the engine does in one go, for codecs in QuickJS.
//
// The engine looks at the clock once in 10,000 calls and jumps backwards of JavaScript, so that a
// loop of long steps of its own could go on for hours, and one step over a list of 2^53 items, too.
// A long step is therefore paid for by as many short ones, and a list has a bound.
//
// One expression: a function that puts this around the engine's own functions, and gives `items` (pays
// for a list) and the engine's own `stringify`.
(function () {
  "use strict";

  const {apply, defineProperty, getPrototypeOf} = Reflect;
  const {isArray} = Array;
  const SHORT = 256;
  const MOST = 1000000;

  function tick(steps) {
    for (let left = steps / 16; left > 0; left--);
  }

  function put(owner, name, value, length) {
    defineProperty(value, "length", {value: length, configurable: true});
    defineProperty(owner, name, {value, writable: true, enumerable: false, configurable: true});
  }

  // Puts a function around `owner[name]` that pays for the steps that `work` says, before the call.
  // One with a fixed number of arguments costs next to nothing; -1: any number.
  function watch(owner, name, arity, work) {
    const native = owner[name];
    let watched;
    switch (arity) {
      case 0: watched = {[name]() { work(this); return native.call(this); }}; break;
      case 1: watched = {[name](a) { work(this, a); return native.call(this, a); }}; break;
      case 2: watched = {[name](a, b) { work(this, a); return native.call(this, a, b); }}; break;
      case 3: watched = {[name](a, b, c) { work(this, a); return native.call(this, a, b, c); }}; break;
      default: watched = {[name](...more) { work(this, more); return apply(native, this, more); }};
    }
    put(owner, name, watched[name], native.length);
  }

  function items(list) {
    const length = list === null || list === undefined ? 0 : list.length;
    if (length > SHORT) {
      if (length > MOST) throw new RangeError(`a list of more than ${MOST} items`);
      tick(length);
    }
  }

  for (const [arity, names] of [
    [0, ["reverse", "shift", "toLocaleString", "toReversed"]],
    [1, ["join"]],
    [2, ["includes", "indexOf", "slice", "with"]],
    [3, ["copyWithin", "fill"]],
    [-1, ["lastIndexOf", "splice", "toSpliced", "unshift"]],
  ]) for (const name of names) watch(Array.prototype, name, arity, items);
  watch(Array.prototype, "concat", -1, (list, more) => {
    items(list);
    for (let i = 0; i < more.length; i++) if (isArray(more[i])) items(more[i]);
  });
  watch(Array.prototype, "flat", 1, (list) => {
    items(list);
    for (let i = 0; i < list.length; i++) if (isArray(list[i])) items(list[i]);
  });

  // Steps that grow faster than the list or the text.
  const typed = getPrototypeOf(Uint8Array).prototype;
  for (const owner of [Array.prototype, typed]) {
    for (const name of ["sort", "toSorted"]) {
      watch(owner, name, 1, (list) => {
        items(list);
        if (list.length > SHORT) tick(16 * list.length);
      });
    }
  }
  for (const name of ["includes", "indexOf", "lastIndexOf", "replace", "replaceAll", "split"]) {
    watch(String.prototype, name, 2, (text, sought) => {
      if (typeof text === "string" && text.length > SHORT) {
        tick(typeof sought === "string" ? text.length * (1 + sought.length / 8) : text.length);
      }
    });
  }
  watch(String, "raw", -1, (_, words) => items(words[0] && words[0].raw));
  watch(JSON, "parse", 2, (_, text) => {
    if (typeof text === "string" && text.length > SHORT) tick(text.length);
  });

  for (const name of ["atob", "btoa", "decodeURI", "decodeURIComponent", "encodeURI",
    "encodeURIComponent", "escape", "unescape"]) {
    watch(globalThis, name, 1, (_, text) => {
      if (typeof text === "string" && text.length > SHORT) tick(text.length);
    });
  }

  // Steps that a new list or text is made in: paid for when it is there.
  const {from} = Array;
  put(Array, "from", {
    from(source, change, that) {
      const made = from.call(this, source, change, that);
      if (made.length > SHORT) tick(4 * made.length);
      return made;
    },
  }.from, from.length);
  for (const name of ["entries", "getOwnPropertyNames", "keys", "values"]) {
    const native = Object[name];
    put(Object, name, {
      [name](object) {
        const made = native(object);
        if (made.length > SHORT) tick(8 * made.length);
        return made;
      },
    }[name], 1);
  }
  const {stringify} = JSON;
  put(JSON, "stringify", {
    stringify(value, replacer, space) {
      const text = stringify(value, replacer, space);
      if (text !== undefined && text.length > SHORT) tick(text.length);
      return text;
    },
  }.stringify, 3);

  return {items, stringify};
})

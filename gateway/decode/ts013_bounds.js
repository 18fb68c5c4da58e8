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

  // Puts a function around a method of lists or texts that pays for the steps that `work` says where
  // the list or text is long.  One with a fixed number of arguments costs next to nothing; -1: any.
  function watch(owner, name, arity, work) {
    const native = owner[name];
    let watched;
    switch (arity) {
      case 0: watched = {[name]() {
        if (this.length > SHORT) work(this);
        return native.call(this);
      }}; break;
      case 1: watched = {[name](a) {
        if (this.length > SHORT) work(this, a);
        return native.call(this, a);
      }}; break;
      case 2: watched = {[name](a, b) {
        if (this.length > SHORT) work(this, a);
        return native.call(this, a, b);
      }}; break;
      case 3: watched = {[name](a, b, c) {
        if (this.length > SHORT) work(this, a);
        return native.call(this, a, b, c);
      }}; break;
      default: watched = {[name](...more) {
        if (this.length > SHORT) work(this, more);
        return apply(native, this, more);
      }};
    }
    put(owner, name, watched[name], native.length);
  }

  // The same where it is the arguments that tell how long it takes.
  function watchArguments(owner, name, work) {
    const native = owner[name];
    put(owner, name, {[name](...more) {
      work(...more);
      return apply(native, this, more);
    }}[name], native.length);
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
  const {concat, flat} = Array.prototype;
  put(Array.prototype, "concat", {
    concat(other, ...more) {
      items(this);
      if (isArray(other)) items(other);
      if (more.length === 0 && other !== undefined) return concat.call(this, other);
      for (let i = 0; i < more.length; i++) if (isArray(more[i])) items(more[i]);
      return apply(concat, this, arguments);
    },
  }.concat, 1);
  put(Array.prototype, "flat", {
    flat(depth) {
      items(this);
      for (let i = 0; i < this.length; i++) if (isArray(this[i])) items(this[i]);
      return flat.call(this, depth);
    },
  }.flat, 0);

  // Steps that grow faster than the list or the text.
  const typed = getPrototypeOf(Uint8Array).prototype;
  for (const owner of [Array.prototype, typed]) {
    for (const name of ["sort", "toSorted"]) {
      watch(owner, name, 1, (list) => {
        items(list);
        tick(16 * list.length);
      });
    }
  }
  for (const name of ["includes", "indexOf", "lastIndexOf", "replace", "replaceAll", "split"]) {
    watch(String.prototype, name, 2, (text, sought) => {
      if (typeof text === "string") {
        tick(typeof sought === "string" ? text.length * (1 + sought.length / 8) : text.length);
      }
    });
  }
  watchArguments(String, "raw", (words) => items(words && words.raw));
  watchArguments(JSON, "parse", (text) => {
    if (typeof text === "string" && text.length > SHORT) tick(text.length);
  });

  for (const name of ["atob", "btoa", "decodeURI", "decodeURIComponent", "encodeURI",
    "encodeURIComponent", "escape", "unescape"]) {
    watchArguments(globalThis, name, (text) => {
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

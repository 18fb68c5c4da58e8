// What a vendor's codec finds around it in QuickJS: no host, no clock, no memory of its own.
//
// Each message gets the codec's file run anew, or one that cannot change, in surroundings that it
// cannot alter, so that what comes out of a message depends on nothing but the codec and the message.
//
// One expression: a function of what ts013_bounds.js, ts013_buffer.js and ts013_closed.js give and of
// limits, which gives one that calls `prepare` or `keep` by name.  It must run before any code of a
// vendor: it keeps the engine's own functions.
(function (bounds, bytes, closed, mostWords, mostSigns) {
  "use strict";

  const {stringify} = bounds;
  const {Buffer, TextDecoder, TextEncoder} = bytes;
  const G = globalThis;
  const {apply, construct, defineProperty, deleteProperty, getOwnPropertyDescriptor,
    getPrototypeOf, isExtensible, ownKeys, setPrototypeOf} = Reflect;
  const {create, hasOwn} = Object;
  const {isArray} = Array;
  const {parse} = JSON;
  const Failure = Error, Mistyped = TypeError, Unknown = ReferenceError;
  const toText = Function.prototype.toString;
  const NativeDate = Date;

  function hidden(object, name, value) {
    defineProperty(object, name, {value, writable: true, enumerable: false, configurable: true});
  }

  // -- console, require, eval -------------------------------------------------------------------

  const console = {};
  for (const name of ["assert", "count", "debug", "dir", "error", "group", "groupCollapsed",
    "groupEnd", "info", "log", "table", "time", "timeEnd", "timeLog", "trace", "warn"]) {
    console[name] = {[name]() {}}[name];
  }

  const modules = {
    buffer: {Buffer},
    util: {TextDecoder, TextEncoder},
    // Named at the head of files that also run elsewhere; nothing of the host is in them.
    assert: {}, crypto: {}, fs: {}, os: {}, path: {}, process: {}, stream: {}, url: {},
  };

  function require(name) {
    const bare = String(name).replace(/^node:/, "");
    if (!hasOwn(modules, bare)) {
      throw new Failure(`Cannot find module '${name}': a codec is one file, without a host`);
    }
    return modules[bare];
  }

  function evaluate(text) {
    if (typeof text !== "string") return text;
    let made;
    try {
      made = Function("return (" + text + "\n)");
    } catch {
      made = Function(text);
    }
    return made();
  }

  // -- clock, time zone, chance -----------------------------------------------------------------

  let now = 0;
  let seed = 1;
  let asked = false;
  const zoned = /(?:Z|[+-]\d\d:?\d\d|GMT|UTC)(?:\s*\([^)]*\))?\s*$/i;
  const isoDate = /^\s*[+-]?\d{4,6}(?:-\d\d){0,2}\s*$/;
  const isoTime = /^\s*[+-]?\d{4,6}-\d\d-\d\dT[\d:.,]+\s*$/;

  // A time without a zone is UTC's here, whatever the zone of the machine.
  function parsed(text) {
    if (text.endsWith("Z") || isoDate.test(text) || zoned.test(text)) return NativeDate.parse(text);
    return NativeDate.parse(text.trim() + (isoTime.test(text) ? "Z" : " UTC"));
  }

  function moment(value) {
    const plain = value instanceof NativeDate ? value.getTime()
      : value !== null && typeof value === "object"
        ? value[Symbol.toPrimitive]?.("default") ?? value.valueOf()
      : value;
    return typeof plain === "string" ? parsed(plain) : Number(plain);
  }

  function PinnedDate(first, ...more) {
    if (new.target === undefined) return new PinnedDate().toString();
    let when = NaN;
    if (more.length > 0) when = NativeDate.UTC(first, ...more);
    else if (first !== undefined) when = typeof first === "number" ? first : moment(first);
    else if (arguments.length === 0) {
      asked = true;
      when = now;
    }
    return new.target === PinnedDate ? new NativeDate(when) : construct(NativeDate, [when], new.target);
  }
  PinnedDate.prototype = NativeDate.prototype;
  hidden(NativeDate.prototype, "constructor", PinnedDate);
  hidden(PinnedDate, "name", "Date");
  hidden(PinnedDate, "length", 7);
  hidden(PinnedDate, "UTC", NativeDate.UTC);
  hidden(PinnedDate, "parse", function parse(text) { return parsed(String(text)); });
  hidden(PinnedDate, "now", function () {
    asked = true;
    return now;
  });

  const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const two = (number) => (number < 10 ? "0" : "") + number;
  const dated = NativeDate.prototype;
  for (const part of ["FullYear", "Month", "Date", "Day", "Hours", "Minutes", "Seconds",
    "Milliseconds"]) {
    hidden(dated, "get" + part, dated["getUTC" + part]);
    if (part !== "Day") hidden(dated, "set" + part, dated["setUTC" + part]);
  }
  const told = {
    getTimezoneOffset() { return this.getTime() * 0; },
    getYear() { return this.getUTCFullYear() - 1900; },
    toDateString() {
      if (this.getTime() !== this.getTime()) return "Invalid Date";
      return `${DAYS[this.getUTCDay()]} ${MONTHS[this.getUTCMonth()]} ${two(this.getUTCDate())} `
        + String(this.getUTCFullYear()).padStart(4, "0");
    },
    toTimeString() {
      if (this.getTime() !== this.getTime()) return "Invalid Date";
      return `${two(this.getUTCHours())}:${two(this.getUTCMinutes())}:${two(this.getUTCSeconds())} `
        + "GMT+0000 (UTC)";
    },
    toString() {
      if (this.getTime() !== this.getTime()) return "Invalid Date";
      return `${this.toDateString()} ${this.toTimeString()}`;
    },
    toLocaleDateString() {
      if (this.getTime() !== this.getTime()) return "Invalid Date";
      return `${two(this.getUTCMonth() + 1)}/${two(this.getUTCDate())}/`
        + String(this.getUTCFullYear()).padStart(4, "0");
    },
    toLocaleTimeString() {
      if (this.getTime() !== this.getTime()) return "Invalid Date";
      const hour = this.getUTCHours();
      return `${two(hour % 12 || 12)}:${two(this.getUTCMinutes())}:${two(this.getUTCSeconds())} `
        + (hour < 12 ? "AM" : "PM");
    },
    toLocaleString() {
      if (this.getTime() !== this.getTime()) return "Invalid Date";
      return `${this.toLocaleDateString()}, ${this.toLocaleTimeString()}`;
    },
  };
  for (const name of ownKeys(told)) hidden(dated, name, told[name]);

  hidden(Math, "random", function random() {
    asked = true;
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 4294967296;
  });

  // The engine keeps these in itself, where nothing is frozen.
  const tellErrors = getOwnPropertyDescriptor(Failure, "prepareStackTrace").set;
  for (const [name, value] of [["prepareStackTrace", undefined], ["stackTraceLimit", 10]]) {
    defineProperty(Failure, name, {get() { return value; }, set() {}, configurable: true});
  }

  // -- the surroundings, closed -----------------------------------------------------------------

  const surroundings = create(Object.prototype);
  const gone = ["Atomics", "FinalizationRegistry", "SharedArrayBuffer", "WeakRef", "performance",
    "queueMicrotask"];
  for (const name of ownKeys(G)) {
    const {value, configurable} = getOwnPropertyDescriptor(G, name);
    if (!configurable) continue;
    if (!gone.includes(name)) hidden(surroundings, name, value);
    deleteProperty(G, name);
  }
  const given = {Buffer, Date: PinnedDate, TextDecoder, TextEncoder, console, eval: evaluate,
    globalThis: G, require};
  for (const name of ownKeys(given)) hidden(surroundings, name, given[name]);
  setPrototypeOf(G, surroundings);

  // What ThingPark gave beside TS013's input.
  const UPLINK = {
    get time() { return this.recvTime; },
    set time(value) { defineProperty(this, "time", own(value)); },
    get thing() { return {}; },
    set thing(value) { defineProperty(this, "thing", own(value)); },
  };
  const own = (value) => ({value, writable: true, enumerable: true, configurable: true});

  const {watch, close, narrow, seal} = closed(surroundings, G, [UPLINK, modules]);

  // -- the codec --------------------------------------------------------------------------------

  // What was thrown, as text with the place in the codec, whose first line is `firstLine`; never
  // throws itself, whatever a codec made of its errors.
  function words(error, firstLine) {
    try {
      let text = error instanceof Failure ? `${error.name}: ${error.message}`
        : typeof error === "string" ? error : stringify(error) ?? String(error);
      text = text.slice(0, mostWords).toWellFormed();
      if (error instanceof Failure && typeof error.stack === "string") {
        for (const [, line, column] of error.stack.slice(0, 4000).matchAll(/<input>:(\d+):(\d+)/g)) {
          if (line >= firstLine) return `${line - firstLine + 1}:${column}: ${text}`;
        }
      }
      return text;
    } catch {
      return "an exception that cannot be shown";
    }
  }

  // Whether a limit was met.  Where there is not even memory for an error, the engine throws null.
  function stopped(error) {
    try {
      return error === null || error instanceof InternalError
        || (error instanceof RangeError && error.message === "Maximum call stack size exceeded");
    } catch {
      return false;
    }
  }

  // Where a codec may leave the function that decodes; `file` is what its own text declares.
  const exported = () => (G.module === undefined ? undefined : G.module.exports);
  const DRIVERS = [(file) => file.driver, () => exported()?.driver];
  const OWNERS = [exported, () => exported()?.default, (file) => file, () => G];

  // Which function decodes, and where it is: in a driver, as ThingPark has it, or by its form.
  function find(file) {
    const forms = ["decodeUplink", "Decode", "Decoder"];
    for (const place of DRIVERS) {
      for (const form of forms) {
        if (typeof place(file)?.[form] === "function") return {form, place, alone: false};
      }
    }
    for (const form of forms) {
      for (const place of OWNERS) {
        if (typeof place(file)?.[form] === "function") return {form, place, alone: false};
      }
    }
    for (const place of [OWNERS[0], OWNERS[1], DRIVERS[0]]) {
      if (typeof place(file) === "function") return {form: "decodeUplink", place, alone: true};
    }
    return undefined;
  }

  // What a codec made as text; the first sign tells what it is, see `prepare`.
  function result(made, form) {
    if (form !== "decodeUplink") made = {data: made};
    else if (made === null || typeof made !== "object") {
      return `?decodeUplink returned ${made === null ? "null" : typeof made}, not an object with `
        + "data or errors";
    }
    const {errors, warnings} = made;
    let {data} = made;
    if (errors !== undefined && errors !== null && errors.length !== 0) {
      const list = isArray(errors) ? errors : [errors];
      let text = "!";
      for (let i = 0; i < list.length && text.length < mostWords; i++) {
        text += (i ? "; " : "") + (typeof list[i] === "string" ? list[i] : stringify(list[i]));
      }
      return text.slice(0, mostWords).toWellFormed();
    }
    if (data === undefined && form === "decodeUplink") {
      if (typeof made.then === "function") {
        return "?decodeUplink returned a promise: a codec answers at once";
      }
      // Before TS013, the document itself was returned.
      const whole = !("data" in made) && errors === undefined && warnings === undefined;
      if (whole && ownKeys(made).length > 0) data = made;
    }
    if (data === null || typeof data !== "object") {
      return `?the codec returned no data, but ${data === null ? "null" : typeof data}`;
    }
    const text = stringify(isArray(warnings) && warnings.length ? {data, warnings} : {data});
    return text.length > mostSigns
      ? `+the codec's document has ${text.length} signs, at most ${mostSigns}` : text;
  }

  // Runs the codec's file, and cleans the global object for it.
  function loader(codec, modular) {
    const kept = ownKeys(G);
    if (modular) kept.push("module", "exports", "context");
    const put = {value: undefined, writable: true, enumerable: false, configurable: true};
    const set = (name, value) => {
      put.value = value;
      return defineProperty(G, name, put);
    };
    const untouched = () => ownKeys(G).length === kept.length;
    // Takes away what a codec left; false where that is not possible.
    function tidy() {
      if (modular) {
        const exports = {};
        if (!set("exports", exports) || !set("module", {exports}) || !set("context", [])) return false;
      }
      if (untouched()) return true;
      for (const name of ownKeys(G)) if (!kept.includes(name)) deleteProperty(G, name);
      return untouched();
    }
    tidy();
    return {load: () => apply(codec, G, []), tidy, untouched};
  }

  const sound = () => isExtensible(G) && getPrototypeOf(G) === surroundings;

  function called(call, owner, form, port, time, bytes, variables) {
    now = time;
    seed = 1;
    const more = variables === "" ? {} : parse(variables);
    if (form === "Decode") return apply(call, owner, [port, bytes, more]);
    if (form === "Decoder") return apply(call, owner, [bytes, port]);
    return apply(call, owner, [{
      __proto__: UPLINK, bytes, fPort: port, recvTime: new NativeDate(time), variables: more,
    }]);
  }

  // Gives the function of one message, which runs the codec's file anew.  The first sign of its text
  // tells what came of it: `{` a document, `!` errors that the codec returned, `?` an exception, `#` a
  // limit, `+` too large; a `~` before that, that this context is spoiled.  A text instead of a
  // function is the reason why the codec cannot be used.
  function prepare(codec, firstLine, variables, modular, open, patched) {
    const {load, tidy} = loader(codec, modular);
    let entry;
    let putBack = () => true;
    try {
      const names = patched === "" ? [] : patched.split(" ");
      entry = open ? find(load()) : watch(() => find(load()), names);
    } catch (error) {
      return words(error, firstLine);
    }
    if (entry === undefined) {
      return "has none of decodeUplink(input), Decode(fPort, bytes, variables), "
        + "Decoder(bytes, port)";
    }
    tidy();
    if (!open) {
      putBack = close();
      try {
        load();
      } catch {
        return "patches";
      }
      if (!putBack()) return "patches";
      tidy();
    }
    const {form, place, alone} = entry;
    return function run(port, time, ...bytes) {
      now = time;
      seed = 1;
      let text, error, failed = false;
      try {
        const owner = place(load());
        const call = alone ? owner : owner[form];
        text = result(called(call, owner, form, port, time, bytes, variables), form);
      } catch (thrown) {
        failed = true;
        error = thrown;
      }
      const clean = putBack() && tidy() && sound();
      if (failed) text = (stopped(error) ? "#" : "?") + words(error, firstLine);
      return clean ? text : "~" + text;
    };
  }

  // The same for a codec that is kept from message to message; a text where it cannot be.  A run gives
  // `{` and a document, `!` and errors, or `^` where the message is to be read by a fresh run of the
  // file, and `~` where this context is spoiled, too.
  function keep(codec, variables, modular, texts) {
    const {load, tidy, untouched} = loader(codec, modular);
    narrow();
    let file, entry, owner, call;
    try {
      watch(load, []);
      tidy();
      asked = false;
      file = load();
      entry = find(file);
      owner = entry?.place(file);
      call = entry?.alone ? owner : owner?.[entry.form];
    } catch {
      return "it throws in strict mode";
    }
    if (asked) return "its file asks for the time";
    if (entry === undefined || !untouched() || !sound()) return "it leaves something behind";
    // Its functions cannot name these, but text that they make into a function could.
    for (const name of ["module", "exports", "context"]) deleteProperty(G, name);
    const count = ownKeys(G).length;
    const known = new Set(parse(texts));
    if (!file.own.includes(call) && !known.has(apply(toText, call, []))) {
      return "another function decodes";
    }
    if (!seal(file.own, file.kept, known)) return "it has what cannot be frozen";
    let doubt = false;
    apply(tellErrors, Failure, [(error) => {
      if (error instanceof Mistyped || error instanceof Unknown) doubt = true;
      return "";
    }]);
    return function run(port, time, ...bytes) {
      doubt = false;
      let text;
      try {
        // What it is a member of is not frozen, so that it is not told of it.
        text = result(called(call, undefined, entry.form, port, time, bytes, variables), entry.form);
      } catch {
        text = "^";
      }
      if (ownKeys(G).length !== count || !sound()) return "~";
      return doubt || (text[0] !== "{" && text[0] !== "!") ? "^" : text;
    };
  }

  return (how, ...more) => ({prepare, keep}[how](...more));
})

// Closes what a codec finds around it, so that no message can leave anything there for the next.
//
// All of it is frozen, but for the properties that a codec alters on purpose (a polyfill, its own
// Object.assign): those are put back after each message.
//
// One expression: a function of what there is, of the global object, which stays open, and of objects
// that are handed to codecs, which gives `watch`, `close` and, for codecs that are kept from message to
// message, `narrow` and `seal`.
(function (surroundings, G, handed) {
  "use strict";

  const {apply, defineProperty, deleteProperty, getOwnPropertyDescriptor, getPrototypeOf,
    isExtensible, ownKeys} = Reflect;
  const {freeze, is} = Object;
  const Failure = Error;

  function reached() {
    const seen = new Set([G]);
    const left = [surroundings, ...handed, function* () {}, async () => {}, async function* () {},
      [][Symbol.iterator](), ""[Symbol.iterator](), new Map().entries(), new Set().entries(),
      "".matchAll(/x/g), [].values().map((x) => x), Iterator.from({next() {}})];
    while (left.length > 0) {
      const object = left.pop();
      if (object === null || seen.has(object)) continue;
      seen.add(object);
      for (const name of ownKeys(object)) {
        const {value, get, set} = getOwnPropertyDescriptor(object, name);
        for (const each of [value, get, set]) {
          if (typeof each === "object" || typeof each === "function") left.push(each);
        }
      }
      left.push(getPrototypeOf(object));
    }
    seen.delete(G);
    return seen;
  }

  const objects = reached();

  function same(one, other) {
    return one !== undefined && other !== undefined && is(one.value, other.value)
      && one.get === other.get && one.set === other.set && one.writable === other.writable
      && one.enumerable === other.enumerable && one.configurable === other.configurable;
  }

  // What a codec alters: Map(object -> Map(name -> what it was, undefined where it was not)).
  const altered = new Map();

  function alters(owner, name, was) {
    if (was !== undefined && !was.configurable) return;
    if (!altered.has(owner)) altered.set(owner, new Map());
    altered.get(owner).set(name, was);
  }

  // Notes what `run` alters, and puts it back; `names` are those that the codec's text speaks of,
  // as "Array.prototype.at".
  function watch(run, names) {
    const before = new Map();
    for (const object of objects) {
      const properties = new Map();
      for (const name of ownKeys(object)) properties.set(name, getOwnPropertyDescriptor(object, name));
      before.set(object, properties);
    }
    for (const path of names) {
      const [first, ...rest] = path.split(".");
      const name = rest.pop();
      const owner = rest.length ? surroundings[first]?.prototype : surroundings[first];
      if (before.has(owner)) alters(owner, name, before.get(owner).get(name));
    }
    try {
      return run();
    } finally {
      for (const name of ownKeys(G)) {
        if (before.get(surroundings).has(name)) {
          alters(surroundings, name, before.get(surroundings).get(name));
        }
      }
      for (const [object, properties] of before) {
        for (const name of new Set([...properties.keys(), ...ownKeys(object)])) {
          const was = properties.get(name);
          if (!same(was, getOwnPropertyDescriptor(object, name))) alters(object, name, was);
        }
      }
      for (const [owner, properties] of altered) {
        for (const [name, was] of properties) {
          if (was === undefined) deleteProperty(owner, name);
          else defineProperty(owner, name, was);
        }
      }
    }
  }

  // An object whose prototype is frozen could not be given a property of the same name by `=`, and
  // outside of strict mode it would not even say so.  For names that codecs do give to their own
  // objects, the prototype therefore has an accessor.
  function overridable(owner, name) {
    const {value, writable} = getOwnPropertyDescriptor(owner, name) ?? {};
    if (!writable || altered.get(owner)?.has(name)) return;
    defineProperty(owner, name, {
      get() { return value; },
      set(other) {
        if (this === owner) throw new TypeError(`${String(name)} is read-only`);
        defineProperty(this, name,
          {value: other, writable: true, enumerable: true, configurable: true});
      },
      enumerable: false,
      configurable: true,
    });
  }

  // Those of plain values: nothing inherits from them, and number.toString(16) shall stay fast.
  const PLAIN = [BigInt, Boolean, Number, String, Symbol].map((each) => each.prototype);

  function opened(owner) {
    for (const name of ["constructor", "toLocaleString", "toString", "valueOf"]) {
      overridable(owner, name);
    }
    if (owner instanceof Failure || owner === Failure.prototype) {
      overridable(owner, "name");
      overridable(owner, "message");
    }
  }

  function freezeAll(but) {
    for (const object of objects) {
      const value = getOwnPropertyDescriptor(object, "prototype")?.value;
      if (value && !PLAIN.includes(value)) opened(value);
    }
    // The accessors are objects of their own.
    for (const object of reached()) {
      if (!but.has(object)) freeze(object);
    }
  }

  // Freezes all, and gives a function that puts back what a codec altered.  It tells whether it
  // could: where not, a codec has left something for ever.
  function close() {
    freezeAll(altered);
    const owners = [];
    for (const [owner, names] of altered) {
      for (const name of ownKeys(owner)) {
        if (names.has(name)) continue;
        const {writable} = getOwnPropertyDescriptor(owner, name);
        defineProperty(owner, name, writable ? {writable: false, configurable: false}
          : {configurable: false});
      }
      owners.push({owner, parent: getPrototypeOf(owner), count: ownKeys(owner).length,
        names: [...names.keys()], were: [...names.values()]});
    }
    // A codec may have altered how lists are gone through.
    return function putBack() {
      for (let i = 0; i < owners.length; i++) {
        const {owner, parent, count, names, were} = owners[i];
        for (let k = 0; k < names.length; k++) {
          if (were[k] === undefined ? !deleteProperty(owner, names[k])
            : !defineProperty(owner, names[k], were[k])) return false;
        }
        if (ownKeys(owner).length !== count || getPrototypeOf(owner) !== parent
          || !isExtensible(owner)) return false;
      }
      return true;
    };
  }

  const MAKERS = [function () {}, function* () {}, async () => {}, async function* () {}]
    .map(getPrototypeOf);
  const [ofFunctions] = MAKERS;
  const {isArray} = Array;
  const {toString} = ofFunctions;
  const ofLists = Array.prototype, ofObjects = Object.prototype, ofPatterns = RegExp.prototype;

  // Takes away what makes functions of texts, by what an object could be made that has more than
  // properties, yet looks plain, and what tells a frozen object from another.
  function narrow() {
    for (const maker of MAKERS) deleteProperty(maker, "constructor");
    for (const name of ["Function", "Proxy", "Reflect", "eval"]) deleteProperty(surroundings, name);
    for (const name of ["getOwnPropertyDescriptors", "isExtensible", "isFrozen", "isSealed",
      "setPrototypeOf"]) deleteProperty(Object, name);
    deleteProperty(ofObjects, "__proto__");
    deleteProperty(ofPatterns, "compile");
  }

  // Freezes what a codec keeps, and all around it; false where it has what freezing leaves open, or a
  // function that is not in `own` and whose text is not among `texts`.
  function seal(own, values, texts) {
    const left = [...own, ...values], seen = new Set();
    for (const [owner, names] of altered) {
      for (const name of names.keys()) {
        const {value, get} = getOwnPropertyDescriptor(owner, name) ?? {};
        if (get !== undefined) return false;
        left.push(value);
      }
    }
    while (left.length > 0) {
      const object = left.pop();
      if (typeof object !== "function" && (typeof object !== "object" || object === null)) continue;
      if (seen.has(object) || objects.has(object)) continue;
      seen.add(object);
      const parent = getPrototypeOf(object);
      if (typeof object === "function") {
        if (parent !== ofFunctions) return false;
        if (!own.includes(object) && !texts.has(apply(toString, object, []))) return false;
      } else if (isArray(object) ? parent !== ofLists
        : parent !== null && parent !== ofObjects && parent !== ofPatterns) return false;
      for (const name of ownKeys(object)) {
        const {value, get, set} = getOwnPropertyDescriptor(object, name);
        left.push(value, get, set);
      }
    }
    if (seen.has(G)) return false;
    for (const object of seen) freeze(object);
    freezeAll(new Map());
    return true;
  }

  return {watch, close, narrow, seal};
})

'use strict';
// Deep comparison of objects of the candidate: of copies made of plain data, past all of their methods and getters.

const assert = require('node:assert');
const util = require('node:util');

const DEEP = ['deepEqual', 'deepStrictEqual', 'notDeepEqual', 'notDeepStrictEqual'];

class Comparisons {
  // `session` asks for states; `doubt` is called with the reason for which no comparison can be relied on, `pair` with
  // the objects of the candidate on both sides of a comparison that holds if they are equal.
  constructor(session, doubt, pair) {
    this.session = session;
    this.doubt = doubt;
    this.pair = pair;
    this.prototypes = new Map(); // stand-ins for prototypes of the candidate's classes
  }

  isMirror(value) {
    return this.session.carrier.mirrors.has(value);
  }

  // Arguments of a deep comparison without mirrors of objects.
  prepared(positive, given) {
    const found = given.slice(0, 2).map((value) => [...this.mirrorsIn(value, new Map())]);
    const objects = found.map((mirrors) => mirrors.length);
    if (objects[0] > 0 && objects[1] > 0 && positive) this.pair(...found);
    return given.map((value, place) => (place < 2 && objects[place] > 0 ? this.copy(value, new Map()) : value));
  }

  // Mirrors of objects, not of functions, inside of a value.
  mirrorsIn(value, seen, found = new Set()) {
    if (value === null || typeof value !== 'object' || seen.has(value)) return found;
    if (this.isMirror(value)) return found.add(value);
    seen.set(value, true);
    for (const part of parts(value)) this.mirrorsIn(part, seen, found);
    return found;
  }

  copy(value, known) {
    if (value === null || typeof value !== 'object') return value;
    if (known.has(value)) return known.get(value);
    if (this.isMirror(value)) return this.copyOfMirror(value, known);
    if (this.mirrorsIn(value, new Map()).size === 0) return value;
    const inner = (part) => this.copy(part, known);
    let copied;
    if (util.types.isMap(value)) {
      known.set(value, (copied = new Map()));
      for (const [key, item] of value) copied.set(inner(key), inner(item));
    } else if (util.types.isSet(value)) {
      known.set(value, (copied = new Set()));
      for (const item of value) copied.add(inner(item));
    } else {
      copied = Array.isArray(value) ? [] : util.types.isNativeError(value) ? new Error(value.message) : {};
      known.set(value, copied);
    }
    for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
      if ('value' in property) property.value = inner(property.value);
      Object.defineProperty(copied, key, property);
    }
    return Object.setPrototypeOf(copied, Object.getPrototypeOf(value));
  }

  copyOfMirror(mirror, known) {
    const state = this.session.ask('state', mirror);
    if (!isState(state)) this.session.wire.broken('malformed');
    if (state.plain !== true) {
      this.doubt('An object of the candidate that is compared has getters or holds what is no plain data.');
    }
    const { kind, inner, shown, prototype, name, length, tag } = state;
    const copied = this.session.guarded({
      array: () => Object.assign([], { length }),
      map: () => new Map(),
      set: () => new Set(),
      date: () => new Date(inner[0]),
      regexp: () => new RegExp(inner[1], inner[2]),
      error: () => new Error(''),
      object: () => ({}),
    }[kind]);
    known.set(mirror, copied);
    const part = (value) => this.copy(value, known);
    if (kind === 'map') for (let at = 0; at < inner.length; at += 2) copied.set(part(inner[at]), part(inner[at + 1]));
    if (kind === 'set') for (const item of inner) copied.add(part(item));
    for (let at = 0; at < shown.length; at += 2) {
      const enumerable = kind !== 'error' || shown[at] !== 'message';
      Object.defineProperty(copied, shown[at], { value: part(shown[at + 1]), enumerable, writable: true, configurable: true });
    }
    if (!/^\[object (?:Object|Array|Map|Set|Date|RegExp|Error)\]$/.test(tag)) {
      Object.defineProperty(copied, Symbol.toStringTag, { value: tag.slice(8, -1) });
    }
    return Object.setPrototypeOf(copied, this.standIn(prototype, name));
  }

  // Prototype in place of one of the candidate's: one for each, without methods.
  standIn(prototype, name = '') {
    if (!this.isMirror(prototype)) return prototype;
    if (!this.prototypes.has(prototype)) {
      const made = Object.create(this.standIn(Object.getPrototypeOf(prototype)));
      this.prototypes.set(prototype, made);
      const constructor = Object.defineProperty(() => {}, 'name', { value: name });
      Object.defineProperty(made, 'constructor', { value: constructor, configurable: true });
    }
    return this.prototypes.get(prototype);
  }

  // node:assert with comparisons of copies. `asserted` calls one of its functions with arguments.
  assertModule(asserted) {
    const wrapped = new Map();
    const wrap = (original, name) => {
      if (typeof original !== 'function' || original === assert.AssertionError) return original;
      if (wrapped.has(original)) return wrapped.get(original);
      const wrapper = (...given) =>
        asserted(original, DEEP.includes(name) ? this.prepared(!name.startsWith('not'), given) : given);
      wrapped.set(original, wrapper);
      for (const key of Object.keys(original)) wrapper[key] = wrap(original[key], key);
      return wrapper;
    };
    return wrap(assert, 'assert');
  }

  // node:util with comparison and inspection of objects of the candidate.
  utilModule(inspect) {
    const shows = (original) => (...given) => {
      const mirrored = given.some((value) => this.mirrorsIn(value, new Map()).size > 0);
      return mirrored ? inspect(original.name, given) : original(...given);
    };
    return {
      ...util,
      isDeepStrictEqual: (...given) => util.isDeepStrictEqual(...this.prepared(true, given)),
      inspect: Object.assign(shows(util.inspect), util.inspect),
      format: shows(util.format),
    };
  }
}

function isState(state) {
  if (state === null || typeof state !== 'object' || !Array.isArray(state.inner) || !Array.isArray(state.shown)) return false;
  const kinds = ['array', 'map', 'set', 'date', 'regexp', 'error', 'object'];
  return kinds.includes(state.kind) && typeof state.tag === 'string' && Number.isInteger(state.length);
}

function* parts(value) {
  if (util.types.isProxy(value)) return;
  if (util.types.isMap(value)) for (const [key, item] of value) yield* [key, item];
  if (util.types.isSet(value)) yield* value;
  for (const property of Object.values(Object.getOwnPropertyDescriptors(value))) {
    if ('value' in property) yield property.value;
  }
}

module.exports = { Comparisons };

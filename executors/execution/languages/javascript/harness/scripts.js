'use strict';
// Scripts: the requests that one object of the candidate was made from. A process that repeats a script sees nothing
// of what any other object was made from.

const { Carrier } = require('./carrier');
const { names: intrinsicNames } = require('./intrinsics');
const { OPERATIONS } = require('./operations');

const PER_REQUEST = 100_000; // numbers of objects that one request may bring
const MOST_REQUESTS = 5000;
const READING_STATES = ['state', 'turn', 'fire'];
const PRIVATE = /#[\w$]+\s*[=;(\n}]/;
const toText = Function.prototype.toString;
const COLLECTIONS = ['map', 'set'];

// Requests of a judge process so far: [operation, arguments, changes], and whether the candidate asked back.
class Log {
  // `isFunction` tells for a number if its object is a function. What a function has done before matters to no script.
  constructor(isFunction) {
    this.isFunction = isFunction;
    this.entries = [null]; // numbered from 1, as the candidate process counts them
    this.count = 0;
    this.patched = false;
  }

  add(operation, given, changes) {
    this.count += 1;
    if (this.count > MOST_REQUESTS) return {}; // there will be no script
    const entry = { operation, given, changes, askedBack: false, ...mentions([given, changes]) };
    this.entries.push(entry);
    return entry;
  }

  // Scripts of two objects by number; null if one was made with the other, or from more than requests.
  pair(one, other) {
    const scripts = [this.script(one, other), this.script(other, one)];
    if (this.patched || scripts.includes(null)) return null;
    if (scripts[0].needed.has(madeBy(other)) && !this.isMadeFrom(one, other)) return null;
    if (scripts[1].needed.has(madeBy(one)) && !this.isMadeFrom(other, one)) return null;
    return scripts.map(({ text }) => text);
  }

  // True if the test has made an object from another one, directly or through others.
  isMadeFrom(one, other) {
    const reached = new Set([one]);
    for (const number of reached) {
      for (const used of this.entries[madeBy(number)]?.used ?? []) reached.add(used);
    }
    return reached.has(other);
  }

  // Requests that `target` was made from, without those that had to do with `avoided` later.
  script(target, avoided) {
    if (this.count > MOST_REQUESTS) return null;
    const needed = new Set();
    const involved = new Set([target]);
    const open = [[target, this.entries.length - 1]];
    const done = new Map();
    while (open.length > 0) {
      const [number, last] = open.pop();
      if ((done.get(number) ?? 0) >= last) continue;
      done.set(number, last);
      const made = madeBy(number);
      for (let index = 1; index <= last; index += 1) {
        const entry = this.entries[index];
        const changed = entry.used.has(number) && entry.operation !== 'state' && !this.isFunction(number);
        const shared = entry.used.has(avoided) || index === madeBy(avoided);
        if (index !== made && (!changed || shared)) continue;
        if (READING_STATES.includes(entry.operation) || entry.askedBack) return null;
        needed.add(index);
        for (const mentioned of entry.used) {
          involved.add(mentioned);
          open.push([mentioned, index]);
        }
      }
    }
    const defined = new Set();
    for (const index of needed) for (const number of this.entries[index].defined) defined.add(number);
    if ([...involved].some((number) => number > 0 && !defined.has(number))) return null;
    const requests = [...needed].sort((a, b) => a - b);
    const steps = requests.map((index) => {
      const { operation, given, changes } = this.entries[index];
      return [index, operation, given, changes];
    });
    return { text: JSON.stringify({ steps, target }), needed };
  }
}

// Number of the request that brought an object of the candidate; 0 for one of the test.
function madeBy(number) {
  return number < 0 ? Math.floor(-number / PER_REQUEST) : 0;
}

// Numbers of objects that encoded values mention, and those that they define.
function mentions(encoded, used = new Set(), defined = new Set()) {
  if (Array.isArray(encoded)) {
    const [tag, number] = encoded;
    if (typeof tag === 'string' && Number.isInteger(number)) (tag === '@' ? used : defined).add(number);
    for (const part of encoded) mentions(part, used, defined);
  }
  return { used, defined };
}

// Repeat the requests of a script in a candidate process; return the object that they make.
function repeat(text, perform) {
  const { steps, target } = JSON.parse(text);
  const refuse = () => {
    throw new TypeError('no plain data');
  };
  const carrier = new Carrier(-1, { mirror: refuse, promise: refuse, awaited: () => {} });
  for (const [index, operation, given, changes] of steps) {
    Object.assign(carrier, { base: index * PER_REQUEST, next: 0 });
    carrier.apply(changes, () => {});
    const args = given.map((value) => carrier.decode(value));
    let value;
    try {
      value = perform(operation, args);
    } catch (error) {
      value = error;
    }
    carrier.changes();
    carrier.encode(value);
  }
  if (!carrier.objects.has(target)) throw new TypeError('the script makes no such object');
  return carrier.objects.get(target);
}

// State of a value as text: equal for values that a deep comparison finds equal. Throws TypeError if it is not plain.
function stateText(value, known = new Map()) {
  if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError('no plain data');
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? '-0' : `${typeof value} ${JSON.stringify(plain(value))}`;
  if (known.has(value)) return `same as ${known.get(value)}`;
  known.set(value, known.size);
  const state = OPERATIONS.state(value);
  if (!state.plain || hasPrivate(value)) throw new TypeError('no plain data');
  const inner = (part) => stateText(part, known);
  const entries = [];
  for (let at = 0; at < state.shown.length; at += 2) entries.push([inner(String(state.shown[at])), inner(state.shown[at + 1])]);
  for (const [key, item] of unseen(value, state.kind)) entries.push([inner(String(key)), inner(item)]);
  const content = state.inner.map(inner);
  const groups = state.kind === 'map' ? content.filter((_, at) => at % 2 === 0).map((key, at) => `${key}: ${content[2 * at + 1]}`) : content;
  if (COLLECTIONS.includes(state.kind)) groups.sort();
  entries.sort();
  return JSON.stringify([state.kind, className(state), state.length, groups, entries]);
}

// Own properties that no comparison sees, with their values.
function unseen(object, kind) {
  const ofKind = { array: ['length'], error: ['message', 'stack'], regexp: ['lastIndex'] }[kind] ?? [];
  const hidden = Reflect.ownKeys(object).map((key) => [key, Reflect.getOwnPropertyDescriptor(object, key)]);
  return hidden.filter(([key, { enumerable }]) => !enumerable && !ofKind.includes(key)).map(([key, { value, get }]) => [key, get ?? value]);
}

// True if a class of the object may keep something in private fields.
function hasPrivate(object) {
  for (let at = Object.getPrototypeOf(object); at !== null; at = Object.getPrototypeOf(at)) {
    const made = Object.getOwnPropertyDescriptor(at, 'constructor')?.value;
    if (typeof made === 'function' && PRIVATE.test(toText.call(made))) return true;
  }
  return false;
}

function plain(value) {
  return typeof value === 'number' || typeof value === 'bigint' || value === undefined ? String(value) : value;
}

function className({ prototype, name }) {
  return prototype === null ? null : (intrinsicNames.get(prototype) ?? `own ${name}`);
}

module.exports = { Log, PER_REQUEST, repeat, stateText };

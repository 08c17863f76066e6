'use strict';
// Scripts: the requests that one object of the candidate was made from. A process that repeats a script sees nothing
// of what any other object was made from.

const { Carrier } = require('./carrier');
const { names: intrinsicNames } = require('./intrinsics');
const { OPERATIONS } = require('./operations');

const PER_REQUEST = 100_000; // numbers of objects that one request may bring
const MOST_REQUESTS = 5000;
const MOST_CHANGED = 3; // calls in which plain data are changed
const READING_STATES = ['state', 'turn', 'fire'];
const CALLS = ['apply', 'construct'];
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

  // Scripts of two objects by number, whose states must be equal, and pairs of scripts whose states must differ, as
  // plain data that one object was made from does; null if one was made with the other, or from more than requests.
  pair(one, other) {
    const scripts = [this.script(one, other), this.script(other, one)];
    if (this.patched || scripts.includes(null)) return null;
    if (scripts[0].needed.has(madeBy(other)) && !this.isMadeFrom(one, other)) return null;
    if (scripts[1].needed.has(madeBy(one)) && !this.isMadeFrom(other, one)) return null;
    const equal = scripts.map(({ text }) => text);
    const [different] = [equal[1], equal[0]].map(changedScripts).filter((changed) => changed.length > 0);
    return { equal, different: different ?? [] };
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

// A script with each of some changes of plain data in its last calls: numbers before texts, and two arguments exchanged.
function changedScripts(text) {
  const { steps, target } = JSON.parse(text);
  const calls = steps.filter(([, operation]) => CALLS.includes(operation));
  const leaves = calls.slice(-MOST_CHANGED).flatMap(([, , given]) => given.flatMap((_, at) => leavesIn(given, at)));
  const numbers = leaves.filter(([holder, at]) => typeof holder[at] === 'number');
  const chosen = numbers.length > 0 ? numbers : leaves;
  const changes = [...new Set([chosen[0], chosen.at(-1)])].filter(Boolean).map(([holder, at]) => {
    const value = holder[at];
    return [holder, [at, typeof value === 'number' ? value + 1 : `${value}x`]];
  });
  for (const [, , given] of calls.slice(-MOST_CHANGED)) {
    const at = given.findIndex((value, place) => isLeaf(value) && typeof given[place + 1] === typeof value && given[place + 1] !== value);
    if (at >= 0) changes.push([given, [at, given[at + 1]], [at + 1, given[at]]]);
  }
  return changes.map(([holder, ...changed]) => {
    const before = [...holder];
    for (const [at, value] of changed) holder[at] = value;
    const other = JSON.stringify({ steps, target });
    holder.splice(0, holder.length, ...before);
    return [text, other];
  });
}

function isLeaf(encoded) {
  return typeof encoded === 'number' || typeof encoded === 'string';
}

// Places of numbers and texts in an encoded value: the array that holds each, and the position there.
function leavesIn(holder, at) {
  const encoded = holder[at];
  if (isLeaf(encoded)) return [[holder, at]];
  const flat = Array.isArray(encoded) && typeof encoded[0] === 'string' && Array.isArray(encoded[4]) ? encoded[4] : [];
  return flat.flatMap((_, place) => leavesIn(flat, place));
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

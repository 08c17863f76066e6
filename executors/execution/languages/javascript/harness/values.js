'use strict';
// Plain data as JSON text, which passes between candidate processes and judge processes.
//
// Like executors/execution/values.py, with tags for JavaScript's own types. Only values of exactly these types are
// plain: no subclasses, accessors, proxies, symbols or holes in arrays.

const { types } = require('node:util');
const { ERRORS, TYPED_ARRAYS } = require('./realm');

const LONGEST_TEXT = 1 << 20;
const DEEPEST = 100; // containers within containers
const LONGEST_MESSAGE = 10_000;

class NotPlainError extends Error {}

// Text of a value in which no object occurs twice. Throws NotPlainError. `known`: objects that must not occur in it;
// receives those that do.
function encode(value, realm, known = new Set()) {
  let text;
  try {
    text = JSON.stringify(tagged(value, realm, { left: LONGEST_TEXT, depth: 0, known }));
  } catch (error) {
    throw error instanceof NotPlainError ? error : new NotPlainError('circular, or too large');
  }
  if (text.length > LONGEST_TEXT) throw new NotPlainError(`${text.length} characters`);
  return text;
}

function tagged(value, realm, budget) {
  if ((budget.left -= 1) < 0) throw new NotPlainError('too large');
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (Object.is(value, -0)) return { number: '-0' };
      return Number.isFinite(value) ? value : { number: String(value) };
    case 'undefined':
      return { undefined: 0 };
    case 'bigint':
      return { bigint: String(value) };
    case 'object':
      if (value === null) return null;
      if ((budget.depth += 1) > DEEPEST) throw new NotPlainError('too deep');
      value = taggedObject(value, realm, budget);
      budget.depth -= 1;
      return value;
    default:
      throw new NotPlainError(typeof value);
  }
}

function taggedObject(value, realm, budget) {
  if (types.isProxy(value)) throw new NotPlainError('Proxy');
  if (budget.known.has(value)) throw new NotPlainError('in several places');
  budget.known.add(value);
  const inner = (item) => tagged(item, realm, budget);
  const prototype = Object.getPrototypeOf(value);
  const kind = prototype === null ? 'bare' : realm.names.get(prototype);
  if (TYPED_ARRAYS.includes(kind) && types.isTypedArray(value)) {
    return { typed: [kind, Array.from({ length: value.length }, (_, place) => inner(value[place]))] };
  }
  const keys = Reflect.ownKeys(value);
  if (kind === 'Array' && Array.isArray(value)) {
    if (keys.length !== value.length + 1) throw new NotPlainError('array with holes or further properties');
    return keys.slice(0, -1).map((key) => inner(plainProperty(value, key)));
  }
  if (kind === 'Object' || kind === 'bare') {
    if (types.isModuleNamespaceObject(value) || types.isExternal(value)) throw new NotPlainError('foreign');
    if (types.isNativeError(value) || types.isBoxedPrimitive(value)) throw new NotPlainError('disguised');
    if (types.isArgumentsObject(value)) throw new NotPlainError('arguments');
    const entries = keys.map((key) => [key, inner(plainProperty(value, key))]);
    return { [kind === 'bare' ? 'bare' : 'object']: entries };
  }
  if (keys.length > 0) throw new NotPlainError('further properties');
  if (kind === 'Map' && types.isMap(value)) {
    const entries = [];
    Map.prototype.forEach.call(value, (item, key) => entries.push([inner(key), inner(item)]));
    return { map: entries };
  }
  if (kind === 'Set' && types.isSet(value)) {
    const items = [];
    Set.prototype.forEach.call(value, (item) => items.push(inner(item)));
    return { set: items };
  }
  if (kind === 'Date' && types.isDate(value)) return { date: inner(Date.prototype.getTime.call(value)) };
  throw new NotPlainError('object of a class');
}

function plainProperty(value, key) {
  const property = Object.getOwnPropertyDescriptor(value, key);
  if (typeof key === 'symbol' || !('value' in property) || !property.enumerable) {
    throw new NotPlainError('special property');
  }
  return property.value;
}

// New value of a realm's own types from parsed JSON.
function restored(content, realm) {
  if (content === null || typeof content !== 'object') return content;
  const { kinds } = realm;
  if (Array.isArray(content)) return fill(new kinds.Array(), content, realm);
  const [[tag, inner]] = Object.entries(content);
  switch (tag) {
    case 'number':
      return Number(inner);
    case 'undefined':
      return undefined;
    case 'bigint':
      return BigInt(inner);
    case 'date':
      return new kinds.Date(restored(inner, realm));
    case 'object':
      return fill(new kinds.Object(), inner, realm);
    case 'bare':
      return fill(Object.create(null), inner, realm);
    case 'map':
      return fill(new kinds.Map(), inner, realm);
    case 'set':
      return fill(new kinds.Set(), inner, realm);
    case 'typed':
      return kinds[inner[0]].from(inner[1].map((item) => restored(item, realm)));
    default:
      throw new TypeError(`no plain value has the tag ${tag}`);
  }
}

function fill(container, inner, realm) {
  for (const item of inner) {
    if (Array.isArray(container)) set(container, container.length, restored(item, realm));
    else if (types.isSet(container)) container.add(restored(item, realm));
    else if (types.isMap(container)) container.set(restored(item[0], realm), restored(item[1], realm));
    else set(container, item[0], restored(item[1], realm));
  }
  return container;
}

// Not by assignment, which would run a setter: a key may be __proto__.
function set(container, key, value) {
  Object.defineProperty(container, key, { value, writable: true, enumerable: true, configurable: true });
}

// Change a value in place to its state after a call; containers are kept where types are equal.
function change(old, content, realm) {
  const fresh = restored(content, realm);
  if (!sameContainer(old, fresh)) return;
  if (types.isTypedArray(old)) {
    for (let place = 0; place < old.length; place += 1) old[place] = fresh[place];
    return;
  }
  if (types.isSet(old) || types.isMap(old)) {
    old.clear();
    fresh.forEach((item, key) => (types.isSet(old) ? old.add(item) : old.set(key, item)));
    return;
  }
  if (types.isDate(old)) {
    old.setTime(fresh.getTime());
    return;
  }
  const items = Array.isArray(content) ? content.entries() : Object.values(content)[0];
  const kept = new Map(Object.keys(old).map((key) => [key, old[key]]));
  if (Array.isArray(old)) old.length = 0;
  else for (const key of kept.keys()) delete old[key];
  for (const [key, item] of items) {
    const earlier = kept.get(String(key));
    const keeps = sameContainer(earlier, fresh[key]);
    if (keeps) change(earlier, item, realm);
    set(old, key, keeps ? earlier : fresh[key]);
  }
}

function sameContainer(one, other) {
  const isContainer = (value) => typeof value === 'object' && value !== null;
  return isContainer(one) && isContainer(other) && Object.getPrototypeOf(one) === Object.getPrototypeOf(other);
}

// Thrown error as parts of a result: module of its type, name, nearest type that every realm has, message, and
// further properties. Throws NotPlainError.
function encodeThrown(error, realm) {
  if (!types.isNativeError(error)) {
    return JSON.stringify(['builtins', `thrown ${typeof error}`, '', '']) + `,{"thrown":${encode(error, realm)}}`;
  }
  let nearest = error;
  while (nearest !== null && !ERRORS.includes(realm.names.get(nearest))) nearest = Object.getPrototypeOf(nearest);
  if (nearest === null) throw new NotPlainError('an error of no known type');
  for (let own = Object.getPrototypeOf(error); own !== nearest; own = Object.getPrototypeOf(own)) {
    if (Reflect.ownKeys(own).some((key) => !['constructor', 'name'].includes(key))) throw new NotPlainError('methods');
  }
  if (Object.hasOwn(error, 'cause') || Object.hasOwn(error, 'errors')) throw new NotPlainError('further errors');
  const nearestName = realm.names.get(nearest);
  const ownName = String(error.constructor?.name || nearestName);
  const head = ['builtins', ownName, nearestName, String(error.message).slice(0, LONGEST_MESSAGE)];
  const carried = Object.keys(error).map((key) => [key, plainProperty(error, key)]);
  const fields = new realm.kinds.Object();
  for (const [key, value] of carried) set(fields, key, value);
  return JSON.stringify(head) + `,{"name":${JSON.stringify(String(error.name))},"fields":${encode(fields, realm)}}`;
}

// Error described by `encodeThrown`, or one that a test cannot distinguish from it.
function restoredThrown([, ownName, nearestName, message], carried, realm) {
  if ('thrown' in carried) return restored(carried.thrown, realm);
  const nearest = realm.kinds[nearestName];
  const kind = ownName === nearestName ? nearest : { [ownName]: class extends nearest {} }[ownName];
  const error = nearestName === 'AggregateError' ? new kind([], message) : new kind(message);
  if (error.name !== carried.name) {
    Object.defineProperty(error, 'name', { value: carried.name, writable: true, configurable: true });
  }
  for (const [key, value] of carried.fields.object) set(error, key, restored(value, realm));
  return error;
}

module.exports = { NotPlainError, encode, restored, change, encodeThrown, restoredThrown };

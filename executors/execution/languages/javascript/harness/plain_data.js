'use strict';
// Kinds of plain data, and their content, past all methods and getters.

const { types } = require('node:util');
const { objects, names } = require('./intrinsics');

const TYPED = new Set(
  [...objects.keys()].filter((name) => /^(?:Big|Ui|I|F)\w*Array$/.test(name) || name === 'Buffer'),
);
const BOXED = ['Number', 'String', 'Boolean', 'BigInt', 'Symbol'];
const INTEGRITY = { OPEN: 0, FIXED: 1, SEALED: 2, FROZEN: 3 };
const SPARSE = Symbol('array with holes or further properties');
const getTime = Date.prototype.getTime;
const { forEach: eachOfMap } = Map.prototype;
const { forEach: eachOfSet } = Set.prototype;

// Kind of a value that is plain data: 'array', 'object', 'bare', 'map', 'set', 'date', 'regexp', 'typed', 'buffer',
// 'error' or 'boxed'; undefined for any other object. `methods`: whether plain objects may hold functions.
function plainKind(value, methods) {
  if (types.isProxy(value) || typeof value === 'function') return undefined;
  const prototype = Object.getPrototypeOf(value);
  const name = prototype === null ? 'bare' : names.get(prototype)?.replace('.prototype', '');
  if (name === 'Array') return Array.isArray(value) && hasPlainProperties(value, true) ? 'array' : undefined;
  if (name === 'Object' || name === 'bare') {
    if (types.isModuleNamespaceObject(value) || types.isExternal(value) || types.isArgumentsObject(value)) return undefined;
    if (types.isNativeError(value) || types.isBoxedPrimitive(value) || value === Object.prototype) return undefined;
    if (!hasPlainProperties(value, methods)) return undefined;
    return name === 'bare' ? 'bare' : 'object';
  }
  if (name === undefined) return undefined;
  if (name.endsWith('Error')) return types.isNativeError(value) ? 'error' : undefined;
  if (TYPED.has(name)) return types.isTypedArray(value) ? 'typed' : undefined;
  const kind = {
    Map: types.isMap(value) && 'map',
    Set: types.isSet(value) && 'set',
    Date: types.isDate(value) && 'date',
    RegExp: types.isRegExp(value) && 'regexp',
    ArrayBuffer: types.isArrayBuffer(value) && 'buffer',
  }[name];
  if (kind && (kind === 'regexp' || Reflect.ownKeys(value).length === 0)) return kind;
  return BOXED.includes(name) && types.isBoxedPrimitive(value) ? 'boxed' : undefined;
}

function hasPlainProperties(value, methods) {
  const frozen = Object.isFrozen(value);
  for (const key of Reflect.ownKeys(value)) {
    const property = Object.getOwnPropertyDescriptor(value, key);
    if (!('value' in property)) return false;
    if (typeof property.value === 'function' && !methods) return false;
    if (key === 'length' && Array.isArray(value)) continue;
    if (!property.enumerable || (!frozen && !property.writable)) return false;
  }
  return true;
}

function integrity(value) {
  if (Object.isExtensible(value)) return INTEGRITY.OPEN;
  if (Object.isFrozen(value)) return INTEGRITY.FROZEN;
  return Object.isSealed(value) ? INTEGRITY.SEALED : INTEGRITY.FIXED;
}

function protect(value, level) {
  if (level === INTEGRITY.FROZEN) Object.freeze(value);
  else if (level === INTEGRITY.SEALED) Object.seal(value);
  else if (level === INTEGRITY.FIXED) Object.preventExtensions(value);
}

// Content as a flat list: what changes if the value changes in place, but for values inside of its values.
function content(kind, value) {
  switch (kind) {
    case 'array': {
      const keys = Reflect.ownKeys(value);
      if (keys.length !== value.length + 1) return [SPARSE, value.length, ...properties(value, keys)];
      return Array.prototype.slice.call(value);
    }
    case 'map': {
      const flat = [];
      eachOfMap.call(value, (item, key) => flat.push(key, item));
      return flat;
    }
    case 'set': {
      const flat = [];
      eachOfSet.call(value, (item) => flat.push(item));
      return flat;
    }
    case 'date':
      return [getTime.call(value)];
    case 'regexp':
      return [value.lastIndex];
    case 'typed':
      return [Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')];
    case 'buffer':
      return [Buffer.from(value).toString('base64')];
    case 'boxed':
      return [];
    default:
      return properties(value);
  }
}

// Keys and values of an object, one after the other; not the text of an error's stack.
function properties(value, keys = Reflect.ownKeys(value)) {
  const flat = [];
  const skipped = Array.isArray(value) ? 'length' : types.isNativeError(value) ? 'stack' : undefined;
  for (const key of keys) {
    if (key === skipped) continue;
    const property = Object.getOwnPropertyDescriptor(value, key);
    if (property !== undefined && 'value' in property) flat.push(key, property.value);
  }
  return flat;
}

// Property of plain data; not by assignment, which would run a setter: a key may be __proto__.
function define(object, key, value, enumerable = true) {
  Object.defineProperty(object, key, { value, writable: true, enumerable, configurable: true });
}

module.exports = { plainKind, integrity, protect, content, properties, define, SPARSE };

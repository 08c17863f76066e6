'use strict';
// Operations on the objects of this process that the other process asks for.

const { types } = require('node:util');
const { content } = require('./plain_data');

const hasInstance = Function.prototype[Symbol.hasInstance];
const toTag = Object.prototype.toString;

const OPERATIONS = {
  get: (object, key, ...receiver) => Reflect.get(object, key, ...receiver),
  set: (object, key, value, ...receiver) => Reflect.set(object, key, value, ...receiver),
  has: Reflect.has,
  deleteProperty: Reflect.deleteProperty,
  ownKeys: Reflect.ownKeys,
  getOwnPropertyDescriptor: (object, key) => Object.entries(Reflect.getOwnPropertyDescriptor(object, key) ?? {}),
  defineProperty: (object, key, property) => Reflect.defineProperty(object, key, property),
  getPrototypeOf: Reflect.getPrototypeOf,
  setPrototypeOf: Reflect.setPrototypeOf,
  isExtensible: Reflect.isExtensible,
  preventExtensions: Reflect.preventExtensions,
  apply: (called, self, ...given) => Reflect.apply(called, self, given),
  construct: (constructor, newTarget, ...given) => Reflect.construct(constructor, given, newTarget ?? constructor),
  hasOwnInstanceCheck: (constructor) => constructor[Symbol.hasInstance] !== hasInstance,
  toPrimitive,
  state,
};

function toPrimitive(object, hint) {
  const own = object[Symbol.toPrimitive];
  if (own !== undefined && own !== null) return primitive(Reflect.apply(own, object, [hint]));
  for (const name of hint === 'string' ? ['toString', 'valueOf'] : ['valueOf', 'toString']) {
    const method = object[name];
    if (typeof method !== 'function') continue;
    const value = Reflect.apply(method, object, []);
    if (value === null || typeof value !== 'object') return primitive(value);
  }
  return primitive({});
}

function primitive(value) {
  if (value !== null && (typeof value === 'object' || typeof value === 'function')) {
    throw new TypeError('Cannot convert object to primitive value');
  }
  return value;
}

// State of an object: kind of its content, the content, properties that a comparison sees, prototype, name of its
// class and tag. `plain`: whether it is data alone, that no getter or trap has answered.
function state(object) {
  let plain = !types.isProxy(object);
  const kind = contentKind(object);
  const shown = [];
  for (const key of Reflect.ownKeys(object)) {
    const property = Reflect.getOwnPropertyDescriptor(object, key);
    if (property === undefined || (key === 'length' && kind === 'array')) continue;
    if (!property.enumerable && !(kind === 'error' && key === 'message')) continue;
    if (!('value' in property)) plain = false;
    shown.push(key, 'value' in property ? property.value : Reflect.get(object, key));
  }
  const inner = ['map', 'set', 'date', 'regexp'].includes(kind) ? content(kind, object) : [];
  if (kind === 'regexp') inner.push(object.source, object.flags);
  const prototype = Object.getPrototypeOf(object);
  const name = typeof prototype?.constructor === 'function' ? String(prototype.constructor.name) : '';
  const length = kind === 'array' ? object.length : 0;
  return { kind: kind ?? 'object', inner, shown, prototype, name, length, tag: toTag.call(object), plain: plain && Boolean(kind) };
}

function contentKind(object) {
  if (Array.isArray(object)) return 'array';
  if (types.isMap(object)) return 'map';
  if (types.isSet(object)) return 'set';
  if (types.isDate(object)) return 'date';
  if (types.isRegExp(object)) return 'regexp';
  if (types.isNativeError(object)) return 'error';
  const special = ['isPromise', 'isWeakMap', 'isWeakSet', 'isBoxedPrimitive', 'isAnyArrayBuffer', 'isArrayBufferView'];
  if (special.some((name) => types[name](object)) || typeof object === 'function') return undefined;
  return 'object';
}

module.exports = { OPERATIONS };

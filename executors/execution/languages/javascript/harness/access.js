'use strict';
// Access of a candidate to objects of the test: it may call what it was given and use public members, no more.

const { types } = require('node:util');
const { OPERATIONS } = require('./operations');
const { names: intrinsicNames } = require('./intrinsics');

const READING = ['get', 'has', 'ownKeys', 'getOwnPropertyDescriptor', 'getPrototypeOf', 'isExtensible', 'toPrimitive'];
const CALLING = ['apply', 'construct'];
const OF_FUNCTIONS = ['name', 'length', 'prototype'];
const HIDDEN = ['__proto__', 'caller', 'callee', 'arguments', 'mock'];
const toText = Function.prototype.toString;

// Perform an operation of a candidate on an object of the test, no `mirrors` of its own. `refuse` is called for what is
// not allowed.
function performForCandidate(operation, given, mirrors, refuse) {
  const [object, key] = given;
  const isObject = object !== null && (typeof object === 'object' || typeof object === 'function');
  if (!isObject || mirrors.has(object) || intrinsicNames.has(object)) return refuse();
  if (CALLING.includes(operation)) return OPERATIONS[operation](...given);
  if (operation === 'hasOwnInstanceCheck') return false;
  if (operation === 'set') return setPublic(object, given, refuse);
  if (!READING.includes(operation)) return refuse();
  if (typeof object === 'function') {
    if (operation === 'getPrototypeOf' || operation === 'toPrimitive') return OPERATIONS[operation](...given);
    if (operation === 'isExtensible') return true;
    const visible = OF_FUNCTIONS.includes(key) || (isClass(object) && !HIDDEN.includes(key));
    if (operation === 'ownKeys') return Reflect.ownKeys(object).filter((name) => OF_FUNCTIONS.includes(name));
    return visible ? OPERATIONS[operation](...given) : hidden(operation);
  }
  if (HIDDEN.includes(key)) return hidden(operation);
  return OPERATIONS[operation](...given);
}

// Only data of the object itself, and nothing that takes the place of one of the test's functions.
function setPublic(object, [, key, value, ...receiver], refuse) {
  if (types.isProxy(receiver[0])) return Reflect.set(object, key, value, receiver[0]); // inherits from a test's class
  const special = typeof object === 'function' || typeof object[key] === 'function' || HIDDEN.includes(key);
  return special || key === 'constructor' ? refuse() : Reflect.set(object, key, value, ...receiver);
}

// Answer about a property that a candidate does not see.
function hidden(operation) {
  return { has: false, getOwnPropertyDescriptor: [] }[operation];
}

function isClass(object) {
  return /^class\b/.test(toText.call(object));
}

module.exports = { performForCandidate };

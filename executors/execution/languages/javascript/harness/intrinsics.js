'use strict';
// Objects that every process has: prototypes and constructors by name, captured before any program runs.

const { EventEmitter } = require('node:events');

const CONSTRUCTORS = [
  'Object', 'Array', 'Map', 'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'Date', 'RegExp', 'Promise', 'String', 'Number',
  'Boolean', 'BigInt', 'Symbol', 'ArrayBuffer', 'SharedArrayBuffer', 'DataView', 'Error', 'EvalError', 'RangeError',
  'ReferenceError', 'SyntaxError', 'TypeError', 'URIError', 'AggregateError', 'Int8Array', 'Uint8Array',
  'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array',
  'BigInt64Array', 'BigUint64Array', 'Buffer', 'URL', 'URLSearchParams', 'AbortController', 'AbortSignal', 'Event',
  'EventTarget', 'TextEncoder', 'TextDecoder',
];
const NAMESPACES = ['Math', 'JSON', 'Reflect', 'Atomics', 'Intl', 'console'];
const FUNCTIONS = ['parseInt', 'parseFloat', 'isNaN', 'isFinite', 'encodeURIComponent', 'decodeURIComponent', 'encodeURI',
  'decodeURI', 'structuredClone', 'queueMicrotask', 'atob', 'btoa', 'escape', 'unescape', 'eval'];
const ERRORS = CONSTRUCTORS.filter((name) => name.endsWith('Error'));
const WELL_KNOWN_SYMBOLS = new Map(
  Object.getOwnPropertyNames(Symbol)
    .filter((name) => typeof Symbol[name] === 'symbol')
    .map((name) => [Symbol[name], name]),
);

const objects = new Map(); // by name
const names = new Map(); // by object

function add(name, object) {
  if (names.has(object)) return;
  objects.set(name, object);
  names.set(object, name);
}

for (const name of CONSTRUCTORS) {
  add(name, globalThis[name]);
  add(`${name}.prototype`, globalThis[name].prototype);
}
add('Function.prototype', Function.prototype);
add('EventEmitter', EventEmitter);
add('EventEmitter.prototype', EventEmitter.prototype);
const ITERATORS = {
  Iterator: Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())),
  Generator: Object.getPrototypeOf(Object.getPrototypeOf((function* () {})())),
  GeneratorFunction: Object.getPrototypeOf(function* () {}),
  AsyncGenerator: Object.getPrototypeOf(Object.getPrototypeOf((async function* () {})())),
  AsyncGeneratorFunction: Object.getPrototypeOf(async function* () {}),
  AsyncFunction: Object.getPrototypeOf(async () => {}),
  TypedArray: Object.getPrototypeOf(Int8Array.prototype),
};
for (const [name, object] of Object.entries(ITERATORS)) add(`%${name}%`, object);

// Built-in functions by path, for a judge process that hands one to a candidate. Found when the first is needed.
let paths = null;

function builtinPath(builtin) {
  if (paths === null) {
    paths = new Map();
    const walk = (path, owner) => {
      for (const key of Object.getOwnPropertyNames(owner)) {
        const found = Object.getOwnPropertyDescriptor(owner, key).value;
        if (typeof found === 'function' && !paths.has(found) && key !== 'constructor') paths.set(found, `${path}.${key}`);
      }
    };
    for (const name of FUNCTIONS) paths.set(globalThis[name], name);
    for (const name of NAMESPACES) walk(name, globalThis[name]);
    for (const name of CONSTRUCTORS) {
      walk(name, globalThis[name]);
      walk(`${name}.prototype`, globalThis[name].prototype);
    }
    paths.set(Function, 'Function');
    for (const [name, object] of Object.entries(ITERATORS)) {
      walk(`%${name}%`, object);
      paths.set(object.constructor, `%${name}%.constructor`);
    }
  }
  return paths.get(builtin);
}

// Modules of Node that the test uses, and their functions: a candidate gets its own ones.
const modules = new Map();

function addModule(name) {
  const module = require(name);
  modules.set(module, `node:${name}`);
  for (const key of Object.keys(module)) {
    const part = Object.getOwnPropertyDescriptor(module, key).value;
    if (typeof part === 'function' && !names.has(part) && !modules.has(part)) modules.set(part, `node:${name} ${key}`);
  }
}

// Object at the end of a path; undefined if there is none.
function atPath(path) {
  if (path.startsWith('node:')) {
    const [name, key] = path.split(' ');
    return key === undefined ? require(name) : require(name)[key];
  }
  if (objects.has(path)) return objects.get(path);
  const root = [...objects.keys()].filter((name) => path.startsWith(`${name}.`)).sort((a, b) => b.length - a.length)[0];
  const [first, ...rest] = root === undefined ? path.split('.') : [root, ...path.slice(root.length + 1).split('.')];
  return rest.reduce((owner, key) => owner?.[key], objects.get(first) ?? globalThis[first]);
}

module.exports = { objects, names, ERRORS, WELL_KNOWN_SYMBOLS, modules, addModule, builtinPath, atPath };

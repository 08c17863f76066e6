'use strict';
// Separate globals for one program: its changes to Array or globalThis end with it.

const vm = require('node:vm');

const CONTAINERS = ['Object', 'Array', 'Map', 'Set', 'Date', 'Promise'];
const ERRORS = [
  'Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError', 'AggregateError',
];
const TYPED_ARRAYS = [
  'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array',
  'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array',
];
const KINDS = [...CONTAINERS, ...ERRORS, ...TYPED_ARRAYS];
const OF_NODE = [
  'Buffer', 'URL', 'URLSearchParams', 'TextEncoder', 'TextDecoder', 'AbortController', 'AbortSignal', 'Event',
  'EventTarget', 'structuredClone', 'queueMicrotask', 'performance', 'atob', 'btoa', 'crypto',
  'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate',
];
const CONSOLE = [
  'log', 'info', 'warn', 'error', 'debug', 'table', 'dir', 'group', 'groupCollapsed', 'groupEnd', 'time',
  'timeEnd', 'timeLog', 'trace', 'assert', 'count', 'countReset', 'clear',
];

class Realm {
  // `process`: the global of that name.
  constructor(process) {
    const globals = Object.fromEntries(OF_NODE.map((name) => [name, globalThis[name]]));
    // Output is discarded, so it need not be formatted.
    const console = Object.fromEntries(CONSOLE.map((name) => [name, () => {}]));
    this.context = vm.createContext({ ...globals, console, process });
    this.globals = vm.runInContext('globalThis.global = globalThis', this.context);
    // The constructors of this realm by name, and the names of prototypes, of this realm or the harness's.
    this.kinds = vm.runInContext(`({${KINDS.join(',')}})`, this.context);
    this.names = new Map();
    for (const name of KINDS) {
      this.names.set(this.kinds[name].prototype, name);
      this.names.set(globalThis[name].prototype, name);
    }
  }
}

module.exports = { Realm, ERRORS, TYPED_ARRAYS };

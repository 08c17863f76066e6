'use strict';
// What a test does with objects of the candidate, and why a pass may rest on the candidate's word alone.

const { types } = require('node:util');
const { names: intrinsicNames } = require('./intrinsics');

// Methods of plain data that are shown a value and say if it is there. An object that only answers these may stand in
// for plain data that a right candidate would have returned.
const QUERIES = new Set([
  'includes', 'has', 'every', 'some', 'startsWith', 'endsWith', 'test', 'hasOwnProperty', 'isSubsetOf', 'isSupersetOf',
  'isDisjointFrom', 'indexOf', 'lastIndexOf', 'findIndex', 'findLastIndex', 'search', 'propertyIsEnumerable',
]);

// Methods that compare an object with what they are shown, or match it, and so may be shown what is expected.
// Each with what it may be shown.
const COMPARING = new Map([
  ...['localeCompare', 'compareTo', 'equals', 'isEqual', 'eq'].map((name) => [name, isPlain]),
  ...['match', 'matchAll'].map((name) => [name, types.isRegExp]),
]);

class Watch {
  // `doubt` is called with the reason for which a pass is not confirmed; `time` returns the number of requests so far;
  // `waits` is told of functions handed to a `then`, `numbers` of values.
  constructor(doubt, time, waits, numbers) {
    this.doubt = doubt;
    this.waits = waits;
    this.numbers = numbers;
    this.names = new WeakMap(); // names of mirrors of functions
    this.time = time;
    this.born = new WeakMap(); // mirrors: the request that brought them
    this.reused = new WeakSet(); // objects that a constructor or a function returned though they were there before
    this.queries = new Map(); // mirrors of methods that ask for a value: their names
    this.comparing = new Map(); // mirrors of methods that compare: their names
    this.unseen = new WeakSet(); // objects that the test made for itself, and has handed to nothing of the candidate's
    this.conversions = new Map(); // primitive values of objects since they last may have changed
    this.constructed = new WeakSet(); // objects of classes that the test names
    this.behaving = new WeakSet(); // objects that the test made, or of which it has called other methods
  }

  converted(mirror, hint, value) {
    if (hint !== 'string') this.numbers.note(undefined, value);
    const known = this.conversions.get(mirror);
    if (hint !== 'string' && known !== undefined && known !== value) {
      this.doubt('An object of the candidate is not the same number each time.');
    }
    if (hint !== 'string') this.conversions.set(mirror, value);
    if (hint === 'default' && value !== '[object Object]' && !this.constructed.has(mirror)) {
      this.doubt('The test compares or adds an object of the candidate by its own conversion.');
    }
    return value;
  }

  got(mirror, key, found) {
    if (typeof found === 'number') this.numbers.note(key, found);
    if (typeof found !== 'function') return;
    this.named(key, found);
    if (key === 'then') this.waits.thens.add(found);
    if (QUERIES.has(key)) this.queries.set(found, key);
    if (COMPARING.has(key)) this.comparing.set(found, key);
  }

  named(key, found) {
    this.names.set(found, key);
    if (key !== 'constructor' && intrinsicNames.has(found) && found.name !== key) {
      this.doubt('The candidate gives a name of its own to a class of the language.');
    }
  }

  noteBirth(mirror) {
    this.born.set(mirror, this.time());
  }

  noteMade(object) {
    if (object === null || typeof object !== 'object' || !this.born.has(object)) return;
    if (this.born.get(object) < this.time()) this.reused.add(object);
    else this.unseen.add(object);
  }

  handOver(given) {
    for (const value of given) {
      if (value === null || typeof value !== 'object') continue;
      if (types.isProxy(value)) this.unseen.delete(value);
      else this.handOver(Object.values(value).filter(types.isProxy));
    }
  }

  // True if the candidate has had a reason to return this object where the test finds it.
  mayReturn(object) {
    return !this.reused.has(object) && !this.unseen.has(object);
  }

  checks() {
    this.doubt('A class of the candidate says itself what its instances are.');
  }

  changed(mirror, value, done) {
    this.handOver([value]);
    this.conversions.clear();
    this.behaving.add(mirror);
    return done;
  }

  contains(mirror, found) {
    if (found && !this.behaving.has(mirror)) this.doubt('An object of the candidate says itself what is in it.');
    return found;
  }

  // Before a call, in which functions may be called back.
  calls(mirror, given) {
    if (this.waits.thens.has(mirror)) this.waits.handed(given);
  }

  called(mirror, self, given, result) {
    this.numbers.note(this.names.get(mirror), result);
    if (!this.queries.has(mirror)) this.conversions.clear();
    this.handOver(given);
    if (!types.isProxy(self) || typeof self === 'function') this.noteMade(result);
    if (self === undefined || self === null || !types.isProxy(self)) return result;
    if (this.comparing.has(mirror) && given.some(COMPARING.get(this.comparing.get(mirror)))) this.compared(self, result);
    else if (!this.queries.has(mirror)) this.behaving.add(self);
    else if (!this.behaving.has(self) && typeof self !== 'function' && (result === true || (typeof result === 'number' && result >= 0))) {
      this.doubt('An object of the candidate says itself what is in it.');
    }
    return result;
  }

  compared(self, result) {
    const agrees = result !== false && result !== null && result !== undefined;
    if (agrees && !this.behaving.has(self) && typeof self !== 'function') {
      this.doubt('An object of the candidate says itself what it is equal to.');
    }
  }

  made(given, object) {
    const isPlainData = !types.isProxy(object) && !types.isPromise(object) && intrinsicNames.has(Object.getPrototypeOf(object));
    if (isPlainData) this.doubt('A class of the candidate makes what is plain data.');
    this.handOver(given);
    this.noteMade(object);
    if (typeof object === 'object') this.constructed.add(object);
    return this.trusted(object);
  }

  // An object that behaves: the test made it for that, or the candidate has raised it.
  trusted(object) {
    this.behaving.add(object);
    return object;
  }
}

function isPlain(value) {
  return typeof value !== 'function' && !types.isProxy(value);
}

module.exports = { Watch };

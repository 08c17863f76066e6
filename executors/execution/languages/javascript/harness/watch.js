'use strict';
// What a test does with objects of the candidate, and why a pass may rest on the candidate's word alone.

const { types } = require('node:util');

// Methods of plain data that are shown a value and say if it is there. An object that only answers these may stand in
// for plain data that a right candidate would have returned.
const QUERIES = new Set([
  'includes', 'has', 'every', 'some', 'startsWith', 'endsWith', 'test', 'hasOwnProperty', 'isSubsetOf', 'isSupersetOf',
  'isDisjointFrom', 'indexOf', 'lastIndexOf', 'findIndex', 'findLastIndex', 'search', 'propertyIsEnumerable',
]);
const ERROR_CLASSES = [Error, Object, Function];

class Watch {
  // `doubt` is called with the reason for which a pass is not confirmed.
  constructor(doubt) {
    this.doubt = doubt;
    this.queries = new Map(); // mirrors of methods that ask for a value: their names
    this.behaving = new WeakSet(); // objects that the test made, or of which it has called other methods
  }

  converted(hint, value) {
    if (hint === 'default' && value !== '[object Object]') {
      this.doubt('The test compares or adds an object of the candidate by its own conversion.');
    }
    return value;
  }

  got(mirror, key, found) {
    if (typeof found !== 'function') return;
    if (ERROR_CLASSES.includes(found) && key !== 'constructor') {
      this.doubt('The candidate gives its own name to a class of the language.');
    }
    if (QUERIES.has(key)) this.queries.set(found, key);
  }

  changed(mirror, done) {
    this.behaving.add(mirror);
    return done;
  }

  contains(mirror, found) {
    if (found && !this.behaving.has(mirror)) this.doubt('An object of the candidate says itself what is in it.');
    return found;
  }

  called(mirror, self, result) {
    if (self === undefined || self === null || !types.isProxy(self)) return result;
    if (!this.queries.has(mirror)) this.behaving.add(self);
    else if (!this.behaving.has(self) && typeof self !== 'function' && (result === true || (typeof result === 'number' && result >= 0))) {
      this.doubt('An object of the candidate says itself what is in it.');
    }
    return result;
  }

  // An object of the candidate that it made for its own sake, or has raised.
  made(object) {
    this.behaving.add(object);
    return object;
  }
}

module.exports = { Watch };

'use strict';
// What a test still waits for: promises of the candidate, and functions that it handed to a `then` of the candidate's.

const NATIVE = /\{\s*\[native code\]\s*\}\s*$/;
const ASSERTS = /\bassert\b(?!\s*\.\s*fail\b)/;
const toText = Function.prototype.toString;

class Waits {
  constructor() {
    this.thens = new WeakSet(); // mirrors of methods named `then`
    this.open = new Set(); // groups of functions of which none has been called
    this.groups = new Map(); // function: its group
    this.awaited = new Set(); // promises of the candidate that have not settled and that a program awaits
  }

  get any() {
    return this.open.size > 0 || this.awaited.size > 0;
  }

  // The candidate's `then` got these functions: those of an `await`, or some that assert something.
  handed(given) {
    const group = given.filter((item) => typeof item === 'function');
    if (!group.some((item) => NATIVE.test(toText.call(item)) || ASSERTS.test(toText.call(item)))) return;
    this.open.add(group);
    for (const item of group) this.groups.set(item, group);
  }

  answered(called) {
    this.open.delete(this.groups.get(called));
  }

  // Promise whose `await` is noticed: that reads `constructor`, and no `then` before it settles.
  watched(promise) {
    let chained = false; // `then` was read, which itself reads `constructor`
    const settled = () => {
      this.awaited.delete(promise);
      delete promise.constructor;
      delete promise.then;
    };
    const look = (key, note) =>
      Object.defineProperty(promise, key, {
        configurable: true,
        get: () => {
          note();
          return Promise.prototype[key];
        },
      });
    Promise.prototype.then.call(promise, settled, settled);
    look('constructor', () => {
      if (!chained) this.awaited.add(promise);
      chained = false;
    });
    look('then', () => {
      chained = true;
      this.awaited.delete(promise);
    });
    return promise;
  }
}

module.exports = { Waits };

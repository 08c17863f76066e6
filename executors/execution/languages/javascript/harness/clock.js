'use strict';
// Timers of both processes in one order: by the time at which they are due, and then by age. What a program does
// before a timer does not delay those after it, so their order does not depend on the load of the machine.

const timers = require('node:timers');
const timersPromises = require('node:timers/promises');
const { promisify } = require('node:util');

const LONGEST_DELAY = 2 ** 31 - 1;
const clock = performance.now.bind(performance);
const native = { setTimeout, clearTimeout, setImmediate };

// Handle that a program gets for a timer.
class Timeout {
  constructor(clock, id) {
    Object.defineProperty(this, 'clock', { value: clock });
    this.id = id;
    this.referenced = true;
  }

  ref() {
    return this.refer(true);
  }

  unref() {
    return this.refer(false);
  }

  hasRef() {
    return this.referenced;
  }

  refer(referenced) {
    this.referenced = referenced;
    this.clock.note(['~', this.id, referenced]);
    return this;
  }

  refresh() {
    this.clock.refresh(this.id);
    return this;
  }

  close() {
    this.clock.clear(this);
    return this;
  }

  [Symbol.toPrimitive]() {
    return this.id;
  }
}

// Timers of one process. `note` is told of each change: ['+', id, delay, repeats], ['-', id] or ['~', id, referenced].
class Clock {
  constructor(note) {
    this.note = note;
    this.entries = new Map();
    this.lastId = 0;
  }

  // Replace the functions that make timers.
  install(root) {
    const made = (delay, repeats, callback, given) => {
      if (typeof callback !== 'function') throw new TypeError('The "callback" argument must be of type function');
      return this.add(callback, given, delay, repeats);
    };
    const functions = {
      setTimeout: (callback, delay, ...given) => made(milliseconds(delay), false, callback, given),
      setInterval: (callback, delay, ...given) => made(milliseconds(delay), true, callback, given),
      setImmediate: (callback, ...given) => made(0, false, callback, given),
    };
    for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate']) functions[name] = (timer) => this.clear(timer);
    const later = (delay, value, options) =>
      new Promise((resolve, reject) => {
        const timer = functions.setTimeout(resolve, delay, value);
        options?.signal?.addEventListener('abort', () => {
          this.clear(timer);
          reject(Object.assign(new Error('The operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' }));
        });
      });
    const soon = (value) => new Promise((resolve) => functions.setImmediate(resolve, value));
    const again = async function* (delay, value) {
      for (;;) yield await later(delay, value);
    };
    Object.defineProperty(functions.setTimeout, promisify.custom, { value: later });
    Object.defineProperty(functions.setImmediate, promisify.custom, { value: soon });
    for (const [name, replacement] of Object.entries(functions)) {
      Object.defineProperty(replacement, 'name', { value: name });
      root[name] = replacement;
      timers[name] = replacement;
    }
    Object.assign(timersPromises, { setTimeout: later, setImmediate: soon, setInterval: again });
    timersPromises.scheduler.wait = later;
    timersPromises.scheduler.yield = soon;
  }

  add(callback, given, delay, repeats) {
    const id = (this.lastId += 1);
    this.entries.set(id, { callback, given, delay, repeats });
    this.note(['+', id, delay, repeats]);
    return new Timeout(this, id);
  }

  clear(timer) {
    const id = typeof timer === 'object' && timer !== null ? timer.id : Number(timer);
    if (this.entries.delete(id)) this.note(['-', id]);
  }

  refresh(id) {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    this.note(['-', id]);
    this.note(['+', id, entry.delay, entry.repeats]);
  }

  // Run the callback of a timer that is due.
  fire(id) {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    if (!entry.repeats) this.entries.delete(id);
    entry.callback(...entry.given);
  }
}

function milliseconds(delay) {
  const number = Number(delay);
  return number >= 1 && number <= LONGEST_DELAY ? Math.trunc(number) : 1;
}

// Timers of both processes, in the order in which they are due.
class Schedule {
  constructor() {
    this.now = 0;
    this.age = 0;
    this.waiting = []; // { owner, id, delay, repeats, due, age, earliest, referenced }
  }

  // Take note of a change in the timers of one process.
  note(owner, [change, id, delay, repeats]) {
    if (change === '~') {
      for (const timer of this.waiting) if (timer.owner === owner && timer.id === id) timer.referenced = delay;
      return;
    }
    this.waiting = this.waiting.filter((timer) => timer.owner !== owner || timer.id !== id);
    if (change !== '+') return;
    const due = this.now + delay;
    const earliest = clock() + delay; // a program that looks at the time must find it passed
    this.waiting.push({ owner, id, delay, repeats, due, age: (this.age += 1), earliest, referenced: true });
  }

  // True if a timer is left for which a process would stay; of those that repeat only one of `repeating`.
  holds(repeating) {
    return this.waiting.some((timer) => timer.referenced && (!timer.repeats || timer.owner === repeating));
  }

  // Remove and return the next timer after waiting until it is due; undefined if there is none.
  next() {
    if (this.waiting.length === 0) return undefined;
    const timer = this.waiting.reduce((one, other) =>
      other.due < one.due || (other.due === one.due && other.age < one.age) ? other : one,
    );
    this.now = Math.max(this.now, timer.due);
    const left = timer.earliest - clock();
    if (left > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, left);
    const next = { due: this.now + timer.delay, age: (this.age += 1), earliest: clock() + timer.delay };
    if (timer.repeats) Object.assign(timer, next);
    else this.waiting = this.waiting.filter((other) => other !== timer);
    return timer;
  }
}

module.exports = { Clock, Schedule, native };

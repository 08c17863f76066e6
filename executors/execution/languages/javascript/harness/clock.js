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

// Timers of one process, numbered up from 1 or, with sign -1, down from -1. `note` is told of each change: ['+', id,
// delay, repeats], ['-', id] or ['~', id, referenced]. `clearOther` clears a timer of the other process.
class Clock {
  constructor(sign, note, clearOther = () => {}) {
    this.sign = sign;
    this.note = note;
    this.clearOther = clearOther;
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
    const id = (this.lastId += this.sign);
    this.entries.set(id, { callback, given, delay, repeats });
    this.note(['+', id, delay, repeats]);
    return new Timeout(this, id);
  }

  clear(timer) {
    const id = typeof timer === 'object' && timer !== null ? timer.id : Number(timer);
    if (this.entries.delete(id)) this.note(['-', id]);
    else if (id * this.sign < 0) this.clearOther(id);
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
    this.held = false; // timers are due only when the test says so
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

  // True if a timer is left for which a process would stay.
  get holds() {
    return this.waiting.some((timer) => timer.referenced);
  }

  // Remove and return the next timer after waiting until it is due; undefined if there is none. `until`: time of the
  // test's own clock, on which nothing waits.
  next(until) {
    if (this.waiting.length === 0 || (this.held && until === undefined)) return undefined;
    const timer = this.waiting.reduce((one, other) =>
      other.due < one.due || (other.due === one.due && other.age < one.age) ? other : one,
    );
    if (timer.due > until) return undefined;
    this.now = Math.max(this.now, timer.due);
    const left = until === undefined ? timer.earliest - clock() : 0;
    if (left > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, left);
    const next = { due: this.now + timer.delay, age: (this.age += 1), earliest: clock() + timer.delay };
    if (timer.repeats) Object.assign(timer, next);
    else this.waiting = this.waiting.filter((other) => other !== timer);
    return timer;
  }
}

// `mock.timers` of node:test, on the timers of both processes. `fire` runs a timer that is due.
class MockTimers {
  constructor(schedule, fire) {
    Object.defineProperty(this, 'schedule', { value: schedule });
    Object.defineProperty(this, 'fire', { value: fire });
    this.realNow = Date.now;
    this.epoch = 0;
  }

  enable(options = {}) {
    const apis = Array.isArray(options) ? options : (options.apis ?? ['Date']);
    this.schedule.held = true;
    this.epoch = Number(options.now ?? 0) - this.schedule.now;
    if (apis.includes('Date')) Date.now = () => this.epoch + this.schedule.now;
  }

  tick(milliseconds = 1) {
    const until = this.schedule.now + milliseconds;
    for (let timer = this.schedule.next(until); timer !== undefined; timer = this.schedule.next(until)) this.fire(timer);
    this.schedule.now = until;
  }

  runAll() {
    const last = Math.max(this.schedule.now, ...this.schedule.waiting.map((timer) => timer.due));
    this.tick(last - this.schedule.now);
  }

  setTime(milliseconds) {
    this.epoch = milliseconds - this.schedule.now;
  }

  reset() {
    this.schedule.held = false;
    Date.now = this.realNow;
  }

  [Symbol.dispose ?? Symbol('dispose')]() {
    this.reset();
  }
}

module.exports = { Clock, MockTimers, Schedule, native };

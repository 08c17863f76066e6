'use strict';
// Replacement of node:test. It runs tests one after the other, stops at the first that does not pass, and
// prints nothing.

const { mock } = require('node:test');

class Suite {
  constructor(parent) {
    this.parent = parent;
    this.hooks = { before: [], after: [], beforeEach: [], afterEach: [] };
    this.items = [];
  }

  // Hooks around each test, outermost suite first.
  around(kind) {
    return [...(this.parent?.around(kind) ?? []), ...this.hooks[kind]];
  }
}

class Cases {
  // `note` receives the error of the first test that fails; no further test runs.
  constructor(note) {
    this.note = note;
    this.started = 0;
    this.passed = 0;
    this.stopped = false;
    this.open = 0;
    this.root = new Suite(null);
    this.suite = this.root;
    this.queue = Promise.resolve();
    this.module = this.asModule();
  }

  // True if there was a test that was not skipped, and all of them ended and passed.
  get allPassed() {
    return this.started > 0 && this.passed === this.started && this.open === 0;
  }

  // Let tests control time by `mock.timers`.
  useTimers(timers) {
    Object.defineProperty(mock, 'timers', { value: timers });
  }

  asModule() {
    const test = this.definer((item) => this.runTest(item, item.suite));
    const describe = this.definer((item) => this.runSuite(item));
    const hooks = hooksOf(() => this.suite);
    return Object.assign(test, { test, it: test, describe, suite: describe, mock, ...hooks });
  }

  definer(run) {
    const define = (options) => (...definition) => this.add(run, definition, options);
    const definer = define({});
    return Object.assign(definer, {
      skip: define({ skip: true }),
      todo: define({ todo: true }),
      only: define({}),
    });
  }

  add(run, definition, options) {
    const item = { ...parsed(definition), suite: this.suite };
    Object.assign(item.options, options);
    if (this.suite !== this.root) {
      this.suite.items.push(() => run(item));
      return Promise.resolve();
    }
    this.open += 1;
    this.queue = this.queue.then(() => run(item)).then(() => {
      this.open -= 1;
    });
    return this.queue;
  }

  async runTest({ name, options, body }, suite) {
    if (this.stopped) return;
    if (options.skip || options.todo) return;
    this.started += 1;
    const own = new Suite(suite);
    const context = this.contextOf(name, own);
    try {
      if (suite === this.root && this.root.hooks.before.length > 0) await all(this.root.hooks.before.splice(0));
      await all(suite.around('beforeEach'), context);
      await called(body, context);
      for (const item of own.items) await item();
      await all(own.hooks.after, context);
      await all(suite.around('afterEach'), context);
      if (context.skipped()) this.started -= 1;
      else this.passed += 1;
    } catch (error) {
      this.stop(error);
    }
  }

  // First argument of a test.
  contextOf(name, own) {
    let queue = Promise.resolve();
    let skipped = false;
    const skip = () => {
      skipped = true;
    };
    const context = {
      name,
      skip,
      todo: skip,
      skipped: () => skipped,
      test: (...definition) => {
        const item = parsed(definition);
        queue = queue.then(() => this.runTest(item, own));
        own.items[0] = () => queue; // a test ends after its subtests
        return queue;
      },
      diagnostic: () => {},
      runOnly: () => {},
      mock,
      signal: new AbortController().signal,
      ...hooksOf(() => own),
    };
    return context;
  }

  async runSuite({ options, body, suite: parent }) {
    if (this.stopped) return;
    if (options.skip || options.todo) return;
    const suite = new Suite(parent);
    const outer = this.suite;
    this.suite = suite;
    try {
      await body();
      this.suite = outer;
      if (parent === this.root) await all(this.root.hooks.before.splice(0));
      await all(suite.hooks.before);
      for (const item of suite.items) await item();
      if (!this.stopped) await all(suite.hooks.after);
    } catch (error) {
      this.stop(error);
    } finally {
      this.suite = outer;
    }
  }

  stop(error) {
    if (this.stopped) return;
    this.stopped = true;
    this.note(error);
  }
}

function hooksOf(suite) {
  const registrar = (kind) => (body) => {
    suite().hooks[kind].push(body);
  };
  return Object.fromEntries(['before', 'after', 'beforeEach', 'afterEach'].map((kind) => [kind, registrar(kind)]));
}

// A definition is a name, options and a function, each of which may be missing.
function parsed(definition) {
  const body = definition.find((part) => typeof part === 'function') ?? (() => {});
  const options = definition.find((part) => typeof part === 'object' && part !== null);
  return { name: String(definition[0]), options: { ...options }, body };
}

async function all(hooks, context) {
  for (const hook of hooks) await called(hook, context);
}

// Call a test or a hook; one with a second parameter ends when it calls that parameter.
function called(body, context) {
  if (body.length < 2) return body(context);
  return new Promise((resolve, reject) => {
    body(context, (error) => (error ? reject(error) : resolve()));
  });
}

module.exports = { Cases };

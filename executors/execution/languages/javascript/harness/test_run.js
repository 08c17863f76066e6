'use strict';
// Run of one test: its program, its cases, what it asserted, and the verdict.

const assert = require('node:assert');
const { types } = require('node:util');
const { Cases } = require('./node_test');
const { Numbers } = require('./numbers');
const { compile, requirer, run } = require('./programs');
const { ofError, reason } = require('./reasons');
const { FAILED, PASSED, ERRORED, UNCONFIRMED } = require('./protocol');

const FILE = 'test.js';
const EXPECT_ERRORS = ['throws', 'rejects'];
const NO_NUMBER = reason('The test compares numbers, and the candidate gave what is no number, or an infinite one.');

class EndOfTest extends Error {} // ends a test that goes on for nothing

class TestRun {
  // `test`: as returned by `describeTest`. `raised` tells if an error comes from the candidate.
  constructor({ text, kind, checksItself }, raised = () => false) {
    this.text = text;
    this.kind = kind;
    this.raised = raised;
    this.numbers = new Numbers(text);
    this.failure = null; // verdict and reason of the first error
    this.exitCode = null; // argument of process.exit
    this.assertions = checksItself ? 1 : 0;
    this.swallowed = false; // an assertion did not hold, and nothing else noticed
    this.used = 0; // uses of the candidate
    this.finished = false; // the program, not its cases
    this.cases = new Cases((error) => this.note(error));
    this.own = this.ownProcess();
  }

  // Record an error that nothing has caught.
  note(error) {
    if (error instanceof EndOfTest || this.failure !== null) return;
    const verdict = error instanceof assert.AssertionError ? FAILED : ERRORED;
    this.failure = [verdict, ofError(error, this.raised(error) ? 'candidate' : 'test')];
  }

  // Global `process` of the test.
  ownProcess() {
    const { version, versions, platform, arch, hrtime, nextTick, uptime, memoryUsage, env } = process;
    const own = {
      ...{ version, versions, platform, arch, hrtime, nextTick, uptime, memoryUsage, env, argv: ['node', FILE] },
      ...{ pid: 1, cwd: () => '/', exitCode: undefined },
      stdout: { write: () => true, isTTY: false },
      stderr: { write: () => true, isTTY: false },
      exit: (code) => {
        this.exitCode ??= code ?? own.exitCode ?? 0;
        throw new EndOfTest();
      },
    };
    for (const name of ['on', 'once', 'off', 'emitWarning', 'removeListener', 'removeAllListeners']) own[name] = () => own;
    return own;
  }

  // Run the program in a realm, with `special` modules among those that it may require.
  async start(realm, special) {
    for (const event of ['uncaughtException', 'unhandledRejection']) {
      process.removeAllListeners(event).on(event, (error) => this.note(error));
    }
    const known = { 'node:test': this.cases.module, test: this.cases.module };
    try {
      await run(compile(this.text, realm.context, { file: FILE }), realm, requirer((name) => known[name] ?? special(name)), FILE);
      this.finished = true;
    } catch (error) {
      this.note(error);
    }
  }

  // True if nothing is left to wait for but what was left behind.
  get done() {
    return this.exitCode !== null || ((this.finished || this.failure !== null) && this.cases.open === 0);
  }

  // Verdict and reason once nothing is left that could change them; the reason of a pass is null.
  verdict() {
    const { cases, kind } = this;
    const code = this.exitCode ?? this.own.exitCode;
    if (code != null && Number(code) !== 0) return [FAILED, reason(`The test ended with exit code ${code}.`)];
    const left = code != null && kind !== 'unittest'; // it has chosen to end early, with success
    if (!left) {
      if (this.failure !== null) return this.failure;
      if (kind === 'unittest' && cases.started === 0) return [ERRORED, reason('The test ran no case.')];
      if (!this.finished || cases.open > 0) return [ERRORED, reason('The test waits for what never happens.')];
      if (cases.started > 0 && !cases.allPassed) return [ERRORED, reason('Not every case of the test has ended.')];
    }
    if (this.used === 0) return [ERRORED, reason('The test never called the candidate.')];
    if (this.assertions === 0) return [ERRORED, reason('The test ran no assertion.')];
    if (this.numbers.doubtful) return [UNCONFIRMED, NO_NUMBER];
    return this.swallowed ? [UNCONFIRMED, reason('An assertion that did not hold was caught.')] : [PASSED, null];
  }

  // Call a function of node:assert for the test. `failed` is called with the error of an assertion that does not hold.
  asserted(original, given, failed = () => {}) {
    this.assertions += 1;
    const before = this.swallowed;
    const hold = (result) => {
      if (EXPECT_ERRORS.includes(original.name)) this.swallowed = before; // it was expected to fail
      return result;
    };
    const fail = (error) => {
      if (error instanceof assert.AssertionError) {
        this.swallowed = true;
        failed(error);
      }
      throw error;
    };
    try {
      const result = original(...given);
      return types.isPromise(result) ? result.then(hold, fail) : hold(result);
    } catch (error) {
      return fail(error);
    }
  }
}

module.exports = { TestRun, EndOfTest };

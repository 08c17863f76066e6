'use strict';
// Judge process of a pair that is judged through handles: it runs the test, never the candidate.

const { isBuiltin } = require('node:module');
const { Clock, MockTimers, Schedule, native } = require('./clock');
const { performForCandidate } = require('./access');
const { addModule } = require('./intrinsics');
const { Comparisons } = require('./comparisons');
const { makeMirror } = require('./mirrors');
const { Patches } = require('./patches');
const { reason, ofError } = require('./reasons');
const { awaited, silence, REALM } = require('./serving');
const { Log } = require('./scripts');
const { Session } = require('./session');
const { TestRun } = require('./test_run');
const { Waits } = require('./waits');
const { Watch } = require('./watch');
const { Wire } = require('./wire');
const protocol = require('./protocol');

const JUDGE = 'judge';
const CANDIDATE = 'candidate';
const IDLE_MILLISECONDS = 1; // between two looks at what the test waits for outside of its process
const ENDINGS = {
  ended: [protocol.KILLED, reason('The process of the candidate ended during the test.')],
  malformed: [protocol.ERRORED, reason('The process of the candidate sent what is no message.')],
};
const BETWEEN_OBJECTS = reason('Two objects of the candidate were compared with each other.');
const STILL_WAITING = reason('The test was still waiting for the candidate.');
const MOST_PAIRS = 8; // of scripts, each run in a process of its own
const MOST_DIFFERENT = 6;
const TEST_GLOBALS = ['describe', 'it', 'test', 'suite', 'before', 'after', 'beforeEach', 'afterEach'];

class Judge {
  constructor(buffer, connection, test) {
    this.buffer = buffer;
    this.test = test;
    this.doubts = []; // reasons for which a pass is not confirmed
    this.refused = null; // reason for which no verdict but this can be given
    this.final = null; // verdict of an assertion that failed inside of the candidate
    this.errors = new WeakSet(); // raised by the candidate
    this.settled = [];
    this.pending = new Map();
    this.schedule = new Schedule();
    this.clock = new Clock(1, (change) => this.schedule.note(JUDGE, change), (id) => this.session.ask('clear', id));
    this.run = new TestRun(test, (error) => this.errors.has(error));
    this.run.cases.useTimers(new MockTimers(this.schedule, (timer) => this.fire(timer)));
    const doubt = (sentence) => this.doubts.push(reason(sentence));
    this.waits = new Waits();
    this.watch = new Watch(doubt, () => this.session.log.count, this.waits, this.run.numbers);
    const { watch } = this;
    this.session = new Session(1, new Wire(...connection, (ending) => this.leave(ENDINGS[ending])), {
      mirror: (number, shape) => makeMirror(this.session, number, shape, watch),
      promise: (number) => this.waits.watched(new Promise((...settle) => this.pending.set(number, settle))),
      awaited: (number, promise) => awaited(promise, (...outcome) => this.settled.push([number, ...outcome])),
      serve: (operation, given) => {
        if (operation === 'apply') this.waits.answered(given[0]);
        return performForCandidate(operation, given, this.session.carrier.mirrors, () => this.refuse());
      },
    });
    this.patches = new Patches(this.session.carrier);
    this.session.notices = () => this.tellPatches();
    this.session.noticed = (changes) => this.noteTimers(changes);
    this.session.replaced = () => doubt('The candidate replaced a function of the test.');
    this.session.notCarried = () => this.refuse();
    this.session.thrown = (value) => {
      if (Object(value) !== value) return;
      this.errors.add(value);
      watch.trusted(value);
    };
    this.session.log = new Log((number) => typeof this.session.carrier.objects.get(number) === 'function');
    this.pairs = []; // scripts of objects that have to be equal
    this.different = []; // scripts of objects that have to differ
    this.comparisons = new Comparisons(this.session, doubt, (...sides) => this.notePairs(...sides));
    if (test.interprets) doubt('The test interprets text as a program.');
  }

  start() {
    const [message, why] = this.session.guarded(() => [...this.session.wire.receive()]);
    if (message !== 'loaded') this.leaveText([protocol.NOT_LOADED, protocol.ERRORED, why]);
    silence();
    this.clock.install(globalThis);
    const module = this.comparisons.assertModule((original, given) =>
      this.run.asserted(original, given, (error) => this.noteFailed(error)),
    );
    this.assert = module;
    console.assert = module;
    this.patches.begin();
    this.defineNames();
    globalThis.process = this.run.own;
    this.run.start(REALM, (name) => this.requireModule(name, module));
    native.setImmediate(() => this.turn());
  }

  // Names that the test uses and does not define are looked up in the candidate, each time.
  defineNames() {
    for (const name of this.test.words) {
      if (name in globalThis && name !== this.test.entryPoint) continue;
      Object.defineProperty(globalThis, name, {
        configurable: true,
        get: () => {
          if (TEST_GLOBALS.includes(name) && name !== this.test.entryPoint) return this.run.cases.module[name];
          if (name === 'assert' && name !== this.test.entryPoint) return this.assert;
          const found = this.lookUp(name);
          if (found !== null) return found[0];
          if (this.test.typesOf.includes(name)) return undefined;
          throw new ReferenceError(`${name} is not defined`);
        },
        set: (value) => {
          if (this.lookUp(name) !== null) this.session.ask('assign', name, value);
          else Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
        },
      });
    }
  }

  lookUp(name) {
    this.run.used += 1;
    const found = this.session.ask('name', name);
    if (found !== null && !(Array.isArray(found) && found.length === 1)) this.session.wire.broken('malformed');
    if (typeof found?.[0] === 'function') this.watch.named(name, found[0]);
    return found;
  }

  requireModule(name, assertModule) {
    if (/^\.{0,2}\//.test(name)) return this.solution();
    const known = {
      assert: assertModule,
      'assert/strict': assertModule.strict,
      util: (this.util ??= this.comparisons.utilModule((name, given) => this.session.ask('inspect', name, ...given))),
      process: this.run.own,
    };
    const found = known[name.replace(/^node:/, '')];
    if (found === undefined && isBuiltin(name) && !this.test.harmless.includes(name.replace(/^node:/, ''))) {
      this.doubts.push(reason(`The test uses the module ${name}.`));
    }
    if (found === undefined && isBuiltin(name)) addModule(name.replace(/^node:(?!test)/, ''));
    return found;
  }

  // Module that a test receives when it requires the candidate.
  solution() {
    this.run.used += 1;
    const whole = this.session.ask('module');
    const target = Object(whole) === whole ? whole : {};
    const solution = new Proxy(target, {
      get: (_, key) => {
        if (key === '__esModule' || key === 'then') return undefined;
        const found = typeof key === 'string' && key !== 'prototype' && key !== 'name' ? this.lookUp(key) : null;
        if (found !== null) return found[0];
        return key === 'default' ? whole : Reflect.get(target, key);
      },
      construct: (_, given, newTarget) => Reflect.construct(target, given, newTarget === solution ? target : newTarget),
    });
    return solution;
  }

  tellPatches() {
    const pieces = this.patches.pieces();
    if (pieces.length > 0) this.session.log.patched = true;
    return pieces;
  }

  noteTimers(changes) {
    for (const [change, id, delay, repeats] of changes) {
      if (!['+', '-', '~'].includes(change) || !Number.isInteger(id)) throw new TypeError('timer');
      if (change === '+' && !(delay >= 0)) throw new TypeError('timer');
      this.schedule.note(CANDIDATE, [change, id, delay, Boolean(repeats)]);
    }
  }

  noteFailed(error) {
    if (this.session.depth > 0) this.final ??= [protocol.FAILED, ofError(error, 'test')];
  }

  // Objects of the candidate on both sides of a comparison, in the order of the values.
  notePairs(ones, others) {
    const number = (mirror) => this.session.carrier.numbers.get(mirror);
    const scripts = ones.map((one, at) => {
      if (one === others[at]) return this.watch.mayReturn(one) ? { equal: [], different: [] } : null;
      return others[at] && this.session.log.pair(number(one), number(others[at]));
    });
    if (ones.length !== others.length || !scripts.every(Boolean)) this.doubts.push(BETWEEN_OBJECTS);
    else {
      this.pairs.push(...scripts.map(({ equal }) => equal).filter((pair) => pair.length > 0));
      this.different.push(...scripts.flatMap(({ different }) => different));
    }
  }

  refuse() {
    this.refused ??= reason('The test and the candidate exchange what cannot be carried between them.');
    throw new TypeError('not carried');
  }

  // All programs of this process have returned: let those of the candidate go on, then the next timer.
  turn() {
    const { served } = this.session;
    const [settled, active] = this.askTurn(false);
    if (settled || this.session.served > served) return this.later(); // programs of this process may go on
    if (this.run.done && !this.schedule.holds) return this.finish();
    const timer = this.schedule.next();
    if (timer !== undefined) {
      this.fire(timer);
      return this.later();
    }
    if (active > 0) this.askTurn(true);
    else if (process.getActiveResourcesInfo().filter((name) => name !== 'Immediate').length === 0) return this.finish();
    return native.setTimeout(() => this.turn(), IDLE_MILLISECONDS);
  }

  later() {
    native.setImmediate(() => this.turn());
  }

  askTurn(wait) {
    const [settled, active] = this.session.guarded(() => [...this.session.ask('turn', this.settled.splice(0), wait)]);
    for (const [number, fulfilled, value] of settled) {
      if (number === 0) {
        if (Object(value) === value) this.errors.add(value);
        this.run.note(value);
      } else {
        if (!fulfilled && Object(value) === value) {
          this.errors.add(value);
          this.watch.trusted(value);
        }
        if (value !== undefined) this.run.numbers.note('', value);
        this.pending.get(number)?.[fulfilled ? 0 : 1](value);
      }
    }
    return [settled.length > 0, active];
  }

  fire({ owner, id }) {
    try {
      if (owner === JUDGE) this.clock.fire(id);
      else this.session.ask('fire', id);
    } catch (error) {
      this.run.note(error);
    }
  }

  finish() {
    const [verdict, why] = this.final ?? this.run.verdict();
    if (this.refused !== null) return this.leave([protocol.UNCONFIRMED, this.refused]);
    if (verdict !== protocol.PASSED) return this.leave([verdict, why]);
    if (this.waits.any && this.run.exitCode === null) return this.leave([protocol.UNCONFIRMED, STILL_WAITING]);
    if (this.doubts.length > 0) return this.leave([protocol.UNCONFIRMED, this.doubts[0]]);
    if (this.pairs.length > MOST_PAIRS) return this.leave([protocol.UNCONFIRMED, BETWEEN_OBJECTS]);
    if (this.pairs.length > 0) {
      return this.leaveText([protocol.IF_EQUAL, this.pairs, BETWEEN_OBJECTS, this.different.slice(0, MOST_DIFFERENT)]);
    }
    return this.leave([verdict, why]);
  }

  leave([verdict, why]) {
    this.leaveText([protocol.VERDICT, verdict, 0, why]);
  }

  leaveText(message) {
    this.buffer.append(JSON.stringify(message));
    this.buffer.finish();
    process.reallyExit(0);
  }
}

function judgeObjects(buffer, { connection, test }) {
  buffer.begin(0);
  return new Judge(buffer, connection, test).start();
}

module.exports = { judgeObjects };

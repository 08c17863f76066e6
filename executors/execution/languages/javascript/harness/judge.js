'use strict';
// Replay of tests in a judge process: stand-ins answer with the results of the path.

const assert = require('node:assert');
const { types } = require('node:util');
const { encode, restored, change, restoredThrown } = require('./values');
const { Realm } = require('./realm');
const { Placeholder } = require('./placeholder');
const { reason } = require('./reasons');
const { EndOfTest, TestRun } = require('./test_run');
const protocol = require('./protocol');

const VERDICTS_ON_END = [protocol.TIMED_OUT, protocol.OUT_OF_MEMORY, protocol.KILLED];
const RUN_A_FUNCTION = ['throws', 'doesNotThrow', 'rejects', 'doesNotReject'];
const OF_EVERY_FUNCTION = ['call', 'apply', 'bind'];

// A replay is a test, as returned by `describeTest`, and a path: a list of [call, result], both texts.
async function judge(buffer, replays) {
  for (const [step, [test, path]] of replays.entries()) {
    buffer.begin(step);
    const standIns = new StandIns(path, (text) => buffer.append(text));
    const [verdict, why] = await runTest(standIns, test);
    if (standIns.objects !== null) buffer.append(JSON.stringify([protocol.OBJECTS, standIns.objects]));
    else if (standIns.verdict !== null) buffer.append(JSON.stringify([protocol.VERDICT, standIns.verdict, standIns.used, null]));
    else if (!standIns.placeholder.uses) {
      buffer.append(JSON.stringify([protocol.VERDICT, verdict, standIns.used, why]));
    }
    buffer.finish();
  }
}

// Run the test until nothing is left that it waits for; return its verdict and reason.
async function runTest(standIns, test) {
  const testRun = new TestRun(test, (error) => standIns.thrown.has(error));
  const realm = new Realm(testRun.own);
  standIns.realm = realm;
  standIns.testRun = testRun;
  standIns.test = test;
  const names = test.functions.filter((name) => name === test.entryPoint || !(name in realm.globals));
  for (const name of names) realm.globals[name] = standIn(standIns, name);
  for (const name of test.words) {
    if (!(name in realm.globals)) defineUnknown(standIns, name);
  }
  realm.globals.console.assert = softened(assert, standIns, new Map());
  const ended = new Promise((resolve) => {
    process.once('beforeExit', () => setImmediate(resolve));
  });
  testRun.start(realm, specialModules(standIns, test.entryPoint));
  await ended;
  return testRun.verdict();
}

// Name that may be any object of the candidate's; the test may also set it.
function defineUnknown(standIns, name) {
  Object.defineProperty(standIns.realm.globals, name, {
    configurable: true,
    get: () => standIns.giveUp(),
    set: (value) => {
      Object.defineProperty(standIns.realm.globals, name, { value, writable: true, configurable: true });
    },
  });
}

function specialModules(standIns, entryPoint) {
  const soft = softened(assert, standIns, new Map());
  const known = {
    assert: soft,
    'node:assert': soft,
    'assert/strict': soft.strict,
    'node:assert/strict': soft.strict,
  };
  return (name) => (/^\.{0,2}\//.test(name) ? solution(standIns, entryPoint) : known[name]);
}

// Module that a test receives when it requires the candidate.
function solution(standIns, entryPoint) {
  const whole = entryPoint === null ? () => standIns.giveUp() : standIn(standIns, entryPoint);
  const module = new Proxy(whole, {
    get: (_, key) => {
      if (typeof key === 'symbol' || ['then', '__esModule'].includes(key)) return undefined;
      if (key === 'default') return entryPoint === null ? module : whole;
      const called = key === entryPoint || standIns.test.members.includes(key);
      return called ? standIn(standIns, key) : standIns.giveUp();
    },
  });
  standIns.modules.add(module);
  return module;
}

function standIn(standIns, name) {
  function answer(...given) {
    const method = this !== undefined && this !== null && !standIns.modules.has(this);
    return new.target || method ? standIns.giveUp() : standIns.call(name, given);
  }
  Object.defineProperty(answer, 'name', { value: name });
  return new Proxy(answer, {
    get: (target, key) => {
      return typeof key === 'symbol' || OF_EVERY_FUNCTION.includes(key) ? target[key] : standIns.giveUp();
    },
  });
}

// Answers to the calls of a test: results along a path, a placeholder beyond its end.
class StandIns {
  constructor(path, append) {
    this.path = path;
    this.append = append;
    this.used = 0; // number of results of the path
    this.objects = null; // reason, if an argument or a result is not plain data
    this.modules = new Set(); // what the test takes for the candidate's module
    this.thrown = new WeakSet(); // errors of the candidate
    this.verdict = null; // verdict on the candidate process if it ended during a call
    this.placeholder = new Placeholder(() => new EndOfTest());
  }

  giveUp() {
    // Otherwise the placeholder may be the reason.
    if (!this.placeholder.uses) this.objects ??= reason('The test and the candidate exchange more than plain data.');
    throw new EndOfTest();
  }

  call(name, given) {
    if (this.objects !== null || this.verdict !== null) throw new EndOfTest();
    this.testRun.used += 1;
    let call;
    try {
      call = `[${JSON.stringify(name)},${encode(given, this.realm)},{"dict":[]}]`;
    } catch {
      this.giveUp();
    }
    if (!this.placeholder.uses && this.path[this.used]?.[0] === call) {
      const text = this.path[this.used][1];
      this.used += 1; // before it is parsed: an invalid result must decide only paths that contain it
      return this.answer(JSON.parse(text), name, given);
    }
    if (!this.placeholder.uses) {
      this.append(JSON.stringify([protocol.MORE, this.used]));
      for (const [earlier] of this.path.slice(0, this.used)) this.append(earlier);
    }
    this.append(call);
    return this.placeholder.use();
  }

  answer([kind, content, ...rest], name, given) {
    if (kind === protocol.ENDED) {
      // The candidate process may have written this itself, so it must not become a pass.
      this.verdict = VERDICTS_ON_END.includes(content) ? content : protocol.KILLED;
      throw new EndOfTest();
    }
    if (kind !== protocol.RETURNED && kind !== protocol.RAISED) this.giveUp();
    const { Promise } = this.realm.kinds;
    const changes = rest[kind === protocol.RAISED ? 1 : 0] ?? {};
    (changes.after ?? []).forEach((item, place) => change(given[place], item, this.realm));
    if (kind === protocol.RAISED) {
      const error = restoredThrown(content, rest[0], this.realm);
      if (Object(error) === error) this.thrown.add(error);
      if (changes.async) return Promise.reject(error);
      throw error;
    }
    const value = 'same' in changes ? given[changes.same] : restored(content, this.realm);
    this.testRun.numbers.note(name, value);
    return changes.async ? Promise.resolve(value) : value;
  }
}

// The assert module; its failures are ignored once the test has used the placeholder.
function softened(original, standIns, done) {
  if (typeof original !== 'function' || original === assert.AssertionError) return original;
  if (done.has(original)) return done.get(original);
  const soft = (...given) => {
    const isAside = () => standIns.placeholder.uses > 0;
    if (isAside() && !RUN_A_FUNCTION.includes(original.name)) {
      standIns.testRun.assertions += 1;
      return undefined;
    }
    const tolerate = (error) => {
      if (!isAside()) throw error;
    };
    try {
      const result = standIns.testRun.asserted(original, given);
      return types.isPromise(result) ? result.catch(tolerate) : result;
    } catch (error) {
      return tolerate(error);
    }
  };
  done.set(original, soft);
  for (const key of Object.keys(original)) soft[key] = softened(original[key], standIns, done);
  return soft;
}

module.exports = { judge };

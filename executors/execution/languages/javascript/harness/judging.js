'use strict';
// In the judge's process: a test runs with stand-ins that answer what the candidate has answered elsewhere.

const assert = require('node:assert');
const { types } = require('node:util');
const { encode, restored, change, restoredThrown } = require('./values');
const { Realm } = require('./realm');
const { Cases } = require('./cases');
const { Guess } = require('./guess');
const { compile, requirer, run } = require('./programs');
const protocol = require('./protocol');

const DEATHS = [protocol.TIMED_OUT, protocol.OUT_OF_MEMORY, protocol.KILLED];
const RUN_A_FUNCTION = ['throws', 'doesNotThrow', 'rejects', 'doesNotReject'];
const OF_A_FUNCTION = ['name', 'length', 'prototype', 'call', 'apply', 'bind', 'constructor', 'toString'];

class Unanswered extends Error {} // ends a test that can go no further

// A play is a test, as `readTest` has described it, and a path: a list of [call, result], both texts.
async function judge(arena, plays) {
  for (const [step, [test, path]] of plays.entries()) {
    arena.begin(step);
    const player = new Player(path, (left) => arena.append(left));
    const verdict = await play(player, test);
    if (player.together) arena.append(JSON.stringify([protocol.TOGETHER]));
    else if (!player.guess.made) {
      arena.append(JSON.stringify([protocol.VERDICT, player.verdict ?? verdict, player.used]));
    }
    arena.finish();
  }
}

// Run the test to its end, when nothing is left that it waits for, and return its verdict.
async function play(player, { text, kind, functions, entryPoint }) {
  let problem = null;
  let exitCode = null;
  const note = (error) => {
    problem ??= { verdict: error instanceof assert.AssertionError ? protocol.FAILED : protocol.ERRORED };
  };
  process.removeAllListeners('uncaughtException').on('uncaughtException', note);
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', note);
  const ended = new Promise((resolve) => {
    process.once('beforeExit', () => setImmediate(resolve));
  });
  const own = {
    ...{ argv: ['node', 'test.js'], version: process.version, versions: process.versions, platform: process.platform },
    ...{ hrtime: process.hrtime, nextTick: process.nextTick, uptime: process.uptime, cwd: () => '/' },
    ...{ memoryUsage: process.memoryUsage, exitCode: undefined },
    exit: (code) => {
      exitCode ??= code ?? own.exitCode ?? 0;
      throw new Unanswered();
    },
  };
  const cases = new Cases(note);
  const realm = new Realm(own);
  player.realm = realm;
  const standIns = functions.filter((name) => name === entryPoint || !(name in realm.globals));
  for (const name of standIns) realm.globals[name] = standIn(player, name);
  const special = specialModules(player, cases, entryPoint);
  let finished = false;
  try {
    await run(compile(text, realm.context), realm, requirer(special));
    finished = true;
  } catch (error) {
    note(error);
  }
  await ended;
  const code = exitCode ?? own.exitCode;
  if (code != null) return exitVerdict(code, problem, kind, cases);
  if (problem !== null) return problem.verdict;
  if (!finished || cases.open > 0 || (kind === 'unittest' && cases.started === 0)) return protocol.ERRORED;
  return cases.started === 0 || cases.allPassed ? protocol.PASSED : protocol.ERRORED;
}

// The verdict on a test that has ended its process by itself, or has set its exit code.
function exitVerdict(code, problem, kind, cases) {
  if (code !== 0) return protocol.FAILED;
  if (kind === 'unittest' && !cases.allPassed) return problem?.verdict ?? protocol.ERRORED;
  return protocol.PASSED;
}

function specialModules(player, cases, entryPoint) {
  const soft = softened(assert, player, new Map());
  const known = {
    'node:test': cases.module,
    test: cases.module,
    assert: soft,
    'node:assert': soft,
    'assert/strict': soft.strict,
    'node:assert/strict': soft.strict,
  };
  return (name) => (/^\.{0,2}\//.test(name) ? solution(player, entryPoint) : known[name]);
}

// What a test finds when it asks for the candidate as a module.
function solution(player, entryPoint) {
  const whole = entryPoint === null ? () => player.giveUp() : standIn(player, entryPoint);
  return new Proxy(whole, {
    get: (_, key) => {
      if (typeof key === 'symbol' || ['then', '__esModule'].includes(key)) return undefined;
      return key === 'default' ? whole : standIn(player, key);
    },
  });
}

function standIn(player, name) {
  function answer(...given) {
    return new.target ? player.giveUp() : player.call(name, given);
  }
  Object.defineProperty(answer, 'name', { value: name });
  return new Proxy(answer, {
    get: (target, key) => {
      if (typeof key === 'symbol' || OF_A_FUNCTION.slice(0, 1).includes(key)) return target[key];
      return OF_A_FUNCTION.includes(key) && key !== 'length' && key !== 'prototype' ? target[key] : player.giveUp();
    },
  });
}

// Answers calls along a path, and beyond its end by guessing, to learn what else will be called.
class Player {
  constructor(path, leave) {
    this.path = path;
    this.leave = leave;
    this.used = 0; // results of the path
    this.together = false; // the test needs what is not plain data
    this.verdict = null; // what the candidate's process came to, where an answer is missing for that reason
    this.guess = new Guess(() => new Unanswered());
  }

  giveUp() {
    if (!this.guess.made) this.together = true; // otherwise it may be on account of the guess
    throw new Unanswered();
  }

  call(name, given) {
    if (this.together || this.verdict !== null) throw new Unanswered();
    let call;
    try {
      call = `[${JSON.stringify(name)},${encode(given, this.realm)},{"dict":[]}]`;
    } catch {
      this.giveUp();
    }
    if (!this.guess.made && this.path[this.used]?.[0] === call) {
      const told = this.path[this.used][1];
      this.used += 1; // before it is read: what follows from nonsense follows from it alone
      return this.answer(JSON.parse(told), given);
    }
    if (!this.guess.made) {
      this.leave(JSON.stringify([protocol.MORE, this.used]));
      for (const [earlier] of this.path.slice(0, this.used)) this.leave(earlier);
    }
    this.leave(call);
    return this.guess.use();
  }

  answer([kind, content, ...rest], given) {
    if (kind === protocol.ENDED) {
      // It is the candidate's word; whatever it says, it is no pass.
      this.verdict = DEATHS.includes(content) ? content : protocol.KILLED;
      throw new Unanswered();
    }
    if (kind !== protocol.RETURNED && kind !== protocol.RAISED) this.giveUp();
    const { Promise } = this.realm.kinds;
    const changes = rest[kind === protocol.RAISED ? 1 : 0] ?? {};
    (changes.after ?? []).forEach((item, place) => change(given[place], item, this.realm));
    if (kind === protocol.RAISED) {
      const error = restoredThrown(content, rest[0], this.realm);
      if (changes.async) return Promise.reject(error);
      throw error;
    }
    const value = 'same' in changes ? given[changes.same] : restored(content, this.realm);
    return changes.async ? Promise.resolve(value) : value;
  }
}

// The assert module, whose failures count for nothing once a test works with guesses.
function softened(original, player, done) {
  if (typeof original !== 'function' || original === assert.AssertionError) return original;
  if (done.has(original)) return done.get(original);
  const soft = (...given) => {
    if (player.guess.made && !RUN_A_FUNCTION.includes(original.name)) return undefined;
    try {
      const result = original(...given);
      return types.isPromise(result) ? result.catch(tolerate) : result;
    } catch (error) {
      return tolerate(error);
    }
  };
  const tolerate = (error) => {
    if (!player.guess.made) throw error;
  };
  done.set(original, soft);
  for (const key of Object.keys(original)) soft[key] = softened(original[key], player, done);
  return soft;
}

module.exports = { judge };

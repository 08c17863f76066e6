'use strict';
// Calls of a candidate, made in a candidate process; results as plain data.

const vm = require('node:vm');
const { types } = require('node:util');
const { NotPlainError, encode, restored, encodeThrown } = require('./values');
const { Realm } = require('./realm');
const { compile, requirer, run } = require('./programs');
const { MissingEntryPointError, notLoaded } = require('./reasons');
const { RETURNED, RAISED, OPAQUE, ENDED, NOT_LOADED, ERRORED, TIMED_OUT } = require('./protocol');

const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const NEVER = Symbol('never settles');

// A job is the text of a candidate and a list of calls. A call is the text of [function, arguments, keyword
// arguments]; JavaScript has no keyword arguments.
async function makeCalls(buffer, jobs, entryPoint) {
  for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, () => {});
  for (const [step, [text, texts]] of jobs.entries()) {
    buffer.begin(step);
    const calls = texts.map((call) => JSON.parse(call));
    const realm = new Realm(process);
    const names = new Set(calls.map(([name]) => name));
    if (entryPoint !== null) names.add(entryPoint);
    let find = null;
    try {
      find = await load(text, realm, names, entryPoint);
    } catch (error) {
      buffer.append(JSON.stringify([NOT_LOADED, ERRORED, notLoaded(error)]));
    }
    if (find !== null) {
      buffer.loaded();
      for (const [name, content] of calls) {
        const result = await outcome(find(name), name, content, realm);
        if (!buffer.append(result)) return; // another process repeats the job
      }
    }
    buffer.finish();
    // Pending work would run during the next job.
    if (process.getActiveResourcesInfo().length > 0) return;
  }
}

// Run the candidate; return a function that finds its functions by name. Throws what the candidate throws.
async function load(text, realm, names, entryPoint) {
  const bindings = [...names].filter(mayBeBound).map((name) => `${name}: () => ${name}`);
  const ending = `;module.exports = [module.exports, {${bindings}}];`;
  const loading = run(compile(text, realm.context, { ending }), realm, requirer());
  const loaded = types.isPromise(loading) ? await settled(loading) : loading;
  const [module, bound] = loaded.exports;
  const find = (name) => {
    for (const lookup of [
      () => bound[name](),
      () => module[name],
      () => (name === entryPoint ? (module.default ?? module) : undefined),
    ]) {
      try {
        const found = lookup();
        if (typeof found === 'function') return found;
      } catch {
        // There is no such name.
      }
    }
    return undefined;
  };
  if (entryPoint !== null && find(entryPoint) === undefined) throw new MissingEntryPointError(entryPoint);
  return find;
}

// True if a program can define the name: it is an identifier and not a reserved word.
function mayBeBound(name) {
  try {
    return NAME.test(name) && Boolean(new vm.Script(`'use strict'; () => ${name}`));
  } catch {
    return false;
  }
}

async function outcome(called, name, content, realm) {
  if (called === undefined) return raised(new realm.kinds.ReferenceError(`${name} is not defined`), {}, realm);
  const given = restored(content, realm);
  const before = encode(given, realm);
  const changes = {};
  try {
    let value = called(...given);
    if (types.isPromise(value)) {
      changes.async = true;
      value = await settled(value);
      if (value === NEVER) return JSON.stringify([ENDED, TIMED_OUT]);
    }
    const same = typeof value === 'object' && value !== null ? given.indexOf(value) : -1;
    if (same >= 0) changes.same = same;
    return `["${RETURNED}",${encode(value, realm)}${changesText(after(changes, before, given, realm))}]`;
  } catch (error) {
    if (error instanceof NotPlainError) return JSON.stringify([OPAQUE]);
    return raised(error, () => after(changes, before, given, realm), realm);
  }
}

function raised(error, changes, realm) {
  try {
    return `["${RAISED}",${encodeThrown(error, realm)}${changesText(typeof changes === 'function' ? changes() : changes)}]`;
  } catch {
    return JSON.stringify([OPAQUE]);
  }
}

function after(changes, before, given, realm) {
  const now = encode(given, realm);
  return now === before ? changes : { ...changes, after: JSON.parse(now) };
}

function changesText(changes) {
  return Object.keys(changes).length > 0 ? `,${JSON.stringify(changes)}` : '';
}

// Value of a promise; NEVER if nothing is left that could settle it.
function settled(promise) {
  return new Promise((resolve, reject) => {
    const giveUp = () => setImmediate(resolve, NEVER);
    process.once('beforeExit', giveUp);
    const settle = (act) => (value) => {
      process.off('beforeExit', giveUp);
      act(value);
    };
    Promise.prototype.then.call(promise, settle(resolve), settle(reject));
  });
}

module.exports = { makeCalls };

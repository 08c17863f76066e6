'use strict';
// Calls of a candidate, made in a candidate process; results as plain data.

const { types } = require('node:util');
const { NotPlainError, encode, restored, encodeThrown } = require('./values');
const { Realm } = require('./realm');
const { load, settled, NEVER } = require('./loading');
const { notLoaded } = require('./reasons');
const { RETURNED, RAISED, OPAQUE, ENDED, NOT_LOADED, ERRORED, TIMED_OUT } = require('./protocol');

const MOST_KEPT = 20;
const LONGEST_KEPT = 2000;

// A job is the text of a candidate and a list of calls. A call is the text of [function, arguments, keyword
// arguments]; JavaScript has no keyword arguments.
async function makeCalls(buffer, jobs, entryPoint) {
  for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, () => {});
  for (const [step, [text, texts]] of jobs.entries()) {
    buffer.begin(step);
    const calls = texts.map((call) => JSON.parse(call));
    const realm = new Realm(process);
    let loaded = null;
    try {
      loaded = await load(text, realm, entryPoint);
    } catch (error) {
      buffer.append(JSON.stringify([NOT_LOADED, ERRORED, notLoaded(error)]));
    }
    if (loaded !== null) {
      buffer.loaded();
      const earlier = new Earlier(realm);
      for (const [name, content] of calls) {
        const result = await outcome(loaded.findFunction(name), name, content, realm, earlier);
        if (!buffer.append(result)) return; // another process repeats the job
      }
    }
    buffer.finish();
    // Pending work would run during the next job.
    if (process.getActiveResourcesInfo().length > 0) return;
  }
}

// Objects of earlier calls of a job. A test must not take one for new, and must see it change.
class Earlier {
  constructor(realm) {
    this.realm = realm;
    this.known = new Set();
    this.kept = []; // objects with their texts
  }

  keep(value, text) {
    if (typeof value !== 'object' || value === null || text.length > LONGEST_KEPT) return;
    this.kept.push([value, text]);
    if (this.kept.length > MOST_KEPT) this.kept.shift();
  }

  // Throws NotPlainError if an object has changed since.
  check() {
    for (const [value, text] of this.kept) {
      if (encode(value, this.realm) !== text) throw new NotPlainError('changed by a later call');
    }
  }
}

async function outcome(called, name, content, realm, earlier) {
  const { known } = earlier;
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
    earlier.check();
    const changed = changesText(after(changes, before, given, realm, known));
    const text = encode(value, realm, same >= 0 ? undefined : known);
    earlier.keep(given, encode(given, realm));
    earlier.keep(value, text);
    return `["${RETURNED}",${text}${changed}]`;
  } catch (error) {
    if (error instanceof NotPlainError) return JSON.stringify([OPAQUE]);
    return raised(error, () => after(changes, before, given, realm, known), realm);
  }
}

function raised(error, changes, realm) {
  try {
    return `["${RAISED}",${encodeThrown(error, realm)}${changesText(typeof changes === 'function' ? changes() : changes)}]`;
  } catch {
    return JSON.stringify([OPAQUE]);
  }
}

function after(changes, before, given, realm, known) {
  const now = encode(given, realm, known);
  return now === before ? changes : { ...changes, after: JSON.parse(now) };
}

function changesText(changes) {
  return Object.keys(changes).length > 0 ? `,${JSON.stringify(changes)}` : '';
}

module.exports = { makeCalls };

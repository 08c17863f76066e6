'use strict';
// Calls of a candidate, made in a candidate process; results as plain data.

const fs = require('node:fs');
const { types } = require('node:util');
const { NotPlainError, encode, restored, encodeThrown } = require('./values');
const { Realm } = require('./realm');
const { load, settled, NEVER } = require('./loading');
const { notLoaded } = require('./reasons');
const { RETURNED, RAISED, OPAQUE, ENDED, NOT_LOADED, ERRORED, TIMED_OUT } = require('./protocol');

const [NEXT_PART, NEXT_STEP] = ['p', 's'];
const MOST_KEPT = 20;
const LONGEST_KEPT = 2000;

// A job is the calls of one test. A call is the text of [function, arguments, keyword arguments]; JavaScript has no
// keyword arguments.
async function makeCalls(buffer, { jobs, text, channel, entryPoint }) {
  for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, () => {});
  for (let step = 0; step < jobs; step += 1) {
    let { call, more } = nextCall(channel, NEXT_STEP);
    buffer.begin(step);
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
      while (call !== '') {
        const [name, content] = JSON.parse(call);
        const result = await outcome(loaded.findFunction(name), name, content, realm, earlier);
        if (!buffer.append(result)) return; // another process repeats the job
        if (!more) break;
        ({ call, more } = nextCall(channel, NEXT_PART));
      }
    }
    buffer.finish();
    // Pending work would run during the next job.
    if (process.getActiveResourcesInfo().length > 0) return;
  }
}

// Take the next call from the server process, in the format of executors/execution/processes/process.py. It comes
// only after the result of the last one has been read.
function nextCall(channel, request) {
  fs.writeSync(channel, request);
  const header = received(channel, 5);
  return { call: received(channel, header.readUInt32LE(0)).toString(), more: header[4] !== 0 };
}

function received(channel, size) {
  const content = Buffer.alloc(size);
  let done = 0;
  while (done < size) {
    const count = fs.readSync(channel, content, done, size - done, null);
    if (count === 0) throw new Error('the server process has hung up');
    done += count;
  }
  return content;
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

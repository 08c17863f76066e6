'use strict';
// Candidate process of a pair that is judged through handles: it loads the candidate and performs what the judge
// process asks for.

const util = require('node:util');
const { Clock, native } = require('./clock');
const { atPath } = require('./intrinsics');
const { load, mayBeBound } = require('./loading');
const { makeMirror, UNWATCHED } = require('./mirrors');
const { OPERATIONS } = require('./operations');
const { notLoaded } = require('./reasons');
const { PER_REQUEST, repeat, stateText } = require('./scripts');
const { RETURNED, Session } = require('./session');
const { Wire } = require('./wire');

const REALM = { context: undefined, kinds: globalThis };
const IDLE_MILLISECONDS = 2; // between two looks at what still runs

class Candidate {
  constructor(connection, buffer) {
    this.buffer = buffer;
    this.notices = []; // changes of timers
    this.settled = []; // promises that have settled: number, whether it was fulfilled, value
    this.pending = new Map(); // functions that settle promises of the judge process
    this.loaded = null;
    this.clock = new Clock(-1, (change) => this.noteTimer(change));
    this.early = new Map(); // timers made while the candidate was loaded
    this.session = new Session(-1, new Wire(...connection, () => this.leave()), {
      mirror: (number, shape) => makeMirror(this.session, number, shape, UNWATCHED),
      promise: (number) => new Promise((...settle) => this.pending.set(number, settle)),
      awaited: (number, promise) => awaited(promise, (...outcome) => this.settled.push([number, ...outcome])),
      serve: (operation, given) => this.perform(operation, given),
    });
    this.session.notices = () => this.notices.splice(0);
    this.session.noticed = (patches) => this.patch(patches);
    this.originals = new Map();
    this.requests = 0;
  }

  leave() {
    this.buffer.finish();
    process.reallyExit(0);
  }

  async start(text, entryPoint) {
    silence();
    this.clock.install(globalThis);
    for (const event of ['uncaughtException', 'unhandledRejection']) {
      process.on(event, (error) => this.settled.push([0, false, error]));
    }
    try {
      this.loaded = await load(text, REALM, entryPoint);
    } catch (error) {
      this.session.wire.send(['failed', notLoaded(error)]);
      this.leave();
    }
    this.buffer.loaded();
    this.session.wire.send(['loaded']);
    for (const [id, { change, timer, start }] of this.early) {
      native.clearTimeout(timer);
      this.notices.push(['+', id, Math.max(1, Math.round(change[2] - (performance.now() - start))), change[3]]);
      if (change[3]) this.notices.push(['~', id, false]); // no process waits for what began with the candidate
    }
    this.early = null;
    this.serve();
  }

  // Until the judge process asks for timers to run, they run by themselves.
  noteTimer(change) {
    if (this.early === null) {
      this.notices.push(change);
      return;
    }
    const [kind, id, delay, repeats] = change;
    if (kind === '~') return;
    native.clearTimeout(this.early.get(id)?.timer);
    this.early.delete(id);
    if (kind === '-') return;
    const run = () => {
      if (!repeats) this.early?.delete(id);
      this.clock.fire(id);
      if (repeats && this.early !== null) this.noteTimer(change);
    };
    this.early.set(id, { change, timer: native.setTimeout(run, delay).unref(), start: performance.now() });
  }

  // Perform requests until one asks for the work that waits for the end of the running program.
  serve() {
    for (;;) {
      const [, [operation, given]] = this.session.receive();
      this.requests += 1;
      Object.assign(this.session.carrier, { base: this.requests * PER_REQUEST, next: 0 });
      if (operation === 'turn') {
        const [settled, wait] = given.map((item) => this.session.carrier.decode(item));
        for (const [number, fulfilled, value] of settled) this.pending.get(number)[fulfilled ? 0 : 1](value);
        native.setImmediate(() => this.endTurn(wait));
        return;
      }
      this.session.answer([operation, given]);
    }
  }

  endTurn(wait) {
    const active = process.getActiveResourcesInfo().length;
    if (wait && active > 0 && this.settled.length === 0 && this.notices.length === 0) {
      native.setTimeout(() => native.setImmediate(() => this.endTurn(true)), IDLE_MILLISECONDS);
      return;
    }
    this.session.reply(RETURNED, [this.settled.splice(0), active]);
    this.serve();
  }

  perform(operation, given) {
    switch (operation) {
      case 'name':
        return this.loaded.find(given[0]) ?? null;
      case 'assign':
        if (mayBeBound(given[0])) this.loaded.look(`(value) => { ${given[0]} = value; }`)(given[1]);
        return undefined;
      case 'module':
        return this.loaded.find(this.loaded.entryPoint)?.[0] ?? this.loaded.module;
      case 'inspect':
        return util[given[0]](...given.slice(1));
      case 'clear':
        return this.clock.clear(given[0]);
      case 'fire':
        return this.clock.fire(given[0]);
      default:
        return OPERATIONS[operation](...given);
    }
  }

  // Replace functions that the test has replaced, or put back those of this process.
  patch(patches) {
    for (const [path, replacement] of patches) {
      const [, owner, key] = /^(.*)\.([^.]+)$/.exec(path);
      const object = owner === 'globalThis' ? globalThis : atPath(owner);
      if (!this.originals.has(path)) this.originals.set(path, object[key]);
      object[key] = replacement === null ? this.originals.get(path) : this.session.carrier.decode(replacement);
    }
  }
}

function awaited(promise, note) {
  Promise.prototype.then.call(
    promise,
    (value) => note(true, value),
    (error) => note(false, error),
  );
}

// Output is discarded, so it need not be formatted.
function silence() {
  for (const name of Object.keys(console)) if (typeof console[name] === 'function') console[name] = () => {};
  for (const stream of [process.stdout, process.stderr]) stream.write = () => true;
}

// Leave the state of an object that a script makes; nothing if it is no plain data.
async function leaveState(buffer, { candidate, script, entryPoint }) {
  buffer.begin(0);
  silence();
  const server = new Candidate([-1, -1], buffer);
  try {
    server.loaded = await load(candidate, REALM, entryPoint);
    const object = repeat(script, (operation, given) => server.perform(operation, given));
    buffer.append(stateText(object));
  } catch {
    // There is no state.
  }
  server.leave();
}

function serveObjects(buffer, { connection, candidate, entryPoint }) {
  buffer.begin(0);
  return new Candidate(connection, buffer).start(candidate, entryPoint);
}

module.exports = { serveObjects, leaveState, awaited, silence, REALM };

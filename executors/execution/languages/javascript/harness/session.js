'use strict';
// One side of the conversation between a judge process and a candidate process: requests and replies take turns, and
// a request may be answered only after requests in the other direction, as calls of callbacks are.
//
// A message is [type, body, changes, notices]; a request's body is [operation, arguments].

const { Carrier } = require('./carrier');

const REQUEST = 'q';
const RETURNED = 'r';
const THROWN = 'e';
const NOT_CARRIED = '!';
const DEEPEST = 200; // requests within requests

class Session {
  // `serve(operation, arguments)` performs a request of the other side.
  constructor(owner, wire, { mirror, promise, awaited, serve }) {
    this.wire = wire;
    this.serve = serve;
    this.carrier = new Carrier(owner, { mirror, promise, awaited });
    this.served = 0; // requests of the other side so far
    this.depth = 0; // requests of the other side that this one is serving
    this.notices = () => []; // what else to tell with the next message
    this.noticed = () => {};
    this.replaced = () => {};
    this.notCarried = () => {};
    this.thrown = () => {};
    this.log = { add: () => ({}) };
    this.current = {}; // entry of the request that nothing on this side is serving
  }

  // Perform an operation on the other side; return its value or throw what it throws.
  ask(operation, ...given) {
    const { carrier } = this;
    const changes = carrier.changes();
    const encoded = given.map((value) => carrier.encode(value));
    if (this.depth === 0) this.current = this.log.add(operation, encoded, changes);
    this.send(REQUEST, [operation, encoded], changes);
    for (;;) {
      const [type, body] = this.receive();
      if (type === REQUEST) {
        this.answer(body);
        continue;
      }
      if (type === NOT_CARRIED) return this.notCarried();
      const value = this.guarded(() => carrier.decode(body));
      if (type === RETURNED) return value;
      this.thrown(value);
      throw value;
    }
  }

  // Perform a request of the other side and reply.
  answer([operation, given]) {
    const args = this.guarded(() => given.map((value) => this.carrier.decode(value)));
    if (this.depth > DEEPEST) this.wire.broken('malformed');
    let type = RETURNED;
    let value;
    this.served += 1;
    this.current.askedBack = true;
    this.depth += 1;
    try {
      value = this.serve(operation, args);
    } catch (error) {
      type = THROWN;
      value = error;
    } finally {
      this.depth -= 1;
    }
    this.reply(type, value);
  }

  reply(type, value) {
    let changes;
    let body;
    try {
      changes = this.carrier.changes();
      body = this.carrier.encode(value);
    } catch {
      this.send(NOT_CARRIED, null, []); // too deep
      return;
    }
    this.send(type, body, changes);
  }

  send(type, body, changes) {
    this.wire.send([type, body, changes, this.notices()]);
  }

  receive() {
    const message = this.wire.receive();
    return this.guarded(() => {
      const [type, body, changes, notices] = message;
      if (![REQUEST, RETURNED, THROWN, NOT_CARRIED].includes(type)) throw new TypeError('type');
      if (type === REQUEST && !(Array.isArray(body[1]) && typeof body[0] === 'string')) throw new TypeError('request');
      this.noticed(notices);
      this.carrier.apply(changes, this.replaced);
      return [type, body];
    });
  }

  // What no program on this side has any part in: an error is one of the message.
  guarded(read) {
    try {
      return read();
    } catch {
      return this.wire.broken('malformed');
    }
  }
}

module.exports = { Session, RETURNED, THROWN };

'use strict';
// Frames between a judge process and a candidate process: the length of a JSON text in four bytes, then the text.

const fs = require('node:fs');

const LENGTH_BYTES = 4;
const MOST_BYTES = 64 << 20;

class Wire {
  // `broken` is called with a sentence if the other side has ended or has sent no frame; it must not return.
  constructor(reading, writing, broken) {
    this.reading = reading;
    this.writing = writing;
    this.broken = broken;
    this.header = Buffer.alloc(LENGTH_BYTES);
    this.parse = JSON.parse;
    this.text = JSON.stringify;
  }

  send(message) {
    const content = Buffer.from(this.text(message));
    const frame = Buffer.allocUnsafe(LENGTH_BYTES + content.length);
    frame.writeUInt32LE(content.length, 0);
    content.copy(frame, LENGTH_BYTES);
    try {
      for (let done = 0; done < frame.length; ) {
        done += fs.writeSync(this.writing, frame, done, frame.length - done);
      }
    } catch {
      this.broken('ended');
    }
  }

  receive() {
    this.fill(this.header);
    const length = this.header.readUInt32LE(0);
    if (length > MOST_BYTES) this.broken('malformed');
    const content = Buffer.allocUnsafe(length);
    this.fill(content);
    try {
      return this.parse(content.toString('utf8'));
    } catch {
      return this.broken('malformed');
    }
  }

  fill(buffer) {
    for (let done = 0; done < buffer.length; ) {
      let count = 0;
      try {
        count = fs.readSync(this.reading, buffer, done, buffer.length - done, null);
      } catch {
        // As at the end.
      }
      if (count === 0) this.broken('ended');
      done += count;
    }
  }
}

module.exports = { Wire };

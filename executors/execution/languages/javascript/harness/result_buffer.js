'use strict';
// Result buffer, written in the format of executors/execution/processes/result_buffer.py.

const fs = require('node:fs');

const HEADER_BYTES = 32;
const LOADED_AT = 4;
const USED_AT = 24;
const FINISHED = -1;

class ResultBuffer {
  // `bytes`: size of the writable part of the memory, which the limit on file sizes may reduce.
  constructor(descriptor, bytes) {
    this.descriptor = descriptor;
    this.capacity = bytes - HEADER_BYTES;
    this.used = 0;
  }

  // Record that a step begins.
  begin(step) {
    this.step = step;
    this.since = clock();
    this.cpuBefore = cpuSeconds();
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeInt32LE(step, 0);
    header.writeDoubleLE(this.since, 8);
    header.writeDoubleLE(this.cpuBefore, 16);
    header.writeBigInt64LE(BigInt(this.used), USED_AT);
    this.write(header, 0);
  }

  // Record that the candidate of the step is loaded.
  loaded() {
    const flag = Buffer.alloc(4);
    flag.writeInt32LE(1);
    this.write(flag, LOADED_AT);
  }

  // Append a text of the step; false if the buffer is full.
  append(text) {
    const content = Buffer.from(text);
    return this.put(content.length, content);
  }

  // Record the end of the step.
  finish() {
    const seconds = Buffer.alloc(16);
    seconds.writeDoubleLE(cpuSeconds() - this.cpuBefore, 0);
    seconds.writeDoubleLE(clock() - this.since, 8);
    return this.put(FINISHED, seconds);
  }

  put(length, content) {
    const size = 8 + content.length;
    if (this.used + size > this.capacity) return false;
    const record = Buffer.alloc(8);
    record.writeInt32LE(this.step, 0);
    record.writeInt32LE(length, 4);
    this.write(Buffer.concat([record, content]), HEADER_BYTES + this.used);
    this.used += size;
    const used = Buffer.alloc(8);
    used.writeBigInt64LE(BigInt(this.used));
    this.write(used, USED_AT);
    return true;
  }

  write(buffer, position) {
    let done = 0;
    while (done < buffer.length) {
      done += fs.writeSync(this.descriptor, buffer, done, buffer.length - done, position + done);
    }
  }
}

function clock() {
  return Number(process.hrtime.bigint()) / 1e9;
}

function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

module.exports = { ResultBuffer };

'use strict';
// Entry point of Node. Arguments: descriptors of the result buffer and of the instructions, writable bytes of the
// buffer. The instructions are read and closed before any program runs.

const fs = require('node:fs');
const { ResultBuffer } = require('./result_buffer');

const [bufferDescriptor, instructionsDescriptor, bytes] = process.argv.splice(1).map(Number);
const instructions = JSON.parse(fs.readFileSync(instructionsDescriptor, 'utf8'));
fs.closeSync(instructionsDescriptor);
const buffer = new ResultBuffer(bufferDescriptor, bytes);

async function work() {
  if (instructions.sources) require('./compile').compileSources(buffer, instructions.sources, instructions.entryPoint);
  if (instructions.jobs) await require('./calls').makeCalls(buffer, instructions.jobs, instructions.entryPoint);
  if (instructions.replays) await require('./judge').judge(buffer, instructions.replays);
}

const leave = process.reallyExit.bind(process);
work().then(
  () => leave(0),
  () => leave(1),
);

'use strict';
// Entry point of Node. Arguments: descriptors of the result buffer and of the task, writable bytes of the buffer.
// The task is read and closed before any program runs.

const fs = require('node:fs');
const { ResultBuffer } = require('./result_buffer');

const [bufferDescriptor, taskDescriptor, bytes] = process.argv.splice(1).map(Number);
const task = JSON.parse(fs.readFileSync(taskDescriptor, 'utf8'));
fs.closeSync(taskDescriptor);
const buffer = new ResultBuffer(bufferDescriptor, bytes);

async function work() {
  if (task.sources) require('./compile').compileSources(buffer, task.sources, task.entryPoint);
  if (task.jobs) await require('./calls').makeCalls(buffer, task.jobs, task.entryPoint);
  if (task.replays) await require('./judge').judge(buffer, task.replays);
}

const leave = process.reallyExit.bind(process);
work().then(
  () => leave(0),
  () => leave(1),
);

'use strict';
// What node is started with: the descriptors of the arena and of the task, and how much of the arena may be
// written. The task is read to its end and gone before any program runs.

const fs = require('node:fs');
const { Arena } = require('./arena');

const [arenaDescriptor, taskDescriptor, bytes] = process.argv.splice(1).map(Number);
const task = JSON.parse(fs.readFileSync(taskDescriptor, 'utf8'));
fs.closeSync(taskDescriptor);
const arena = new Arena(arenaDescriptor, bytes);

async function work() {
  if (task.read) require('./reading').read(arena, task.read, task.entryPoint);
  if (task.jobs) await require('./calling').makeCalls(arena, task.jobs, task.entryPoint);
  if (task.plays) await require('./judging').judge(arena, task.plays);
}

const leave = process.reallyExit.bind(process);
work().then(
  () => leave(0),
  () => leave(1),
);

'use strict';
// Entry point of Node. Arguments: descriptors of the result buffer and of the instructions, writable bytes of the
// buffer. The instructions are read and closed before any program runs.

const fs = require('node:fs');
const { ResultBuffer } = require('./result_buffer');

const [bufferDescriptor, instructionsDescriptor, bytes] = process.argv.splice(1).map(Number);
const instructions = JSON.parse(fs.readFileSync(instructionsDescriptor, 'utf8'));
fs.closeSync(instructionsDescriptor);
const buffer = new ResultBuffer(bufferDescriptor, bytes);
const leave = process.reallyExit.bind(process);

const STEPS = {
  sources: () => require('./compile').compileSources(buffer, instructions.sources, instructions.entryPoint),
  jobs: () => require('./calls').makeCalls(buffer, instructions),
  replays: () => require('./judge').judge(buffer, instructions.replays),
};
const OBJECTS = {
  script: () => require('./serving').leaveState(buffer, instructions),
  candidate: () => require('./serving').serveObjects(buffer, instructions),
  test: () => require('./judging').judgeObjects(buffer, instructions),
};

const [task] = Object.keys(STEPS).filter((name) => name in instructions);
if (task !== undefined) {
  Promise.resolve()
    .then(STEPS[task])
    .then(
      () => leave(0),
      () => leave(1),
    );
} else {
  OBJECTS[Object.keys(OBJECTS).find((name) => name in instructions)](); // ends by itself
}

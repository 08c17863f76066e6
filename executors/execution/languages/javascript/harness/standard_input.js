'use strict';
// Loaded by Node before a program that reads standard input. The sandbox has no /proc, so the path /dev/stdin leads
// nowhere; functions of node:fs read descriptor 0 in its place. Worker threads load this module as well.

const fs = require('node:fs');

const PATHS = ['/dev/stdin', '/dev/fd/0', '/proc/self/fd/0'];
const isInput = (file) => PATHS.includes(file);

for (const name of ['readFileSync', 'readFile']) {
  const original = fs[name];
  fs[name] = (file, ...others) => original(isInput(file) ? 0 : file, ...others);
}
const { openSync, open, createReadStream, existsSync, promises } = fs;
fs.openSync = (file, ...others) => (isInput(file) ? 0 : openSync(file, ...others));
fs.open = (file, ...others) => (isInput(file) ? process.nextTick(others.at(-1), null, 0) : open(file, ...others));
fs.existsSync = (file) => isInput(file) || existsSync(file);
fs.createReadStream = (file, options) => {
  if (!isInput(file)) return createReadStream(file, options);
  return createReadStream('', { ...(typeof options === 'string' ? { encoding: options } : options), fd: 0 });
};
const { readFile } = promises;
promises.readFile = async (file, ...others) =>
  isInput(file) ? fs.readFileSync(0, ...others) : readFile(file, ...others);
require('node:module').syncBuiltinESMExports();
delete require.cache[__filename];

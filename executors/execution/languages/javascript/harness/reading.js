'use strict';
// What can be told of programs without running them.

const { isBuiltin } = require('node:module');
const { compile, requiredModules } = require('./programs');

// What a test may require and still be judged apart: it is the same in any process.
const HARMLESS_MODULES = new Set([
  'assert', 'assert/strict', 'test', 'node:test', 'buffer', 'crypto', 'events', 'path', 'perf_hooks', 'querystring',
  'stream', 'string_decoder', 'timers', 'timers/promises', 'url', 'util',
]);
// What a test does with these, the candidate would feel if both were in one process.
const SHARES_STATE = new RegExp(
  [
    String.raw`\bmock\b`,
    String.raw`\b(?:console|process(?!\.exitCode)|Math|Date|JSON|globalThis|global|prototype)(?:\.[\w$]+)*\s*(?:\[[^\]\n]*\]\s*)?=(?![=>])`,
    String.raw`\bprocess\s*\.\s*(?:on|once|emit|env|std\w+|chdir|send)\b`,
    String.raw`\b(?:global|globalThis)\s*[.[]`,
    String.raw`\bdefineProperty\s*\(\s*(?:console|process|Math|Date|JSON|globalThis|global)\b`,
    String.raw`\b(?:eval|setPrototypeOf|__proto__)\b`,
  ].join('|'),
);
// What a candidate may leave behind for another script in the same process.
const REACHES_OUT = /\b(?:process|require|import|Buffer|__proto__)\b/;
const CALLED = /(?<![.\w$])([A-Za-z_$][\w$]*)\s*\(/g;

function read(arena, sources, entryPoint) {
  for (const [step, [text, kind]] of sources.entries()) {
    arena.begin(step);
    if (compiles(text)) {
      arena.append(JSON.stringify(kind === null ? readCandidate(text) : readTest(text, kind, entryPoint)));
    }
    arena.finish();
  }
}

function compiles(text) {
  try {
    compile(text);
    return true;
  } catch {
    return false;
  }
}

function readCandidate(text) {
  return { content: text, tidy: !REACHES_OUT.test(text) };
}

function readTest(text, kind, entryPoint) {
  const functions = new Set(entryPoint === null ? [] : [entryPoint]);
  for (const [, name] of text.matchAll(CALLED)) functions.add(name);
  const harmless = (name) => !isBuiltin(name) || HARMLESS_MODULES.has(name.replace(/^node:(?!test)/, ''));
  const apart = requiredModules(text).every(harmless) && !SHARES_STATE.test(text);
  return { content: { text, kind, functions: [...functions], entryPoint }, tidy: apart, apart };
}

module.exports = { read };

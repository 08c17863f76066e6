'use strict';
// Compilation of sources, and properties found without running them.

const { isBuiltin } = require('node:module');
const { compile, isCommonJs, requiredModules } = require('./programs');
const { NOT_COMPILED } = require('./protocol');
const { notCompiled } = require('./reasons');

// Modules that behave the same in any process, so a test that requires them can be judged in a
// separate process.
const HARMLESS_MODULES = new Set([
  'assert', 'assert/strict', 'test', 'node:test', 'buffer', 'crypto', 'events', 'path', 'perf_hooks', 'querystring',
  'stream', 'string_decoder', 'timers', 'timers/promises', 'url', 'util',
]);
// Modules that a test may use beside the candidate if only data come from them.
const DATA_MODULES = ['fs', 'fs/promises', 'os'];
// Names of libraries of assertions, which a candidate does not stand for.
const ASSERTING = new Set(['expect', 'should', 'chai', 'jest', 'vi']);
// Uses of state that a test would share with the candidate.
const SHARES_STATE = new RegExp(
  [
    String.raw`\bmock\b|\bstructuredClone\b`,
    String.raw`\b(?:console|process(?!\.exitCode)|Math|Date|JSON|globalThis|global|prototype)(?:\.[\w$]+)*\s*(?:\[[^\]\n]*\]\s*)?=(?![=>])`,
    String.raw`\bprocess\s*\.\s*(?:on|once|emit|env|std\w+|chdir|send)\b`,
    String.raw`\b(?:global|globalThis)\s*[.[]`,
    String.raw`\bdefineProperty\s*\(\s*(?:console|process|Math|Date|JSON|globalThis|global)\b`,
    String.raw`\b(?:eval|setPrototypeOf|__proto__)\b`,
  ].join('|'),
);
// Names through which a candidate may change what other scripts in the process use.
const REACHES_OUT = /\b(?:process|require|import|Buffer|__proto__)\b/;
// Checks that a test makes without a function of node:assert.
const CHECKS_ITSELF = /\bthrow\b|\bprocess\s*\.\s*exit(?:Code)?\b/;
// Names of functions in `all.add(1)` and `{ add: plus }`.
const MEMBER = /([A-Za-z_$][\w$]*)\s*(?:\(|:|as\b)/g;
const INTERPRETS = /\b(?:eval|Function)\s*\(|\bcompileFunction\b|\brunIn\w*Context\b/;
const COMMENT = /^\s*\/\/.*$/gm;
// No members: a point comes before, unless it is the last of three.
const WORD = /(?<!(?<!\.\.)\.\s?|[\w$])[A-Za-z_$][\w$]*/g;
const TYPE_OF = /\btypeof\s+([A-Za-z_$][\w$]*)/g;
const CALLED = /(?<!(?<!\.\.)\.|[\w$])([A-Za-z_$][\w$]*)\s*\(/g;

function compileSources(buffer, sources, entryPoint) {
  for (const [step, [text, kind]] of sources.entries()) {
    buffer.begin(step);
    buffer.append(JSON.stringify(compiled(text, kind, entryPoint)));
    buffer.finish();
  }
}

function compiled(text, kind, entryPoint) {
  try {
    compile(text);
  } catch (error) {
    return [NOT_COMPILED, notCompiled(error)];
  }
  if (kind === 'stdin') return describeProgram(text);
  return kind === null ? describeCandidate(text) : describeTest(text, kind, entryPoint);
}

// Program that reads standard input; `module`: it is an ES module.
function describeProgram(text) {
  return { text, module: !isCommonJs(text) };
}

function describeCandidate(text) {
  return { content: text, selfContained: !REACHES_OUT.test(text) };
}

function describeTest(text, kind, entryPoint) {
  const own = entryPoint === null ? [] : [entryPoint];
  const named = (found) => [...new Set([...own, ...found.filter((name) => !ASSERTING.has(name))])];
  const harmless = (name) => !isBuiltin(name) || HARMLESS_MODULES.has(name.replace(/^node:(?!test)/, ''));
  const plainCalls = requiredModules(text).every(harmless) && !SHARES_STATE.test(text);
  const code = text.replace(COMMENT, '');
  const content = {
    ...{ text, kind, entryPoint },
    functions: named(Array.from(text.matchAll(CALLED), ([, name]) => name)),
    members: Array.from(code.matchAll(MEMBER), ([, name]) => name),
    checksItself: CHECKS_ITSELF.test(code),
    interprets: INTERPRETS.test(code),
    words: named(Array.from(code.matchAll(WORD), ([word]) => word)),
    typesOf: Array.from(code.matchAll(TYPE_OF), ([, word]) => word),
    harmless: [...HARMLESS_MODULES, ...DATA_MODULES],
  };
  return { content, selfContained: plainCalls, plainCalls };
}

module.exports = { compileSources };

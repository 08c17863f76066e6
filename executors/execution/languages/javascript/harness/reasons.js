'use strict';
// Reasons of verdicts: [sentence, details], as `VerdictReason` in rewards/verdict_reason.py reads them.

const { AssertionError } = require('node:assert');
const { inspect, types } = require('node:util');

const MOST = 500; // characters of a sentence and of a detail
const LINE = /\btest\.js:(\d+)/; // of a stack trace

class MissingEntryPointError extends Error {
  constructor(name) {
    super(name);
    this.missing = name;
  }
}

function reason(sentence, detail = {}) {
  const known = Object.entries(detail).filter(([, text]) => text !== undefined && text !== '');
  return [sentence.slice(0, MOST), Object.fromEntries(known.map(([name, text]) => [name, String(text).slice(0, MOST)]))];
}

// Reason of a test that an error has ended. `raiser`: 'candidate' or 'test'.
function ofError(error, raiser) {
  const line = lineOf(error);
  if (error instanceof AssertionError) {
    const compared = error.generatedMessage || error.operator !== 'fail';
    return reason(line ? `The assertion on line ${line} does not hold.` : 'An assertion does not hold.', {
      message: error.message,
      line,
      ...(compared && 'expected' in error && { expected: shown(error.expected), given: shown(error.actual) }),
    });
  }
  try {
    if (!(error instanceof Error) && !types.isNativeError(error)) {
      return reason(`The ${raiser} threw ${shown(error)}.`, { line });
    }
    const { name, message } = named(error);
    return reason(`The ${raiser} raised ${name}.`, { exception: name, message, line, module: missingModule(error) });
  } catch {
    return reason(`The ${raiser} raised an error that has no name.`, { line });
  }
}

// Reason why a candidate could not be loaded.
function notLoaded(error) {
  if (error?.missing !== undefined) return reason(`The candidate does not define ${error.missing}.`);
  try {
    const { name, message } = named(error);
    return reason(`The candidate raised ${name} while it was loaded.`, {
      exception: name,
      message,
      module: missingModule(error),
    });
  } catch {
    return reason('The candidate could not be loaded.');
  }
}

// Reason of a source that does not compile.
function notCompiled(error) {
  const line = /^solution\.js:(\d+)/.exec(String(error.stack))?.[1];
  return reason('The candidate does not compile.', { exception: error.name, message: error.message, line });
}

function named(error) {
  return { name: String(error.constructor?.name || error.name), message: String(error.message) };
}

function missingModule(error) {
  return error.code === 'MODULE_NOT_FOUND' ? /'([^']*)'/.exec(String(error.message))?.[1] : undefined;
}

function lineOf(error) {
  const stack = Object.getOwnPropertyDescriptor(Object(error), 'stack')?.value;
  return typeof stack === 'string' ? LINE.exec(stack)?.[1] : undefined;
}

function shown(value) {
  try {
    return inspect(value, { depth: 4, breakLength: Infinity, customInspect: false });
  } catch {
    return undefined;
  }
}

module.exports = { MissingEntryPointError, reason, ofError, notLoaded, notCompiled };

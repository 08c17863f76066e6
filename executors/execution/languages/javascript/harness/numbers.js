'use strict';
// Results without order in tests that compare numbers: no order of NaN holds, and none denies what a test demands.
// NaN is in doubt in every test that does not name it, what becomes NaN only where an order is denied, and what is
// infinite where a test allows an error in proportion: any error is within such a share.

const { types } = require('node:util');

// An order that is denied, or decides about a statement or an item: it lets what has no order pass.
const DENIED_ORDER =
  /(?:\bif\s*|!\s*[\w$.]*(?:\([^()]*\)[\w$.]*)*|\.(?:filter|find(?:Last)?(?:Index)?|some)\s*)(\((?:[^;{}]|=>\s*\{)*?(?:[^=<]<(?!<)|[^=>]>(?!>))[^;{}]*)/g;
const FALSE_ORDER = /(?:[^=<]<(?!<)|[^=>]>(?!>))[^;{}]*,\s*false\b/;
const OF_NUMBERS = /\bMath\s*\./;
const NAMES_NAN = /\b(?:NaN|isNaN|isFinite|isInteger|isSafeInteger)\b/;
const NAMES_INFINITE = /\b(?:Infinity|isFinite|isInteger|isSafeInteger|POSITIVE_INFINITY|NEGATIVE_INFINITY)\b/;
const IN_PROPORTION = /\*\s*Math\s*\.\s*(?:abs|max)\b|\bMath\s*\.\s*(?:abs|max)\s*\([^;]*\)\s*\*/;
const NAMES_NOTHING = /\b(?:undefined|null)\b|\?\?|\?\./;
const DEEPEST = 4;

class Numbers {
  constructor(text) {
    this.text = text;
    const conditions = Array.from(text.matchAll(DENIED_ORDER), ([, condition]) => condition);
    this.namesNaN = NAMES_NAN.test(text);
    this.inProportion = IN_PROPORTION.test(text) && !NAMES_INFINITE.test(text);
    this.orders = (conditions.length > 0 || FALSE_ORDER.test(text)) && !this.namesNaN;
    this.measures = this.orders && conditions.some((condition) => OF_NUMBERS.test(condition));
    this.doubtful = false;
  }

  // The candidate's function of this name has returned a value, or a property of its object has it.
  note(name, value) {
    if (this.doubtful) return;
    this.doubtful = this.inProportion && holds(value, isInfinite, DEEPEST);
    if (this.doubtful || this.namesNaN) return;
    this.doubtful = holds(value, Number.isNaN, DEEPEST);
    if (!this.orders || this.doubtful) return;
    if (typeof value === 'string') this.doubtful = this.measures && Number.isNaN(Number(value));
    else if (value === undefined) this.doubtful = !NAMES_NOTHING.test(this.text) && !this.discards(name);
  }

  // True if the test calls the function as a statement.
  discards(name) {
    const before = this.text.split(new RegExp(`(?<![\\w$])${escaped(name)}\\s*\\(`)).slice(0, -1);
    return before.length === 0 || before.some((text) => /(?:^|[;{}\n)]|=>)\s*(?:await\s+|new\s+)?[\w$.]*$/.test(text));
  }
}

// True if a value is such a number or date, or holds one.
function holds(value, isSuch, depth) {
  if (typeof value === 'number') return isSuch(value);
  if (value === null || typeof value !== 'object' || types.isProxy(value) || depth === 0) return false;
  if (types.isDate(value)) return isSuch(Date.prototype.getTime.call(value));
  return Object.values(value).some((item) => holds(item, isSuch, depth - 1));
}

function isInfinite(value) {
  return Math.abs(value) === Infinity;
}

function escaped(name) {
  return String(name).replace(/[^\w]/g, '\\$&');
}

module.exports = { Numbers };

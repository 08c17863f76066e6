'use strict';
// Candidates, loaded in the process that runs them.

const vm = require('node:vm');
const { types } = require('node:util');
const { compile, requirer, run } = require('./programs');
const { MissingEntryPointError } = require('./reasons');

const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const ENDING = ';module.exports = [module.exports, function () { return eval(arguments[0]); }];';
const NEVER = Symbol('never settles');

class Loaded {
  // `module`: what the program exports. `look`: value of an expression at the end of the program.
  constructor(module, look, entryPoint) {
    this.module = module;
    this.look = look;
    this.entryPoint = entryPoint;
  }

  // Value of a name, in a list; undefined if the program does not define it.
  find(name) {
    for (const lookup of [
      () => mayBeBound(name) && [this.look(`[${name}]`)[0]],
      () => name in this.module && [this.module[name]],
      () => isObject(this.module.default) && Object.hasOwn(this.module.default, name) && [this.module.default[name]],
      () => name === this.entryPoint && [this.module.default ?? this.module],
    ]) {
      try {
        const found = lookup();
        if (found) return found;
      } catch {
        // There is no such name.
      }
    }
    return undefined;
  }

  findFunction(name) {
    const value = this.find(name)?.[0];
    if (typeof value === 'function') return value;
    const whole = name === this.entryPoint ? (this.module.default ?? this.module) : undefined;
    return typeof whole === 'function' ? whole : undefined;
  }
}

function isObject(value) {
  return typeof value === 'object' && value !== null;
}

// Run a candidate. Throws what it throws, or MissingEntryPointError.
async function load(text, realm, entryPoint) {
  const running = run(compile(text, realm.context, { ending: ENDING }), realm, requirer());
  const { exports } = types.isPromise(running) ? await settled(running) : running;
  const loaded = new Loaded(...exports, entryPoint);
  if (entryPoint !== null && loaded.findFunction(entryPoint) === undefined) throw new MissingEntryPointError(entryPoint);
  return loaded;
}

// True if a program can define the name: it is an identifier and not a reserved word.
function mayBeBound(name) {
  try {
    return NAME.test(name) && Boolean(new vm.Script(`'use strict'; () => ${name}`));
  } catch {
    return false;
  }
}

// Value of a promise; NEVER if nothing is left that could settle it.
function settled(promise) {
  return new Promise((resolve, reject) => {
    const giveUp = () => setImmediate(resolve, NEVER);
    process.once('beforeExit', giveUp);
    const settle = (act) => (value) => {
      process.off('beforeExit', giveUp);
      act(value);
    };
    Promise.prototype.then.call(promise, settle(resolve), settle(reject));
  });
}

module.exports = { load, mayBeBound, settled, NEVER };

'use strict';
// Mirrors of objects that lie in the other process: each operation on one is a request.

const LOCAL = ['call', 'apply', 'bind']; // methods of every function, which call it in the end
const { defineProperty, getOwnPropertyDescriptor } = Reflect;
const localMethods = new Map(LOCAL.map((name) => [name, Function.prototype[name]]));
const hasInstance = Function.prototype[Symbol.hasInstance];

// Mirror of an object with this shape (carrier.js). `watch` is told what a program does with mirrors.
function makeMirror(session, number, [form], watch) {
  const isFunction = form === 1 || form === 2;
  const target = { 0: () => ({}), 1: () => ({ m() {} }).m, 2: () => function () {}.bind(), 3: () => [] }[form]();
  if (isFunction) {
    delete target.name;
    delete target.length;
  }
  const ask = (operation, ...given) => session.ask(operation, mirror, ...given);
  const ofMirror = (receiver) => (receiver === mirror ? [] : [receiver]);
  const property = (key) => {
    const entries = ask('getOwnPropertyDescriptor', key);
    return entries.length > 0 ? Object.fromEntries(entries) : undefined;
  };
  let fixed = false;

  // The target gets what the rules on proxies demand of it once its object cannot be extended.
  const fix = () => {
    if (fixed) return;
    fixed = true;
    const keys = ask('ownKeys');
    for (const key of Reflect.ownKeys(target)) if (!keys.includes(key)) delete target[key];
    for (const key of keys) defineProperty(target, key, property(key));
    Reflect.setPrototypeOf(target, ask('getPrototypeOf'));
    Reflect.preventExtensions(target);
  };

  const mirror = new Proxy(target, {
    get(_, key, receiver) {
      if (isFunction) {
        if (localMethods.has(key)) return localMethods.get(key);
        if (key === Symbol.hasInstance) {
          if (!ask('hasOwnInstanceCheck')) return hasInstance;
          watch.checks();
        }
      }
      if (key === Symbol.toPrimitive && !isFunction && receiver === mirror) {
        return (hint) => watch.converted(mirror, hint, ask('toPrimitive', hint));
      }
      const found = ask('get', key, ...ofMirror(receiver));
      watch.got(mirror, key, found);
      return found;
    },
    set: (_, key, value, receiver) => watch.changed(mirror, value, ask('set', key, value, ...ofMirror(receiver))),
    has: (_, key) => watch.contains(mirror, ask('has', key)),
    deleteProperty: (_, key) => ask('deleteProperty', key),
    ownKeys: () => ask('ownKeys'),
    getOwnPropertyDescriptor: (_, key) => {
      const found = property(key);
      if (found === undefined) return undefined;
      if (!found.configurable && !getOwnPropertyDescriptor(target, key)) defineProperty(target, key, found);
      return found;
    },
    defineProperty: (_, key, wanted) => {
      const done = ask('defineProperty', key, wanted);
      if (done && wanted.configurable === false) defineProperty(target, key, property(key));
      return done;
    },
    getPrototypeOf: () => ask('getPrototypeOf'),
    setPrototypeOf: (_, prototype) => ask('setPrototypeOf', prototype),
    isExtensible: () => {
      const extensible = ask('isExtensible');
      if (!extensible) fix();
      return extensible;
    },
    preventExtensions: () => {
      const done = ask('preventExtensions');
      if (done) fix();
      return done;
    },
    ...(isFunction && {
      apply: (_, self, given) => {
        watch.calls(mirror, given);
        return watch.called(mirror, self, given, ask('apply', self, ...given));
      },
      construct: (_, given, newTarget) => watch.made(given, ask('construct', newTarget === mirror ? undefined : newTarget, ...given)),
    }),
  });
  watch.noteBirth(mirror);
  return mirror;
}

// Watch that lets everything pass.
const UNWATCHED = {
  converted: (_, __, value) => value,
  got: () => {},
  changed: (_, __, done) => done,
  contains: (_, found) => found,
  calls: () => {},
  called: (_, __, ___, result) => result,
  made: (_, object) => object,
  checks: () => {},
  noteBirth: () => {},
};

module.exports = { makeMirror, UNWATCHED };

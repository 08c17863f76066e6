'use strict';
// Values as JSON that passes between a judge process and a candidate process, and the objects that both know.
//
// Plain data is copied, and the copies stay equal: what a program changes in place travels with the next message.
// Any other object stays where it is and is a mirror on the other side. Every object that has crossed has a number:
// positive if it lies in the judge process, negative if in the candidate process.

const { types } = require('node:util');
const { ERRORS, WELL_KNOWN_SYMBOLS, objects: intrinsics, names: intrinsicNames, modules, builtinPath, atPath } = require('./intrinsics');
const { plainKind, integrity, protect, content, define, SPARSE } = require('./plain_data');

const MOST_SHARED = 4000; // objects whose changes are carried
const LONGEST_SHARED = 100_000; // elements of one of them
const NATIVE = /\{\s*\[native code\]\s*\}\s*$/;
const toText = Function.prototype.toString;

class MalformedError extends Error {}
class NotCarriedError extends Error {}

class Carrier {
  // `owner`: 1 in a judge process, -1 in a candidate process. `mirror` makes a mirror of the object with a number
  // and a shape; `promise` a promise for one with a number.
  constructor(owner, { mirror, promise, awaited }) {
    this.owner = owner;
    this.makeMirror = mirror;
    this.makePromise = promise;
    this.awaited = awaited; // called with each promise of this side that crosses, and its number
    this.numbers = new Map();
    this.objects = new Map();
    this.shared = new Map(); // number: object, kind and flat content as both sides know it
    this.mirrors = new Set();
    this.next = 0;
    this.base = 0;
  }

  // Number for a new object of this side; the same in every process that has served the same requests.
  number(value) {
    this.next += 1;
    const number = this.owner * (this.base + this.next);
    this.register(number, value);
    return number;
  }

  register(number, value) {
    this.numbers.set(value, number);
    this.objects.set(number, value);
  }

  encode(value) {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value;
      case 'number':
        return Number.isFinite(value) && !Object.is(value, -0) ? value : ['n', Object.is(value, -0) ? '-0' : String(value)];
      case 'undefined':
        return ['u'];
      case 'bigint':
        return ['b', String(value)];
      case 'symbol':
        return this.encodeSymbol(value);
      default:
        return value === null ? null : this.encodeObject(value);
    }
  }

  encodeSymbol(symbol) {
    if (WELL_KNOWN_SYMBOLS.has(symbol)) return ['y', 'known', WELL_KNOWN_SYMBOLS.get(symbol)];
    if (Symbol.keyFor(symbol) !== undefined) return ['y', 'for', Symbol.keyFor(symbol)];
    const known = this.numbers.get(symbol);
    return ['y', 'own', known ?? this.number(symbol), symbol.description ?? null];
  }

  encodeObject(value) {
    const known = this.numbers.get(value);
    if (known !== undefined) return ['@', known];
    if (intrinsicNames.has(value)) return ['i', intrinsicNames.get(value)];
    if (modules.has(value)) return ['i', modules.get(value)];
    if (this.owner > 0 && typeof value === 'function' && !types.isProxy(value) && NATIVE.test(toText.call(value))) {
      const path = builtinPath(value);
      if (path !== undefined) return ['i', path];
    }
    if (types.isPromise(value) && Object.getPrototypeOf(value) === Promise.prototype) {
      const number = this.number(value);
      this.awaited(number, value);
      return ['p', number];
    }
    const kind = plainKind(value, this.owner > 0);
    if (kind === undefined) return ['h', this.number(value), shape(value)];
    const number = this.number(value);
    const flat = content(kind, value);
    const level = integrity(value);
    this.share(number, value, kind, flat, level);
    const fixed = {
      error: () => [intrinsicNames.get(Object.getPrototypeOf(value)).replace('.prototype', ''), String(value.stack)],
      regexp: () => [value.source, value.flags],
      typed: () => [intrinsicNames.get(Object.getPrototypeOf(value)).replace('.prototype', '')],
      boxed: () => [this.encode(value.valueOf())],
    }[kind];
    return [kind, number, level, fixed?.() ?? 0, this.encodeFlat(flat)];
  }

  encodeFlat(flat) {
    if (flat[0] === SPARSE) return [['-'], ...flat.slice(1).map((item) => this.encode(item))];
    return flat.map((item) => this.encode(item));
  }

  share(number, object, kind, flat, level) {
    if (level !== 0 || kind === 'boxed' || flat.length > LONGEST_SHARED) return;
    this.shared.set(number, { object, kind, flat });
    if (this.shared.size > MOST_SHARED) this.shared.delete(this.shared.keys().next().value);
  }

  // Numbers and contents of what has changed on this side since the last message.
  changes() {
    const changed = [];
    for (const [number, entry] of this.shared) {
      const flat = content(entry.kind, entry.object);
      const level = integrity(entry.object);
      if (level === 0 && same(flat, entry.flat)) continue;
      entry.flat = flat;
      if (level !== 0) this.shared.delete(number);
      changed.push([number, level, this.encodeFlat(flat)]);
    }
    return changed;
  }

  // Apply changes of the other side. `replaced` is called for each that takes a function of this side away.
  apply(changed, replaced) {
    for (const [number, level, encoded] of list(changed)) {
      const entry = this.shared.get(number);
      if (entry === undefined) throw new MalformedError('change of an unknown object');
      const before = entry.flat;
      this.fill(entry.kind, entry.object, list(encoded));
      entry.flat = content(entry.kind, entry.object);
      const kept = new Set(entry.flat);
      if (before.some((item) => typeof item === 'function' && !this.mirrors.has(item) && !kept.has(item))) replaced();
      protect(entry.object, level);
      if (level !== 0) this.shared.delete(number);
    }
  }

  decode(encoded) {
    if (encoded === null || typeof encoded !== 'object') return encoded;
    const [tag, inner, ...rest] = list(encoded);
    switch (tag) {
      case 'n':
        return Number(text(inner));
      case 'u':
        return undefined;
      case 'b':
        if (!/^-?\d+$/.test(text(inner))) throw new MalformedError('bigint');
        return BigInt(inner);
      case 'y':
        return this.decodeSymbol(inner, rest);
      case '@':
        if (!this.objects.has(inner)) throw new MalformedError('unknown object');
        return this.objects.get(inner);
      case 'i':
        return this.decodeIntrinsic(text(inner));
      case 'p':
        return this.adopt(inner, this.makePromise(inner));
      case 'h': {
        const mirror = this.makeMirror(inner, list(rest[0]));
        this.mirrors.add(mirror);
        return this.adopt(inner, mirror);
      }
      default:
        return this.decodePlain(text(tag), inner, rest);
    }
  }

  decodeSymbol(kind, [name, description]) {
    if (kind === 'known' && typeof Symbol[text(name)] === 'symbol') return Symbol[name];
    if (kind === 'for') return Symbol.for(text(name));
    if (kind !== 'own') throw new MalformedError('symbol');
    return this.objects.get(name) ?? this.adopt(name, Symbol(description === null ? undefined : text(description)));
  }

  // A judge process takes prototypes and constructors by name, no function of a library.
  decodeIntrinsic(name) {
    const found = this.owner > 0 ? intrinsics.get(name) : atPath(name);
    if (found === undefined) throw new MalformedError('unknown name');
    return found;
  }

  adopt(number, value) {
    const foreign = Number.isSafeInteger(number) && number * this.owner < 0;
    if (!foreign || this.objects.has(number)) throw new MalformedError('number');
    this.register(number, value);
    return value;
  }

  decodePlain(kind, number, [level, fixed, encoded]) {
    const value = this.adopt(number, this.empty(kind, fixed, encoded));
    this.fill(kind, value, list(encoded));
    protect(value, level);
    this.share(number, value, kind, content(kind, value), level);
    return value;
  }

  empty(kind, fixed, encoded) {
    switch (kind) {
      case 'array':
        return [];
      case 'object':
        return {};
      case 'bare':
        return Object.create(null);
      case 'map':
        return new Map();
      case 'set':
        return new Set();
      case 'date':
        return new Date(NaN);
      case 'regexp':
        return regexp(list(fixed));
      case 'typed': {
        const bytes = Buffer.from(text(list(encoded)[0]), 'base64');
        const type = intrinsics.get(text(list(fixed)[0]));
        if (type === Buffer) return Buffer.alloc(bytes.length);
        if (!Number.isInteger(bytes.length / type?.BYTES_PER_ELEMENT)) throw new MalformedError('typed array');
        return new type(bytes.length / type.BYTES_PER_ELEMENT);
      }
      case 'buffer':
        return new ArrayBuffer(Buffer.from(text(list(encoded)[0]), 'base64').length);
      case 'boxed':
        return Object(this.decode(list(fixed)[0]));
      case 'error': {
        const [name, stack] = list(fixed);
        if (!ERRORS.includes(name)) throw new MalformedError('error');
        const error = new Error();
        delete error.message;
        Object.setPrototypeOf(error, intrinsics.get(`${name}.prototype`));
        Object.defineProperty(error, 'stack', { value: text(stack), writable: true, configurable: true });
        return error;
      }
      default:
        throw new MalformedError('unknown tag');
    }
  }

  fill(kind, value, encoded) {
    if (kind === 'array' && encoded[0]?.[0] === '-') {
      value.length = 0;
      value.length = this.decode(encoded[1]);
      this.defineAll(value, encoded.slice(2), true);
      return;
    }
    const bytes = () => Buffer.from(text(encoded[0]), 'base64');
    switch (kind) {
      case 'array':
        for (const key of Object.keys(value)) delete value[key];
        value.length = 0;
        encoded.forEach((item, place) => define(value, place, this.decode(item)));
        break;
      case 'object':
      case 'bare':
      case 'error':
        for (const key of Reflect.ownKeys(value)) if (kind !== 'error' || key !== 'stack') delete value[key];
        this.defineAll(value, encoded, (key) => kind !== 'error' || !['message', 'cause', 'errors'].includes(key));
        break;
      case 'map':
        value.clear();
        for (let place = 0; place + 1 < encoded.length; place += 2) {
          value.set(this.decode(encoded[place]), this.decode(encoded[place + 1]));
        }
        break;
      case 'set':
        value.clear();
        for (const item of encoded) value.add(this.decode(item));
        break;
      case 'date':
        value.setTime(number(this.decode(encoded[0])));
        break;
      case 'regexp':
        value.lastIndex = number(this.decode(encoded[0]));
        break;
      case 'typed':
        Buffer.from(value.buffer, value.byteOffset, value.byteLength).set(bytes().subarray(0, value.byteLength));
        break;
      case 'buffer':
        Buffer.from(value).set(bytes().subarray(0, value.byteLength));
        break;
      default:
    }
  }

  defineAll(value, encoded, enumerable) {
    for (let place = 0; place + 1 < encoded.length; place += 2) {
      const key = this.decode(encoded[place]);
      if (typeof key !== 'string' && typeof key !== 'symbol') throw new MalformedError('key');
      define(value, key, this.decode(encoded[place + 1]), enumerable === true || enumerable(key));
    }
  }
}

// What a mirror has to be: 0 for an object, 1 for a function, 2 for a constructor, 3 for an array; its name.
function shape(value) {
  if (typeof value !== 'function') return [Array.isArray(value) ? 3 : 0, ''];
  const name = Object.getOwnPropertyDescriptor(value, 'name')?.value;
  return [isConstructor(value) ? 2 : 1, typeof name === 'string' ? name : ''];
}

function isConstructor(value) {
  try {
    Reflect.construct(Object, [], value);
    return true;
  } catch {
    return false;
  }
}

function regexp([source, flags]) {
  try {
    return new RegExp(text(source), text(flags));
  } catch {
    throw new MalformedError('regular expression');
  }
}

function same(one, other) {
  if (one.length !== other.length) return false;
  for (let place = 0; place < one.length; place += 1) if (!Object.is(one[place], other[place])) return false;
  return true;
}

function list(value) {
  if (!Array.isArray(value)) throw new MalformedError('no list');
  return value;
}

function text(value) {
  if (typeof value !== 'string') throw new MalformedError('no text');
  return value;
}

function number(value) {
  if (typeof value !== 'number') throw new MalformedError('no number');
  return value;
}

module.exports = { Carrier, MalformedError, NotCarriedError };

'use strict';
// Functions of the language and of Node that a test replaces, for the candidate to call.

const PATHS = [
  ...['log', 'info', 'warn', 'error', 'debug', 'table', 'dir'].map((name) => `console.${name}`),
  ...['random', 'floor', 'round'].map((name) => `Math.${name}`),
  ...['Date.now', 'JSON.parse', 'JSON.stringify', 'globalThis.fetch', 'globalThis.Date', 'performance.now'],
];

class Patches {
  constructor(carrier) {
    this.carrier = carrier;
    this.places = [];
  }

  // From now on, what stands in these places and stood there before is told.
  begin() {
    this.places = PATHS.map((path) => {
      const [owner, key] = path.split('.');
      const object = globalThis[owner];
      return { path, object, key, original: object[key], told: object[key] };
    });
  }

  pieces() {
    const changed = [];
    for (const place of this.places) {
      const now = place.object[place.key];
      if (now === place.told) continue;
      place.told = now;
      changed.push([place.path, now === place.original ? null : this.carrier.encode(now)]);
    }
    return changed;
  }
}

module.exports = { Patches };

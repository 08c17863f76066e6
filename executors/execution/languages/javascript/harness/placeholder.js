'use strict';
// Result that equals everything, so that a test goes on and shows its further calls.

const MOST_USES = 2000; // a test that exceeds this loops on the placeholder

class Placeholder {
  // `ending` returns the error to throw in a test that does not end.
  constructor(ending) {
    this.ending = ending;
    // Number of uses. Once it is used, the test decides no verdict.
    this.uses = 0;
    this.settled = this.absorbing({ then: undefined });
    this.value = this.absorbing({
      then: (resolve) => {
        this.use();
        if (typeof resolve === 'function') resolve(this.settled);
        return this.value;
      },
    });
  }

  use() {
    this.uses += 1;
    if (this.uses > MOST_USES) throw this.ending();
    return this.value;
  }

  absorbing(own) {
    return new Proxy(() => {}, {
      get: (_, key) => {
        this.use();
        if (key in own) return own[key];
        if (key === Symbol.toPrimitive) return () => 0;
        if (key === Symbol.iterator) return () => [][Symbol.iterator]();
        return typeof key === 'symbol' ? undefined : this.value;
      },
      apply: () => this.use(),
      construct: () => this.use(),
      has: () => this.use() !== null,
      set: () => true,
    });
  }
}

module.exports = { Placeholder };

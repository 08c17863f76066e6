'use strict';
// A result that is not known yet, made so that a test goes on and shows its further calls.

const MOST_USES = 2000; // a test that needs more loops on its guess

class Guess {
  // `ending` makes what is thrown at a test that goes on for ever.
  constructor(ending) {
    this.ending = ending;
    // How often it has been used; from then on nothing that the test does decides a verdict.
    this.made = 0;
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
    this.made += 1;
    if (this.made > MOST_USES) throw this.ending();
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

module.exports = { Guess };

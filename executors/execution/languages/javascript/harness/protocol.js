'use strict';
// What the texts in the arena begin with (executors/execution/languages/base.py), and verdicts by number
// (rewards/problem.py).

module.exports = {
  RETURNED: 'r',
  RAISED: 'e',
  OPAQUE: 'o',
  ENDED: 'x',

  NOT_LOADED: 'l',
  VERDICT: 'v',
  MORE: 'm',
  TOGETHER: 't',

  FAILED: 0,
  PASSED: 1,
  ERRORED: 2,
  TIMED_OUT: 3,
  OUT_OF_MEMORY: 4,
  KILLED: 5,
};

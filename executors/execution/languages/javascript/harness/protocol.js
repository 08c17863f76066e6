'use strict';
// First elements of results and step messages (executors/execution/languages/messages.py), and numbers of verdicts
// (rewards/problem.py).

module.exports = {
  RETURNED: 'r',
  RAISED: 'e',
  OPAQUE: 'o',
  ENDED: 'x',

  NOT_COMPILED: 'c',
  NOT_LOADED: 'l',
  VERDICT: 'v',
  MORE: 'm',
  OBJECTS: 't',
  IF_EQUAL: 's',

  FAILED: 0,
  PASSED: 1,
  ERRORED: 2,
  TIMED_OUT: 3,
  OUT_OF_MEMORY: 4,
  KILLED: 5,
  UNCONFIRMED: 6,
};

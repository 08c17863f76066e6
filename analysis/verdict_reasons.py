"""Counts of the reasons for which pairs of a run are unconfirmed, errored or not compiled."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import GENERAL_SENTENCES
from testbudget.traces.pair_reasons import PairReasons
from testbudget.traces.records import VerdictRecord

COUNTED_VERDICTS = (Verdict.UNCONFIRMED, Verdict.ERRORED, Verdict.COMPILE_ERROR)
"""Verdicts whose reasons are counted."""

ReasonCounts = Counter[tuple[Verdict, str]]
"""Number of pairs by verdict and sentence."""


def count_reasons(verdicts: Mapping[int, VerdictRecord], recorded: PairReasons | None) -> ReasonCounts:
    """Count the reasons of a problem's pairs with `COUNTED_VERDICTS`.

    Args:
        verdicts: verdicts on the distinct programs, by index of the test.
        recorded: reasons of the pairs; None if unknown. A pair without one counts under the general
            sentence of its verdict.
    """
    counts: ReasonCounts = Counter()
    for test, record in verdicts.items():
        reasons = [] if recorded is None else recorded.of_test(test)
        reasons += [None] * (len(record.verdicts) - len(reasons))
        for verdict in COUNTED_VERDICTS:
            for program in np.flatnonzero(record.verdicts == verdict).tolist():
                reason = reasons[program]
                counts[verdict, GENERAL_SENTENCES[verdict] if reason is None else reason.sentence] += 1
    return counts


def count_cut_pairs(recorded: PairReasons | None) -> int:
    """Number of a problem's pairs that were cut off before their full limit."""
    return 0 if recorded is None else int(np.count_nonzero(recorded.cut_at))

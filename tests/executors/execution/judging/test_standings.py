"""Choice of the slow pairs that are run to their full limit."""

import pytest

from testbudget.executors.execution.judging.pair_table import PairTable
from testbudget.executors.execution.judging.standings import next_unsettled
from testbudget.executors.execution.limits import TestLimits
from testbudget.rewards.problem import Verdict


def table(*rows):
    """Table of pairs from one text for each candidate: p passed, f failed, s slow, o open."""
    pairs = [(candidate, test) for candidate, row in enumerate(rows) for test in range(len(row))]
    made = PairTable(pairs, TestLimits(max_timeouts=10))
    for candidate, test in pairs:
        match rows[candidate][test]:
            case "p":
                made.close([(candidate, test)], Verdict.PASSED)
            case "f":
                made.close([(candidate, test)], Verdict.FAILED)
            case "s":
                made.mark_slow((candidate, test), 0.05)
    return made


@pytest.mark.parametrize(
    ("rows", "standing", "expected"),
    [
        (["ppp", "pps"], [0, 0], (1, 2)),  # may draw level
        (["ppp", "pfs"], [0, 0], None),  # cannot
        (["ppp", "pfs"], [0, 1], (1, 2)),  # can, with what it has passed before
        (["pps", "fff"], [0, 0], None),  # leads whatever comes
        (["sff", "fff"], [0, 0], (0, 0)),
        (["sff"], [0], None),
        (["sss", "pss", "ppf"], [0, 0, 0], (0, 0)),  # the highest upper bound first, then in order
        (["ppp", "ppf"], [0, 0], None),
        (["pp", "so"], [0, 0], (1, 0)),  # a pair that was held back counts as undecided
    ],
)
def test_only_pairs_that_can_change_who_leads_are_settled(rows, standing, expected):
    assert next_unsettled(table(*rows), standing) == expected


def test_all_slow_pairs_are_settled_if_all_are_wanted():
    made = table("pps", "sff")
    assert next_unsettled(made, None) == (0, 2)
    made.mark_resumed((0, 2))
    made.close([(0, 2)], Verdict.TIMED_OUT)
    assert next_unsettled(made, None) == (1, 0)
    made.close([(1, 0)], Verdict.FAILED)
    assert next_unsettled(made, None) is None

"""Choice of the slow pairs whose verdicts can still change which candidates lead."""

from collections import Counter
from collections.abc import Sequence

from testbudget.executors.execution.judging.pair_table import Pair, PairTable
from testbudget.rewards.problem import Verdict


def next_unsettled(pair_table: PairTable, standing: Sequence[int] | None) -> Pair | None:
    """Slow pair to run to its full limit next; None if no verdict on one can change who leads.

    A candidate leads if no other has passed more tests. Undecided pairs give each candidate a lower and an
    upper bound of its passes. Its verdicts matter while it can reach the highest lower bound, unless it
    leads whatever they are.

    Args:
        pair_table: state of all pairs.
        standing: tests that each candidate has passed before the block; None if all verdicts are wanted.
    """
    slow = [pair for pair in pair_table if pair_table.is_slow(pair)]
    if not slow or standing is None:
        return min(slow, default=None)
    passed = Counter(pair[0] for pair in pair_table if pair_table[pair].verdict == Verdict.PASSED)
    undecided = Counter(pair[0] for pair in pair_table if pair_table.is_open(pair))
    lower = [known + passed[candidate] for candidate, known in enumerate(standing)]
    upper = [bound + undecided[candidate] for candidate, bound in enumerate(lower)]

    def matters(candidate: int) -> bool:
        others = [number for number in range(len(lower)) if number != candidate]
        leads_anyway = all(upper[other] < lower[candidate] for other in others)
        return not leads_anyway and upper[candidate] >= max(lower)

    wanted = [pair for pair in slow if matters(pair[0])]
    return min(wanted, key=lambda pair: (-upper[pair[0]], pair), default=None)

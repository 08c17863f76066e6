"""Bound, valid at any time, on the probability that more tests of this kind would change a pick.

The tests of a problem are draws of one kind: of all tests that the model would write for it. Let p_c be
the share of these that candidate c passes. A pick is *overtaken* if a candidate outside its output group
has p_c at least as large as the pick's: then enough further tests would take its lead. The bound is
anytime-valid: for a pick that is overtaken, the probability that it is below delta after any number of
tests is at most delta. So tests may be added, and the bound be looked at, until it is low.

Only tests that tell two candidates apart count. If h passes at least as many tests in the long run as g,
each test that one of them alone passes goes to g with probability 1/2 at most. So with a such tests won
by g and b won by h, the likelihood ratio of a win rate uniform on (1/2, 1] against 1/2,

    E_gh = 2^(a+b+1) * integral over t from 1/2 to 1 of t^a (1 - t)^b,

is a nonnegative supermartingale that starts at 1 (an e-process), and by Ville's inequality it ever
reaches x with probability at most 1/x. A pick is overtaken by one candidate at least, and to exclude that
each E_gh must be large: their minimum counts, without a correction for their number. The pick itself is
chosen by the tests, so e-processes are averaged over all C candidates in its place; n of them passed the
same tests as it, so

    bound = C / (n * min over h of E_gh), at most 1.

A candidate that passed the same tests with other outputs has E = 1, so that nothing is said as long as
tests do not tell it from the pick. An eliminated candidate counts with the tests that it was run on,
since bets on the later ones are left out. Nothing is fitted or chosen on data. A rule that also weighs
agreement can change its pick without a change of the lead; ``benchmarks/generalisation.py`` counts how
often picks change.

Sources: J. Ville 1939; mixtures of likelihood ratios, H. Robbins 1970; e-processes, A. Ramdas and others,
arXiv 2210.01948.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import output_groups_or_pass_sets


def overtaking_bound(evidence: Evidence, pick: int) -> float:
    """Largest probability that more tests of this kind would take the lead of a pick, in (0, 1].

    Args:
        evidence: evidence on one problem, its tests in the order in which they were drawn.
        pick: position of the pick.

    Returns:
        The bound; 1 if nothing can be said, as before the first test and where nothing was told apart.
    """
    sizes = evidence.column_sizes
    passed, run = evidence.votes.passed(), evidence.votes.run()
    both_run = run & run[:, [pick]]
    won = (both_run & passed[:, [pick]] & ~passed).sum(axis=0)
    lost = (both_run & ~passed[:, [pick]] & passed).sum(axis=0)
    groups = output_groups_or_pass_sets(evidence)
    others = groups != groups[pick]
    if not others.any():
        return 1.0
    same_tests = (won == 0) & (lost == 0) & (run == run[:, [pick]]).all(axis=0)
    least = log_evidence(won[others], lost[others]).min()
    return float(min(1.0, sizes.sum() / sizes[same_tests].sum() * np.exp(-least)))


def log_evidence(won: NDArray[np.intp], lost: NDArray[np.intp]) -> NDArray[np.float64]:
    """Logarithm of ``E_gh`` by the tests that g alone, and h alone, passed; float64 of their shape."""
    # The upper half of the beta distribution is the lower half of its mirror image.
    half = betainc(lost + 1, won + 1, 0.5)
    return np.asarray((won + lost + 1) * np.log(2) + betaln(won + 1, lost + 1) + np.log(half))

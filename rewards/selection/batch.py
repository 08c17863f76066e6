"""Statistics of a batch: the tests of all its problems, pooled by number of tests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.calibration import GroupRows
from testbudget.rewards.calibration_fit import BatchCalibration, calibrated_counts
from testbudget.rewards.equivalence import merge_equal
from testbudget.rewards.outputs import BatchStatistics, Evidence
from testbudget.rewards.prefix_statistics import USUAL_MINORITY_RATIO, PrefixStatistics


@dataclass(frozen=True, slots=True, eq=False)
class BatchContribution:
    """Part of one problem in the statistics of a batch.

    Attributes:
        sums: float64 (4, tests + 1), summands of the pooled statistics by number of tests.
        groups: output groups by number of tests, see ``BatchCalibration``.
    """

    sums: NDArray[np.float64]
    groups: Mapping[int, GroupRows]


def batch_contribution(problem: Evidence) -> BatchContribution:
    """Part of one problem, for :func:`combine_batch`. It takes longer than combining."""
    return contribution_by(PrefixStatistics(problem, range(problem.votes.tests + 1)))


def contribution_by(statistics: PrefixStatistics) -> BatchContribution:
    """Part of one problem by its statistics after 0, 1, ..., all tests."""
    tests = len(statistics.passed)
    counts = sorted({*calibrated_counts(tests), tests})
    rows = dict(zip(counts, _group_rows(statistics, counts), strict=True))
    return BatchContribution(_pass_shares(statistics), rows)


def contribution_at(statistics: PrefixStatistics) -> BatchContribution:
    """Part of one problem by its statistics after some numbers of tests alone, 0 and all of them included.

    The statistics of a batch of such parts hold for these numbers of tests.
    """
    sums = np.zeros((4, len(statistics.passed) + 1))
    sums[:, statistics.counts] = _pass_shares(statistics)
    sums[0] = 1
    counts = statistics.counts.tolist()
    return BatchContribution(sums, dict(zip(counts, _group_rows(statistics, counts), strict=True)))


def final_statistics(problems: Sequence[Evidence]) -> list[PrefixStatistics]:
    """Statistics of each problem of a batch after all its tests, in the last row, with their calibration.

    The calibration is the same for every number of tests. Statistics of the batch are otherwise unknown.
    """
    found = [_final(problem) for problem in problems]
    most = max((one.votes.tests for one in problems), default=0)
    unknown = np.full(most + 1, np.nan)
    calibration = BatchCalibration([{0: rows} for _, rows in found], most)
    batch = BatchStatistics(unknown, unknown, calibration)
    return [statistics.with_batch(batch) for statistics, _ in found]


def _final(problem: Evidence) -> tuple[PrefixStatistics, GroupRows]:
    """Statistics of a problem after all its tests, in the last row, and its output groups."""
    tests = problem.votes.tests
    statistics = PrefixStatistics(problem, sorted({_complete_tests(problem), tests}))
    return statistics, _group_rows(statistics, [tests])[0]


def standing_contribution(problem: Evidence) -> BatchContribution:
    """Part of one problem in a batch whose calibration counts all tests that each problem has.

    Such a calibration is the same for every number of tests. Problems of a run have different numbers of
    tests; in a comparison after equal numbers, use :func:`batch_contribution`.
    """
    merged, _ = merge_equal(problem)
    every = PrefixStatistics(merged, range(merged.votes.tests + 1))
    return BatchContribution(_pass_shares(every), {0: _final(merged)[1]})


def batch_statistics(problems: Iterable[Evidence]) -> BatchStatistics:
    """Statistics of a batch of at least one problem; each counts up to its own number of tests."""
    return combine_batch([batch_contribution(problem) for problem in problems])


def is_calibrating(position: int, problems: int, at_most: int = 1000) -> bool:
    """True if a problem has a part in the calibration: one of at most a thousand, evenly spaced."""
    return position % max(1, -(-problems // at_most)) == 0


def combine_batch(parts: Sequence[BatchContribution]) -> BatchStatistics:
    """Statistics of a batch from the ``batch_contribution`` of each problem."""
    sums = np.zeros((4, max(part.sums.shape[1] for part in parts)))
    for part in parts:
        sums[:, : part.sums.shape[1]] += part.sums
    count, best, majority, minority = sums
    # The prior is one problem whose majority passes all tests.
    minority_ratio = (minority + USUAL_MINORITY_RATIO) / (majority + 1)
    calibration = BatchCalibration([part.groups for part in parts], len(best) - 1)
    return BatchStatistics(best / count, minority_ratio, calibration)


def _pass_shares(statistics: PrefixStatistics) -> NDArray[np.float64]:
    """Four rows of one problem, float64 (4, tests + 1).

    They are 1, and the share of the tests passed by the best candidate, by the majority and by the minority
    (means). The majority are the candidates with the highest agreement. If they are all candidates, the
    rows of majority and minority are 0.
    """
    tests = np.maximum(statistics.tests, 1)
    passed = statistics.tests_passed / tests
    best = np.where(statistics.tests[:, 0] > 0, passed.max(axis=1), 0.5)
    agreement = np.round(statistics.agreement, 9)
    in_majority = agreement == agreement.max(axis=1, keepdims=True)
    majority_size = in_majority @ statistics.sizes
    minority_size = statistics.candidates - majority_size
    majority = (passed * in_majority) @ statistics.sizes / majority_size * (minority_size > 0)
    minority = (passed * ~in_majority) @ statistics.sizes / np.maximum(minority_size, 1)
    return np.stack([np.ones(len(best)), best, majority, minority])


def _group_rows(statistics: PrefixStatistics, counts: Sequence[int]) -> list[GroupRows]:
    """Output groups of one problem after some numbers of tests.

    A candidate that was eliminated counts with the tests that it was run on. The agreement of the pool
    counts the leading tests that every candidate was run on, since those that are left agree more.

    Args:
        statistics: after these numbers of tests, at least; for the agreement, after the largest number of
            them that is at most :func:`_complete_tests`.
        counts: numbers of tests.
    """
    row_of = {count: row for row, count in enumerate(statistics.counts.tolist())}
    complete = _complete_tests(statistics.evidence)
    run = statistics.evidence.votes.run()
    seen = run & statistics.passed.any(axis=1, keepdims=True)
    by_votes = not statistics.has_outputs
    rows = []
    for count in counts:
        row = row_of[count]
        together = max((one for one in row_of if one <= min(count, complete)), default=0)
        passed, sizes = statistics.tests_passed[row], statistics.output_group_sizes[row]
        p_pass = statistics.passed[:together] @ statistics.sizes / statistics.candidates
        agreement = np.nan
        if together in row_of and statistics.inputs[row_of[together], 0] and (together or not count):
            agreement = statistics.agreement[row_of[together]] @ statistics.sizes / statistics.candidates
        rows.append(
            GroupRows(
                passed=passed.astype(np.intp),
                run=run[:count].sum(axis=0),
                seen=seen[:count].sum(axis=0),
                weights=statistics.sizes / sizes,
                log_sizes=np.log(sizes),
                support=statistics.support[row],
                barred=by_votes & (passed == 0) & (statistics.tests_seen[row] > 0),
                agreement=float(agreement),
                votes=(float(p_pass.mean()), float((p_pass**2).mean())) if by_votes and together else None,
            )
        )
    return rows


def _complete_tests(evidence: Evidence) -> int:
    """Number of leading tests that every candidate was run on."""
    complete = evidence.votes.run().all(axis=1)
    return evidence.votes.tests if complete.all() else int(complete.argmin())

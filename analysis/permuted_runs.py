"""Recorded tests in many random permutations under one selection rule, with and without elimination.

For each number of tests: accuracy of picks, cost, and the pairs and executions that elimination leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.elimination import end_of_rung, rung_of, survivors
from testbudget.rewards.equivalence import equivalence_groups, impute_followers
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import combine_batch, contribution_by
from testbudget.scheduler.simulation import PickEstimates
from testbudget.traces.learning_curves import (
    LearningCurve,
    RecordedTests,
    compute_learning_curves,
    permute_tests,
    random_permutations,
)
from testbudget.traces.records import QUANTITIES


@dataclass(frozen=True, slots=True, eq=False)
class ColumnsOfTests:
    """The first tests of a problem in one permutation, with one column for candidates that stay equal.

    Elimination treats equal candidates alike, but for the first of them, which may represent the others.

    Attributes:
        evidence: evidence on the problem, without a batch.
        column: intp (candidates,), the column of each candidate.
        programs: int64 (columns,), number of distinct programs that are executed for each column.
        voted: intp (tests + 1,), number of tests that have a vote among the first m.
    """

    evidence: Evidence
    column: NDArray[np.intp]
    programs: NDArray[np.int64]
    voted: NDArray[np.intp]

    @classmethod
    def of(
        cls, recorded: RecordedTests, permutation: NDArray[np.intp], merged: Evidence, *, merge: bool
    ) -> Self:
        """The columns of some tests.

        Args:
            recorded: the problem's recorded tests.
            permutation: intp (tests,), positions of the first tests of a permutation.
            merged: evidence of at least these tests, in that order, with the columns of
                ``recorded.merged``.
            merge: False for one column for each candidate.
        """
        voted = np.concatenate([[0], np.cumsum(recorded.rows[permutation] >= 0)])
        merged = replace(merged, batch=None).first(voted[-1])
        merged_column = recorded.merged.column
        candidates = np.arange(len(merged_column))
        first, column = candidates, candidates
        if merge:
            equal = equivalence_groups(merged)[merged_column]
            _, first_of_group = np.unique(equal, return_index=True)
            key = 2 * first_of_group[equal] + (candidates != first_of_group[equal])
            _, first, column = np.unique(key, return_index=True, return_inverse=True)
            order = np.argsort(first)
            first, column = first[order], np.argsort(order)[column]
        sizes = np.bincount(column).astype(np.int64) if merge else None
        evidence = replace(merged.of_candidates(merged_column[first]), sizes=sizes)
        _, first_of_program = np.unique(recorded.programs, return_index=True)
        programs = np.bincount(column[first_of_program], minlength=len(first))
        return cls(evidence, column, programs, voted)


@dataclass(frozen=True, slots=True, eq=False)
class EliminatedEvidence:
    """A problem's tests in one permutation with elimination.

    Attributes:
        evidence: evidence from the pairs that are executed, with the columns of ``ColumnsOfTests``.
        pairs: int64 (tests + 1,), number of (candidate, usable test) pairs after each number of tests.
        executions: int64 (tests + 1,), number of (program, test) pairs that are executed.
    """

    evidence: Evidence
    pairs: NDArray[np.int64]
    executions: NDArray[np.int64]


def eliminate(tests: ColumnsOfTests, rule: SelectionRule, z: float | None) -> EliminatedEvidence:
    """Eliminate candidates as in a run that is granted all tests of the problem at once.

    A run that is granted them in several parts also eliminates at the start of each part.

    Args:
        tests: the problem's tests; merged only if the rule merges equal candidates.
        rule: selection rule that determines the leader.
        z: see ``rewards.elimination.survivors``.
    """
    evidence, voted = tests.evidence, tests.voted
    could_run = evidence.votes.run()
    left_out = np.zeros_like(could_run)
    surviving = np.ones(could_run.shape[1], np.bool_)
    rungs = [rung_of(test) for test in range(len(voted) - 1)]
    starts = np.flatnonzero(np.diff(rungs)) + 1
    for known in np.unique(voted[starts]):  # a rung without a vote eliminates nothing
        seen = impute_followers(evidence.first(known), left_out[:known])
        surviving = survivors(seen, surviving, rule, z)
        left_out[known:, ~surviving] = True
    executions = np.concatenate([[0], np.cumsum((could_run & ~left_out) @ tests.programs)])
    return EliminatedEvidence(
        impute_followers(evidence, left_out), voted * len(tests.column), executions[voted]
    )


@dataclass(frozen=True, slots=True, eq=False)
class EliminationSpending:
    """Effect of elimination on all problems in all permutations, after chosen numbers of tests.

    Attributes:
        pairs: int32 (permutations, problems, counts), number of (candidate, usable test) pairs.
        executions: int32 (permutations, problems, counts), number of (program, test) pairs that are
            executed.
        accuracy: float64 (permutations, problems, counts), accuracy of the picks.
    """

    pairs: NDArray[np.int32]
    executions: NDArray[np.int32]
    accuracy: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PermutedRuns:
    """All problems in all permutations under one selection rule.

    The axis of tests has one entry for each number of tests from 0 on. A problem with fewer tests keeps its
    last value.

    Attributes:
        rule: selection rule that picks.
        learning_curves: by permutation, then by problem.
        accuracy: float64 (permutations, problems, tests + 1), accuracy of the pick.
        estimates: p_wrong and p_change by permutation, as a run estimates them.
        spent: float64 (permutations, problems, tests + 1, ``QUANTITIES``), cost; NaN if unmeasured. All
            rules share this array.
        elimination: the same tests with elimination, after chosen numbers of tests.
    """

    rule: SelectionRule
    learning_curves: list[list[LearningCurve]]
    accuracy: NDArray[np.float64]
    estimates: list[PickEstimates]
    spent: NDArray[np.float64]
    elimination: EliminationSpending


def permuted_runs(
    recorded: Sequence[RecordedTests],
    rules: Sequence[SelectionRule],
    *,
    permutations: int,
    counts: Sequence[int],
    z: float | None,
    seed: int,
) -> list[PermutedRuns]:
    """Permuted runs under each rule, all in the same permutations.

    Args:
        recorded: recorded tests of the problems.
        rules: selection rules.
        permutations: number of random permutations of the tests.
        counts: numbers of tests at which elimination is evaluated, at least one.
        z: see ``rewards.elimination.survivors``.
        seed: seed of the permutations.
    """
    tests_of = np.array([one.tests for one in recorded])
    max_tests = int(tests_of.max())
    steps = np.minimum(np.arange(max_tests + 1), tests_of[:, np.newaxis])
    spent = np.empty((permutations, len(recorded), max_tests + 1, len(QUANTITIES)))
    # Tests up to the end of the rung are included. They do not change the results of earlier tests. With
    # them, the batch also has enough votes of problems with unusable tests among the first.
    rung_tests = end_of_rung(max(counts) - 1)
    made = [_empty(rule, spent, len(counts)) for rule in rules]
    for number in range(permutations):
        drawn = random_permutations(recorded, np.random.default_rng([seed, number]))
        permuted = permute_tests(recorded, drawn)
        shortened = {
            merge: [
                ColumnsOfTests.of(one, tests[:rung_tests], in_order.statistics.evidence, merge=merge)
                for one, tests, in_order in zip(recorded, drawn, permuted, strict=True)
            ]
            for merge in {rule.merges_equal for rule in rules}
        }
        for runs in made:
            runs.learning_curves.append(compute_learning_curves(recorded, drawn, runs.rule, permuted))
            runs.estimates.append(PickEstimates.of(runs.learning_curves[-1]))
            columns = shortened[runs.rule.merges_equal]
            eliminated = [eliminate(one, runs.rule, z) for one in columns]
            for problem, (curve, one) in enumerate(zip(runs.learning_curves[-1], eliminated, strict=True)):
                runs.accuracy[number, problem] = curve.accuracy[steps[problem]]
                runs.elimination.executions[number, problem] = one.executions[steps[problem, counts]]
                runs.elimination.pairs[number, problem] = one.pairs[steps[problem, counts]]
            runs.elimination.accuracy[number] = _accuracy(recorded, columns, eliminated, runs.rule, counts)
        for problem, curve in enumerate(made[0].learning_curves[-1]):
            spent[number, problem] = curve.spent[steps[problem]]
    return made


def _empty(rule: SelectionRule, spent: NDArray[np.float64], counts: int) -> PermutedRuns:
    permutations, problems, steps, _ = spent.shape
    return PermutedRuns(
        rule,
        [],
        np.empty((permutations, problems, steps)),
        [],
        spent,
        EliminationSpending(
            np.empty((permutations, problems, counts), np.int32),
            np.empty((permutations, problems, counts), np.int32),
            np.empty((permutations, problems, counts)),
        ),
    )


def _accuracy(
    recorded: Sequence[RecordedTests],
    columns: Sequence[ColumnsOfTests],
    eliminated: Sequence[EliminatedEvidence],
    rule: SelectionRule,
    counts: Sequence[int],
) -> NDArray[np.float64]:
    """Accuracy of the picks, float64 (problems, counts)."""
    statistics = [PrefixStatistics(one.evidence, range(one.evidence.votes.tests + 1)) for one in eliminated]
    batch = combine_batch([contribution_by(one) for one in statistics]) if rule.uses_batch else None
    accuracy = np.empty((len(eliminated), len(counts)))
    for row, known, tests, one in zip(accuracy, recorded, columns, statistics, strict=True):
        voted = tests.voted[np.minimum(counts, known.tests)]
        won = rule.winners_by(one.at(voted).with_batch(batch))[:, tests.column]
        row[:] = (won & known.correct).sum(axis=1) / won.sum(axis=1)
    return accuracy

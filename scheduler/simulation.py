"""Recorded tests in many random orders under one selection rule, with and without elimination.

For each number of tests: accuracy of picks, cost, and the pairs and programs that elimination leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.elimination import end_of_rung, rung_of, survivors
from testbudget.rewards.equivalence import impute_followers
from testbudget.rewards.outputs import UNKNOWN, Evidence
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.votes import Votes
from testbudget.traces.learning_curves import (
    LearningCurve,
    RecordedTests,
    compute_learning_curves,
    permute_tests,
    random_permutations,
)
from testbudget.traces.records import QUANTITIES


@dataclass(frozen=True, slots=True, eq=False)
class EliminatedEvidence:
    """A problem's tests in one order with elimination.

    Attributes:
        evidence: evidence from the pairs that are executed.
        pairs: number of (candidate, usable test) pairs, int64 (tests + 1,), after each number of tests.
        executions: number of (program, test) pairs that are executed, int64 (tests + 1,).
    """

    evidence: Evidence
    pairs: NDArray[np.int64]
    executions: NDArray[np.int64]


def eliminate(
    recording: RecordedTests,
    order: NDArray[np.intp],
    evidence: Evidence,
    rule: SelectionRule,
    z: float | None,
) -> EliminatedEvidence:
    """Eliminate candidates as in a run that is granted all tests of the problem at once.

    A run that is granted them in several parts also eliminates at the start of each part.

    Args:
        recording: the problem's recorded tests.
        order: positions of the first tests of the order, intp (tests,).
        evidence: evidence of at least these tests, in that order.
        rule: selection rule that determines the leader.
        z: see ``rewards.elimination.survivors``.
    """
    voted = np.concatenate([[0], np.cumsum(recording.rows[order] >= 0)])
    evidence = evidence.first(voted[-1])
    could_run = evidence.votes.run()
    left_out = np.zeros_like(could_run)
    surviving = np.ones(could_run.shape[1], np.bool_)
    rungs = [rung_of(test) for test in range(len(order))]
    starts = np.flatnonzero(np.diff(rungs)) + 1
    for known in np.unique(voted[starts]):  # a rung without a vote eliminates nothing
        seen = impute_followers(_without(evidence.first(known), left_out[:known]))
        surviving = survivors(seen, surviving, rule, z)
        left_out[known:, ~surviving] = True
    _, programs = np.unique(recording.programs, return_index=True)
    run = (could_run & ~left_out)[:, programs]
    executions = np.concatenate([[0], np.cumsum(run.sum(axis=1))])
    return EliminatedEvidence(
        impute_followers(_without(evidence, left_out)), voted * len(surviving), executions[voted]
    )


def _without(evidence: Evidence, left_out: NDArray[np.bool_]) -> Evidence:
    """Evidence without the pairs in ``left_out``, bool (tests, candidates)."""
    votes = Votes.from_matrix(evidence.votes.passed() & ~left_out, evidence.votes.run() & ~left_out)
    outputs = evidence.outputs
    if outputs is not None:
        # The position in ``known`` is the number of tests after which an input is known; 0 for the start.
        came = np.searchsorted(outputs.known, np.arange(len(outputs.results)), side="right")
        unseen = np.concatenate([np.zeros((1, left_out.shape[1]), np.bool_), left_out])[came]
        outputs = replace(
            outputs,
            results=np.where(unseen, np.int32(UNKNOWN), outputs.results),
            returned=outputs.returned & ~unseen,
        )
    return replace(evidence, votes=votes, outputs=outputs)


@dataclass(frozen=True, slots=True, eq=False)
class EliminationSpending:
    """Effect of elimination on all problems in all orders, after chosen numbers of tests.

    Attributes:
        pairs: int32 (orders, problems, counts), number of (candidate, usable test) pairs.
        executions: int32 (orders, problems, counts), number of (program, test) pairs that are executed.
        accuracy: float64 (orders, problems, counts), accuracy of the picks.
    """

    pairs: NDArray[np.int32]
    executions: NDArray[np.int32]
    accuracy: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PermutedRuns:
    """All problems in all orders under one selection rule.

    The axis of tests has one entry for each number of tests from 0 on. A problem with fewer tests keeps its
    last value.

    Attributes:
        rule: selection rule that picks.
        learning_curves: by order, then by problem.
        accuracy: float64 (orders, problems, tests + 1), accuracy of the pick.
        spent: float64 (orders, problems, tests + 1, quantities), cost in the units of ``QUANTITIES``; the
            array is shared by all rules.
        elimination: the same tests with elimination, after chosen numbers of tests.
    """

    rule: SelectionRule
    learning_curves: list[list[LearningCurve]]
    accuracy: NDArray[np.float64]
    spent: NDArray[np.float64]
    elimination: EliminationSpending


def permuted_runs(
    recordings: Sequence[RecordedTests],
    rules: Sequence[SelectionRule],
    *,
    orders: int,
    counts: Sequence[int],
    z: float | None,
    seed: int,
) -> list[PermutedRuns]:
    """Permuted runs under each rule, all in the same orders.

    Args:
        recordings: recorded tests of the problems.
        rules: selection rules.
        orders: number of random orders of the tests.
        counts: numbers of tests at which elimination is evaluated, at least one.
        z: see ``rewards.elimination.survivors``.
        seed: seed of the orders.
    """
    most = max(recording.tests for recording in recordings)
    each = (orders, len(recordings))
    spent = np.empty((*each, most + 1, len(QUANTITIES)))
    # Tests up to the end of the rung are included. They change no result of the first ones, and the batch
    # after so many votes then has all problems, also those with unusable tests among the first.
    rung_tests = end_of_rung(max(counts) - 1)
    made = [_empty(rule, spent, len(counts)) for rule in rules]
    for order in range(orders):
        drawn = random_permutations(recordings, np.random.default_rng([seed, order]))
        shown = permute_tests(recordings, drawn)
        for runs in made:
            runs.learning_curves.append(compute_learning_curves(recordings, drawn, runs.rule, shown))
            remaining = [
                eliminate(recording, tests[:rung_tests], replace(seen.evidence, batch=None), runs.rule, z)
                for recording, tests, seen in zip(recordings, drawn, shown, strict=True)
            ]
            for problem, (curve, one) in enumerate(zip(runs.learning_curves[-1], remaining, strict=True)):
                steps = np.minimum(np.arange(most + 1), recordings[problem].tests)
                runs.accuracy[order, problem] = curve.accuracy[steps]
                runs.elimination.executions[order, problem] = one.executions[steps[counts]]
                runs.elimination.pairs[order, problem] = one.pairs[steps[counts]]
            runs.elimination.accuracy[order] = _accuracy(recordings, remaining, runs.rule, counts)
        for problem, curve in enumerate(made[0].learning_curves[-1]):
            steps = np.minimum(np.arange(most + 1), recordings[problem].tests)
            spent[order, problem] = curve.spent[steps]
    return made


def _empty(rule: SelectionRule, spent: NDArray[np.float64], counts: int) -> PermutedRuns:
    orders, problems, steps, _ = spent.shape
    return PermutedRuns(
        rule,
        [],
        np.empty((orders, problems, steps)),
        spent,
        EliminationSpending(
            np.empty((orders, problems, counts), np.int32),
            np.empty((orders, problems, counts), np.int32),
            np.empty((orders, problems, counts)),
        ),
    )


def _accuracy(
    recordings: Sequence[RecordedTests],
    remaining: Sequence[EliminatedEvidence],
    rule: SelectionRule,
    counts: Sequence[int],
) -> NDArray[np.float64]:
    """Accuracy of the picks, float64 (problems, counts)."""
    batch = batch_statistics(one.evidence for one in remaining) if rule.uses_batch else None
    accuracy = np.empty((len(remaining), len(counts)))
    for row, recording, one in zip(accuracy, recordings, remaining, strict=True):
        voted = (one.pairs // len(recording.correct))[np.minimum(counts, recording.tests)]
        won = rule.winners_after(replace(one.evidence, batch=batch), voted.tolist())
        row[:] = (won & recording.correct).sum(axis=1) / won.sum(axis=1)
    return accuracy

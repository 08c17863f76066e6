"""Runs under a cap on tests, in memory: they grant and pick what ``run`` with ``backend: replay`` does.

A real run keeps a journal and moves tests through a back end; here each problem's recorded tests are put
into an order once, and what they come to after every number of them is a look-up. That allows thousands of
runs in seconds. Nothing races here, as in any run that replays tests.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.base import Policy
from testbudget.rewards.confidence.features import candidate_features, mean_over_winners
from testbudget.rewards.confidence.model import (
    ConfidenceModels,
    ConfidenceTarget,
    default_models,
    rule_family,
)
from testbudget.rewards.outputs import Evidence, OutputMatrix, RecordedOutputs
from testbudget.rewards.seeds import problem_fold
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.votes import Votes
from testbudget.traces.records import QUANTITIES, DistinctPrograms, execution_cost, votes_of, writing_cost
from testbudget.traces.trace import ProblemTrace


@dataclass(frozen=True, slots=True, eq=False)
class RecordedTests:
    """What a finished run knows of one problem.

    Attributes:
        votes: of its tests that have verdicts.
        behaviour: of its distinct programs; None if that was not recorded.
        programs: intp (candidates,), which of them each candidate is.
        indices: intp (tests,), what the run calls each recorded test.
        rows: intp (tests,), the row of each recorded test among the votes; -1 for one without a vote,
            which is charged all the same: unusable ones and those that repeat an earlier one.
        costs: float64 (tests, ``QUANTITIES``), of writing each test and running it on every program.
        correct: bool (candidates,), the ground truth.
        fold: of the problem, see ``rewards.confidence.problem_fold``.
    """

    votes: Votes
    recorded_outputs: RecordedOutputs | None
    programs: NDArray[np.intp]
    indices: NDArray[np.intp]
    rows: NDArray[np.intp]
    costs: NDArray[np.float64]
    correct: NDArray[np.bool_]
    fold: int

    @classmethod
    def of(
        cls, seen: ProblemTrace, correct: NDArray[np.bool_], recorded_outputs: RecordedOutputs | None = None
    ) -> Self:
        """The recording of a problem whose candidates' ground truth is known."""
        row = {test: position for position, test in enumerate(sorted(seen.verdicts))}
        tests = sorted(seen.tests)
        costs = np.zeros((len(tests), len(QUANTITIES)))
        for position, test in enumerate(tests):
            cost = writing_cost(seen.tests[test])
            if test in row:
                cost += execution_cost(seen.verdicts[test])
            costs[position] = astuple(cost)
        rows = np.asarray([row.get(test, -1) for test in tests], dtype=np.intp)
        distinct = DistinctPrograms.among(seen.candidates)
        return cls(
            votes_of(seen.verdicts, distinct),
            recorded_outputs,
            distinct.inverse,
            np.asarray(tests, dtype=np.intp),
            rows,
            costs,
            correct,
            problem_fold(seen.content_hash),
        )

    @property
    def tests(self) -> int:
        """How many tests were recorded."""
        return len(self.rows)

    def evidence(self, order: NDArray[np.intp]) -> Evidence:
        """What its tests in some order show, without those that have no vote."""
        order = order[self.rows[order] >= 0]
        rows = self.rows[order]
        votes = Votes.from_matrix(self.votes.passed()[rows], self.votes.run()[rows])
        if self.recorded_outputs is None:
            return Evidence(votes)
        return Evidence(
            votes, OutputMatrix.of(self.recorded_outputs, self.programs, self.indices[order].tolist())
        )


@dataclass(frozen=True, slots=True, eq=False)
class PermutedTests:
    """What all of a problem's tests show in one order.

    Attributes:
        evidence: with the batch.
        confidence_models: give p_wrong; None for ``default_models``.
        signs: float64 (tests + 1, candidates, signs), after every number of tests that have a vote; of the
            problem alone, as a run sees it that does not know yet what else will be run.
    """

    evidence: Evidence
    confidence_models: ConfidenceModels
    candidate_features: NDArray[np.float64]


class LearningCurve:
    """A problem's tests in one order: what its first m tests come to, for every m.

    Args:
        recording: of the problem.
        order: shape (tests,), a permutation of the recorded tests.
        rule: picks.
        shown: what the tests show in that order.

    Attributes:
        accuracy: float64 (tests + 1,), chance that the pick after m tests is right, over remaining ties.
        doubts: float64 (tests + 1,), chance that the pick of the problem alone is wrong, as far as can be
            told without ground truth.
    """

    __slots__ = ("_order", "_recording", "accuracy", "p_wrong")

    def __init__(
        self, recording: RecordedTests, order: NDArray[np.intp], rule: SelectionRule, shown: PermutedTests
    ) -> None:
        self._recording, self._order = recording, order
        voting = np.concatenate([[0], np.cumsum(recording.rows[order] >= 0)])
        counts = range(shown.evidence.votes.tests + 1)
        won = rule.winners_after(shown.evidence, counts)
        accuracy = (won & recording.correct).sum(axis=1) / won.sum(axis=1)
        self.accuracy: NDArray[np.float64] = accuracy[voting]
        alone = replace(shown.evidence, batch=None)
        if rule.uses_batch:
            won = rule.winners_after(alone, counts)
        family = rule_family(rule, shown.confidence_models.readable(alone))
        model = shown.confidence_models.model(ConfidenceTarget.PICK, family, recording.fold)
        self.p_wrong: NDArray[np.float64] = (
            1 - model.probability(mean_over_winners(shown.candidate_features, won))[voting]
        )

    @property
    def spent(self) -> NDArray[np.float64]:
        """What the first m tests cost, for every m: shape (tests + 1, ``QUANTITIES``)."""
        nothing = np.zeros((1, len(QUANTITIES)))
        costs = np.concatenate([nothing, self._recording.costs[self._order]])
        return np.asarray(np.cumsum(costs, axis=0))


def allocate_recorded(
    policy: Policy, cap: int, learning_curves: Sequence[LearningCurve]
) -> NDArray[np.int32]:
    """Spends a cap on tests as the loop does: in rounds, after each of which the policy hears of the picks.

    Args:
        policy: fresh; what it may grant a problem at most must have been recorded.
        cap: tests in total.
        courses: of the policy's problems.

    Returns:
        Tests granted to each problem, shape (problems,).
    """
    while grants := policy.ask(cap):
        cap -= sum(grant.tests for grant in grants)
        if not policy.static:
            granted = policy.granted
            for grant in grants:
                policy.tell(
                    grant.problem, float(learning_curves[grant.problem].p_wrong[granted[grant.problem]])
                )
    return policy.granted


def random_permutations(
    recordings: Sequence[RecordedTests], rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """A random order of each problem's tests."""
    return [rng.permutation(recording.tests) for recording in recordings]


def permute_tests(
    recordings: Sequence[RecordedTests],
    orders: Sequence[NDArray[np.intp]],
    confidence_models: ConfidenceModels | None = None,
) -> list[PermutedTests]:
    """What the tests of problems that make up a batch show, each in its order.

    Args:
        recordings: of the problems.
        orders: of their tests.
        calibration: what signs of a good pick are worth.
    """
    confidence_models = confidence_models or default_models()
    known = [recording.evidence(order) for recording, order in zip(recordings, orders, strict=True)]
    batch = batch_statistics(known)
    return [
        PermutedTests(
            replace(one, batch=batch),
            confidence_models,
            candidate_features(confidence_models.readable(one), range(one.votes.tests + 1)),
        )
        for one in known
    ]


def learning_curves(
    recordings: Sequence[RecordedTests],
    orders: Sequence[NDArray[np.intp]],
    rule: SelectionRule,
    shown: Sequence[PermutedTests] | None = None,
) -> list[LearningCurve]:
    """The courses of problems that make up a batch, each in its order.

    Args:
        recordings: of the problems.
        orders: of their tests.
        rule: picks.
        shown: what the tests show in these orders, where somebody asked before.
    """
    return [
        LearningCurve(recording, order, rule, of_problem)
        for recording, order, of_problem in zip(
            recordings, orders, shown or permute_tests(recordings, orders), strict=True
        )
    ]

"""Recorded tests in any permutation: accuracy, cost and estimates after the first m tests of each problem.

A run sends recorded tests through the event log and a back end. Here the tests of each problem are permuted
once, and the state after m tests is a lookup, so thousands of runs take seconds. Grants and picks are the
same as those of the run, except under rules that use the batch: here a batch has as many tests of every
problem, there as many as each problem has. Candidates are never eliminated, as in such a run.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.change import ChangeModel, default_change_model
from testbudget.rewards.confidence.model import (
    ConfidenceModels,
    ConfidenceTarget,
    default_models,
    rule_family,
)
from testbudget.rewards.confidence.pick import pick_features_by
from testbudget.rewards.equivalence import merge_equal
from testbudget.rewards.outputs import (
    Evidence,
    OutputMatrix,
    OutputTable,
    RecordedOutputs,
    select_outputs,
)
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.problem import WRITTEN_INPUTS
from testbudget.rewards.seeds import problem_fold
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import combine_batch, contribution_by
from testbudget.rewards.votes import Votes
from testbudget.traces.records import (
    QUANTITIES,
    DistinctPrograms,
    execution_cost,
    generation_cost,
    votes_of,
)
from testbudget.traces.trace import ProblemTrace


@dataclass(frozen=True, slots=True, eq=False)
class MergedTests:
    """Recorded tests of one problem with one column for all candidates that are equal in all of them.

    Attributes:
        column: intp (candidates,), the column of each candidate.
        sizes: int64 (columns,), number of candidates of each column.
        passed: bool (votes, columns).
        run: bool (votes, columns).
        outputs: outputs of the columns; None if not recorded.
    """

    column: NDArray[np.intp]
    sizes: NDArray[np.int64]
    passed: NDArray[np.bool_]
    run: NDArray[np.bool_]
    outputs: OutputTable | None

    @classmethod
    def of(cls, votes: Votes, outputs: OutputTable | None) -> Self:
        """Merge the candidates."""
        whole = Evidence(votes)
        if outputs is not None:
            known = np.full(votes.tests + 1, len(outputs.results))
            whole = Evidence(votes, OutputMatrix(outputs.results, outputs.returned, known))
        merged, column = merge_equal(whole)
        first = np.unique(column, return_index=True)[1]
        return cls(
            column,
            merged.column_sizes,
            merged.votes.passed(),
            merged.votes.run(),
            None if outputs is None else outputs.of_candidates(first),
        )

    def evidence(self, rows: NDArray[np.intp], tests: NDArray[np.intp]) -> Evidence:
        """Evidence of some votes, by their rows and the indices of their tests, in this order."""
        votes = Votes.from_matrix(self.passed[rows], self.run[rows])
        outputs = None if self.outputs is None else self.outputs.matrix(tests)
        return Evidence(votes, outputs, sizes=self.sizes)


@dataclass(frozen=True, slots=True, eq=False)
class RecordedTests:
    """Recorded tests of one problem of a finished run.

    Attributes:
        votes: votes of the tests that have verdicts.
        recorded_outputs: outputs of the distinct programs; None if not recorded.
        programs: intp (candidates,), the distinct program of each candidate.
        indices: intp (tests,), index of each recorded test in the run.
        rows: intp (tests,), row of each recorded test in ``votes``; -1 for a test without a vote, which is
            charged all the same: an unusable test, or one that repeats an earlier test.
        costs: float64 (tests, ``QUANTITIES``), cost of generating each test and executing it on every
            program; NaN where unmeasured.
        correct: bool (candidates,), labels.
        fold: fold of the problem, see ``rewards.seeds.problem_fold``.
        merged: the same with one column for equal candidates.
    """

    votes: Votes
    recorded_outputs: RecordedOutputs | None
    programs: NDArray[np.intp]
    indices: NDArray[np.intp]
    rows: NDArray[np.intp]
    costs: NDArray[np.float64]
    correct: NDArray[np.bool_]
    fold: int
    merged: MergedTests = field(init=False)

    def __post_init__(self) -> None:
        outputs = self.recorded_outputs
        table = None if outputs is None else OutputTable.of(outputs, self.programs)
        object.__setattr__(self, "merged", MergedTests.of(self.votes, table))

    @classmethod
    def of(
        cls,
        problem: ProblemTrace,
        correct: NDArray[np.bool_],
        recorded_outputs: RecordedOutputs | None = None,
        *,
        written_inputs: bool = False,
    ) -> Self:
        """Recorded tests of a problem.

        Args:
            problem: its trace.
            correct: bool (candidates,), labels.
            recorded_outputs: outputs of the distinct programs; None if not recorded or not needed.
            written_inputs: True to know the outputs on written inputs before the first test. Their cost is
                no test's.
        """
        if recorded_outputs is not None and not written_inputs:
            inputs = enumerate(recorded_outputs.inputs)
            of_tests = [position for position, item in inputs if item.test != WRITTEN_INPUTS]
            if len(of_tests) < len(recorded_outputs.inputs):
                recorded_outputs = select_outputs(recorded_outputs, inputs=of_tests)
        row = {test: position for position, test in enumerate(sorted(problem.verdicts))}
        tests = sorted(problem.tests)
        costs = np.zeros((len(tests), len(QUANTITIES)))
        for position, test in enumerate(tests):
            cost = generation_cost(problem.tests[test])
            if test in row:
                cost += execution_cost(problem.verdicts[test])
            costs[position] = astuple(cost)
        rows = np.asarray([row.get(test, -1) for test in tests], dtype=np.intp)
        distinct = DistinctPrograms.among(problem.candidates)
        return cls(
            votes_of(problem.verdicts, distinct),
            recorded_outputs,
            distinct.inverse,
            np.asarray(tests, dtype=np.intp),
            rows,
            costs,
            correct,
            problem_fold(problem.content_hash),
        )

    @property
    def tests(self) -> int:
        """Number of recorded tests."""
        return len(self.rows)

    def evidence(self, permutation: NDArray[np.intp]) -> Evidence:
        """Evidence of tests in the order of a permutation; tests without a vote are left out."""
        merged = self.merged_evidence(permutation)
        return replace(merged.of_candidates(self.merged.column), sizes=None)

    def merged_evidence(self, permutation: NDArray[np.intp]) -> Evidence:
        """The same evidence with one column for equal candidates, those of ``merged``."""
        voting = permutation[self.rows[permutation] >= 0]
        return self.merged.evidence(self.rows[voting], self.indices[voting])


@dataclass(frozen=True, slots=True, eq=False)
class PermutedTests:
    """Evidence of all tests of a problem in one permutation.

    Attributes:
        column: intp (candidates,), the column of each candidate in ``statistics``. Candidates that are
            equal in all tests share one.
        statistics: after 0, 1, ..., all tests that have a vote, with the batch's statistics.
        confidence_models: the models that p_wrong is computed with.
        readable: the same, as far as these models can read it.
        change_model: the model that p_change is computed with.
    """

    column: NDArray[np.intp]
    statistics: PrefixStatistics
    confidence_models: ConfidenceModels
    readable: PrefixStatistics
    change_model: ChangeModel

    def winners(self, rule: SelectionRule) -> NDArray[np.bool_]:
        """Winners after the first m tests that have a vote, bool (tests + 1, candidates)."""
        if rule.merges_equal:
            return rule.winners_by(self.statistics)[:, self.column]
        whole = replace(self.statistics.evidence.of_candidates(self.column), sizes=None)
        evidence = replace(whole, batch=self.statistics.batch)
        return rule.winners_after(evidence, range(evidence.votes.tests + 1))

    def in_columns(self, won: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Number of winners in each column, int64 (tests + 1, columns), of bool (tests + 1, candidates)."""
        order = np.argsort(self.column, kind="stable")
        starts = np.searchsorted(self.column[order], np.arange(len(self.readable.sizes)))
        return np.asarray(np.add.reduceat(won[:, order].astype(np.int64), starts, axis=1))


class LearningCurve:
    """Accuracy, cost and estimates of one problem after the first m tests of a permutation, for every m.

    Args:
        recorded: tests of the problem.
        permutation: intp (tests,), of the recorded tests.
        rule: makes the picks.
        permuted: evidence of the tests in this permutation.

    Attributes:
        accuracy: float64 (tests + 1,), mean correctness of the winners after m tests.
        p_wrong: float64 (tests + 1,), probability that the pick is wrong, without labels; with the
            batch's statistics if the rule uses them.
        p_change: float64 (tests + 1,), probability that more tests change the pick's output group,
            estimated alike.
    """

    __slots__ = ("_permutation", "_recorded", "accuracy", "p_change", "p_wrong")

    def __init__(
        self,
        recorded: RecordedTests,
        permutation: NDArray[np.intp],
        rule: SelectionRule,
        permuted: PermutedTests,
    ) -> None:
        self._recorded, self._permutation = recorded, permutation
        voting = np.concatenate([[0], np.cumsum(recorded.rows[permutation] >= 0)])
        won = permuted.winners(rule)
        accuracy = (won & recorded.correct).sum(axis=1) / won.sum(axis=1)
        self.accuracy: NDArray[np.float64] = accuracy[voting]
        models = permuted.confidence_models
        family = rule_family(rule, models.readable(permuted.statistics.evidence))
        model = models.model(ConfidenceTarget.PICK, family, recorded.fold)
        in_columns, known, seen = permuted.in_columns(won), permuted.readable, permuted.statistics
        if not rule.uses_batch:
            known, seen = known.with_batch(None), seen.with_batch(None)
        p_correct = model.probability(pick_features_by(known, in_columns))
        self.p_wrong: NDArray[np.float64] = 1 - p_correct[voting]
        self.p_change: NDArray[np.float64] = permuted.change_model.p_change(seen, in_columns)[voting]

    @property
    def spent(self) -> NDArray[np.float64]:
        """Cost of the first m tests, float64 (tests + 1, ``QUANTITIES``); NaN where unmeasured."""
        nothing = np.zeros((1, len(QUANTITIES)))
        costs = np.concatenate([nothing, self._recorded.costs[self._permutation]])
        return np.asarray(np.cumsum(costs, axis=0))


def random_permutations(
    recorded: Sequence[RecordedTests], rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Random permutation of each problem's tests, intp (tests,) each."""
    return [rng.permutation(one.tests) for one in recorded]


def permute_tests(
    recorded: Sequence[RecordedTests],
    permutations: Sequence[NDArray[np.intp]],
    confidence_models: ConfidenceModels | None = None,
    change_model: ChangeModel | None = None,
) -> list[PermutedTests]:
    """Evidence of the tests of a batch's problems, each in the order of its permutation.

    Args:
        recorded: tests of the problems that make up the batch.
        permutations: intp (tests,) for each problem, of its tests.
        confidence_models: the models that p_wrong is computed with; None for ``default_models``.
        change_model: the model that p_change is computed with; None for ``default_change_model``.
    """
    models, of_change = confidence_models or default_models(), change_model or default_change_model()
    evidence = [
        one.merged_evidence(permutation) for one, permutation in zip(recorded, permutations, strict=True)
    ]
    statistics = [PrefixStatistics(one, range(one.votes.tests + 1)) for one in evidence]
    batch = combine_batch([contribution_by(one) for one in statistics])
    permuted = []
    for one, merged, alone in zip(recorded, evidence, statistics, strict=True):
        whole, readable = alone.with_batch(batch), models.readable(merged)
        known = whole if readable is merged else PrefixStatistics(readable, alone.counts)
        known = known.with_batch(batch)
        permuted.append(PermutedTests(one.merged.column, whole, models, known, of_change))
    return permuted


def compute_learning_curves(
    recorded: Sequence[RecordedTests],
    permutations: Sequence[NDArray[np.intp]],
    rule: SelectionRule,
    permuted: Sequence[PermutedTests] | None = None,
) -> list[LearningCurve]:
    """Learning curves of a batch's problems, each in the order of its permutation.

    Args:
        recorded: tests of the problems that make up the batch.
        permutations: intp (tests,) for each problem, of its tests.
        rule: makes the picks.
        permuted: result of :func:`permute_tests` for the same arguments, to save computing it again.
    """
    return [
        LearningCurve(one, permutation, rule, evidence)
        for one, permutation, evidence in zip(
            recorded, permutations, permuted or permute_tests(recorded, permutations), strict=True
        )
    ]

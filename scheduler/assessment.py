"""Assessment of problems while tests come in: pick and p_correct, surviving programs, harm of more tests.

Everything follows from the tests that were told, so a resumed run comes to the same results as one that was
not interrupted.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.rewards.confidence.model import ConfidenceModels, p_correct_of_pick
from testbudget.rewards.elimination import end_of_rung, rung_of, survivors
from testbudget.rewards.outputs import BatchStatistics, Evidence, join_outputs, spread_over_candidates
from testbudget.rewards.overoptimisation import TestEffect
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.seeds import problem_fold
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import (
    BatchContribution,
    add_sums,
    batch_contribution,
    is_calibrating,
    statistics_of_sums,
)
from testbudget.scheduler.block_records import verdict_records
from testbudget.scheduler.cut_pairs import eliminated_anyway, open_pairs
from testbudget.scheduler.run_problems import RunProblems
from testbudget.traces.pair_reasons import NO_REASON
from testbudget.traces.records import evidence_of

_MIN_CHECKED_TESTS = 5  # fewer tests say too little about harm
_LAST_CHECK = 1_000_000
_PROBLEMS_PER_SUM = 64
_CALIBRATING_PROBLEMS = 300  # the means of 20 are nearly as good, and more cost time at every harm check
_MISSING = {
    "verdicts": NOT_RUN,
    "cpu_seconds": 0,
    "wall_seconds": 0,
    "same_process": False,
    "reason_of": NO_REASON,
    "cut_at": 0,
}  # values of ``BlockVerdicts`` for programs that were not run


def check_points() -> tuple[int, ...]:
    """Numbers of tests at which harm is checked: the ends of all rungs up to a million tests."""
    ends = [end_of_rung(0)]
    while ends[-1] < _LAST_CHECK:
        ends.append(end_of_rung(ends[-1]))
    return tuple(ends)


@dataclass(frozen=True, slots=True)
class EliminationRule:
    """Condition under which a program is eliminated; see ``rewards.elimination.survivors``.

    Attributes:
        rule: selection rule that determines the leader.
        z: threshold in standard deviations; None for the default of the rule.
    """

    rule: SelectionRule
    z: float | None


class CandidateElimination:
    """The programs of each problem that further tests are executed on.

    An eliminated program is not executed again. Elimination before a rung depends only on the problem's
    verdicts before it.

    Args:
        problems: problems of the run; the methods name one by its position.
        elimination: rule that eliminates; None eliminates no program.
    """

    def __init__(self, problems: RunProblems, elimination: EliminationRule | None) -> None:
        self._problems = problems
        self._rule = elimination
        self._survivors: dict[int, NDArray[np.intp]] = {}
        self._executed: dict[int, list[int]] = defaultdict(list)  # ends of rungs that are not yet used

    @property
    def eliminates(self) -> bool:
        """True if programs are eliminated."""
        return self._rule is not None

    def rung_executed(self, position: int, tests: Sequence[int]) -> None:
        """Note that a rung of a problem's tests has verdicts in the store. Rungs come in their order."""
        if self._rule is not None:
            self._executed[position].append(max(tests) + 1)

    def programs(self, position: int) -> NDArray[np.intp]:
        """Surviving programs, as positions among the problem's distinct programs, intp (survivors,)."""
        if position not in self._survivors:
            self._survivors[position] = np.arange(len(self._problems[position].programs))
        for end in self._executed.pop(position, ()):
            self._eliminate(position, end)
        return self._survivors[position]

    def rungs(self, tests: Iterable[int]) -> list[list[int]]:
        """Test indices of one problem, split into rungs; a single rung if nothing is eliminated."""
        if self._rule is None:
            every = list(tests)
            return [every] if every else []
        return [list(rung) for _, rung in itertools.groupby(tests, rung_of)]

    def over_all_programs(self, position: int, block: BlockVerdicts) -> BlockVerdicts:
        """Verdicts of the survivors as rows among all distinct programs; the others are ``NOT_RUN``."""
        programs = self.programs(position)
        shape = (len(self._problems[position].programs), block.verdicts.shape[1])
        grids: dict[str, Any] = {}
        for name, missing in _MISSING.items():
            rows = getattr(block, name)
            grids[name] = np.full(shape, missing, rows.dtype)
            grids[name][programs] = rows
        outputs = block.recorded_outputs
        if outputs is not None:
            outputs = spread_over_candidates(outputs, programs, shape[0])
        return replace(block, recorded_outputs=outputs, **grids)

    def standing(self, position: int) -> tuple[int, ...]:
        """Number of tests that each survivor has passed so far."""
        passed = np.zeros(len(self._problems[position].programs), np.intp)
        for record in self._problems.verdicts(position).values():
            passed += record.verdicts == Verdict.PASSED
        return tuple(passed[self.programs(position)].tolist())

    def unsettled(self, position: int, tests: Sequence[int], block: BlockVerdicts) -> NDArray[np.bool_]:
        """Cut pairs of a rung that something may rest on, bool (survivors, tests).

        Those of a program that is eliminated after the rung whatever they give are left as they are.

        Args:
            position: the problem.
            tests: indices of the tests of the rung.
            block: verdicts of the survivors on them.
        """
        cut, pairs = block.cut_at > 0, open_pairs(block)
        if self._rule is None or not cut.any():
            return np.asarray(cut)
        item, of_all = self._problems[position], self.over_all_programs(position, block)
        before = self._problems.verdicts(position)
        verdicts = {**before, **dict(zip(tests, verdict_records(of_all), strict=True))}
        parts = [self._problems.store.recorded_outputs_of(item.problem.id), of_all.recorded_outputs]
        known = [part for part in parts if part is not None and part.inputs]
        evidence = evidence_of(verdicts, item.distinct, join_outputs(known) if known else None)
        programs, places = self.programs(position), np.searchsorted(sorted(verdicts), tests)
        running = np.isin(item.distinct.inverse, programs)
        for row in np.flatnonzero(pairs.any(axis=1)).tolist():
            own = np.flatnonzero(item.distinct.inverse == programs[row])
            rule, z = self._rule.rule, self._rule.z
            if eliminated_anyway(evidence, own, places[pairs[row]], running, rule, z):
                cut[row] = False
        return np.asarray(cut)

    def _eliminate(self, position: int, tests: int) -> None:
        assert self._rule is not None
        distinct = self._problems[position].distinct
        running = np.isin(distinct.inverse, self._survivors[position])
        still = survivors(self._problems.evidence(position, tests), running, self._rule.rule, self._rule.z)
        self._survivors[position] = np.flatnonzero(still[distinct.representatives])


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """Assessment of problems by the told prefix, one row for each problem.

    Attributes:
        picks: int64 (problems,), candidate that would be picked now.
        p_correct: float64 (problems,), probability that it is correct.
        programs: int64 (problems,), programs that further tests are executed on.
        harmful: bool (problems,), True if more tests would harm the pick.
    """

    picks: NDArray[np.int64]
    p_correct: NDArray[np.float64]
    programs: NDArray[np.int64]
    harmful: NDArray[np.bool_]


class Assessor:
    """Assessment of problems by the tests that were told.

    The pick and p_correct depend on the problem's own tests alone. Harm also depends on statistics of the
    batch: of all problems, each with the tests that were told when it was last assessed.

    Args:
        problems: problems of the run; the methods name one by its position.
        elimination: survivors of each problem.
        rule: selection rule that picks.
        confidence_models: models of p_correct, p_gain and p_harm.
        checks_harm: False calls no problem harmful.
    """

    def __init__(
        self,
        problems: RunProblems,
        elimination: CandidateElimination,
        rule: SelectionRule,
        confidence_models: ConfidenceModels,
        *,
        checks_harm: bool,
    ) -> None:
        self._problems = problems
        self._elimination = elimination
        self._rule = rule
        self._confidence_models = confidence_models
        self._checks_harm = checks_harm
        self._told: dict[int, int] = {}
        self._changed: set[int] = set()  # told since the batch was last computed
        self._batch = _Batch(len(problems.problems))

    def assess(self, positions: Sequence[int], tests: Sequence[int]) -> Assessment:
        """Assess problems. Nothing that a later assessment depends on changes before :meth:`tell`.

        Args:
            positions: the problems, each once.
            tests: number of told tests of each, from the first.
        """
        evidence = {
            position: self._problems.evidence(position, count)
            for position, count in zip(positions, tests, strict=True)
        }
        picks, p_correct, programs = [], [], []
        for position, seen in evidence.items():
            winners = self._rule.winners(seen)
            fold = self._fold(position)
            picks.append(int(winners[0]))
            p_correct.append(p_correct_of_pick(seen, self._rule, winners, self._confidence_models, fold))
            programs.append(len(self._elimination.programs(position)))
        return Assessment(
            np.array(picks, np.int64),
            np.array(p_correct, np.float64),
            np.array(programs, np.int64),
            self._harmful(evidence, dict(zip(positions, tests, strict=True))),
        )

    def tell(self, positions: Sequence[int], tests: Sequence[int]) -> None:
        """Note that an assessment of these problems is logged."""
        self._told.update(zip(positions, tests, strict=True))
        self._changed.update(positions)

    def _harmful(self, evidence: dict[int, Evidence], told: dict[int, int]) -> NDArray[np.bool_]:
        harmful = np.zeros(len(evidence), np.bool_)
        if not self._checks_harm:
            return harmful
        due = [row for row, (at, seen) in enumerate(evidence.items()) if self._is_due(at, seen.votes.tests)]
        if not due:
            return harmful
        for position in self._changed | evidence.keys():
            count = told.get(position, self._told.get(position, 0))
            if self._batch.tests.get(position) != count:
                seen = evidence.get(position) or self._problems.evidence(position, count)
                calibrates = self._batch.calibrates(position)
                self._batch.put(position, count, batch_contribution(seen, calibrates=calibrates))
        self._changed.clear()
        batch = self._batch.statistics()
        positions = list(evidence)
        for row in due:
            harmful[row] = self._effect(positions[row], evidence[positions[row]], batch).harmful
        return harmful

    def _is_due(self, position: int, executed: int) -> bool:
        """True if a problem has tests with verdicts that were not there when it was last assessed."""
        before = self._told.get(position, 0)
        verdicts = self._problems.store.verdicts[self._problems.problems[position].id]
        return executed >= _MIN_CHECKED_TESTS and executed > sum(test < before for test in verdicts)

    def _effect(self, position: int, seen: Evidence, batch: BatchStatistics) -> TestEffect:
        return TestEffect.of(
            replace(seen, batch=batch),
            self._rule,
            confidence_models=self._confidence_models,
            fold=self._fold(position),
            pass_rate=float(self._problems.pass_rates[position]),
        )

    def _fold(self, position: int) -> int:
        return problem_fold(self._problems.problems[position].content_hash)


class _Batch:
    """Statistics of the batch from one contribution per problem.

    Sums are kept by groups of neighbouring problems, so that a change costs one group, and the rounding of
    the sum does not depend on the order in which problems were assessed. At most a few hundred problems,
    evenly spaced, have a part in the calibration, which is computed anew when one of them changes.

    Args:
        problems: number of problems of the run.

    Attributes:
        tests: tests that each problem counts with, by position.
    """

    def __init__(self, problems: int) -> None:
        self.tests: dict[int, int] = {}
        self._problems = problems
        self._groups: dict[int, dict[int, BatchContribution]] = defaultdict(dict)
        self._sums: dict[int, NDArray[np.float64]] = {}
        self._calibrating: dict[int, BatchContribution] = {}

    def calibrates(self, position: int) -> bool:
        """True if a problem has a part in the calibration."""
        return is_calibrating(position, self._problems, _CALIBRATING_PROBLEMS)

    def put(self, position: int, tests: int, contribution: BatchContribution) -> None:
        """Replace the contribution of a problem."""
        self.tests[position] = tests
        group = position // _PROBLEMS_PER_SUM
        self._groups[group][position] = contribution
        self._sums.pop(group, None)
        if contribution.groups:
            self._calibrating[position] = contribution

    def statistics(self) -> BatchStatistics:
        """Statistics of the problems so far, at least one."""
        for group in self._groups.keys() - self._sums.keys():
            members = self._groups[group]
            self._sums[group] = add_sums([members[position].sums for position in sorted(members)])
        return statistics_of_sums(
            add_sums([self._sums[group] for group in sorted(self._sums)]),
            [self._calibrating[position].groups for position in sorted(self._calibrating)],
        )

"""Assessment of problems while tests come in: pick and p_correct, surviving programs, harm of more tests.

Everything follows from the tests that were told, so a resumed run comes to the same results as one that was
not interrupted.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.rewards.confidence.change import ChangeModel, default_change_model
from testbudget.rewards.confidence.model import ConfidenceModels, p_correct_by
from testbudget.rewards.elimination import end_of_rung, rung_of, survivors
from testbudget.rewards.outputs import Evidence, join_outputs, spread_over_candidates
from testbudget.rewards.overoptimisation import TestEffect
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.seeds import problem_fold
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.running_batch import RunningBatch
from testbudget.scheduler.block_records import verdict_records
from testbudget.scheduler.cut_pairs import eliminated_anyway, open_pairs
from testbudget.scheduler.run_problems import RunProblems
from testbudget.traces.pair_reasons import NO_REASON
from testbudget.traces.records import evidence_of

_MIN_CHECKED_TESTS = 5  # fewer tests say too little about harm
_LAST_CHECK = 1_000_000
_MISSING = {
    "verdicts": NOT_RUN,
    "cpu_seconds": 0,
    "wall_seconds": 0,
    "same_process": False,
    "reason_of": NO_REASON,
    "cut_at": 0,
    "lost": False,
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
        self._used: dict[int, int] = {}  # rungs that were looked at
        self._passed: dict[int, tuple[int, NDArray[np.intp]]] = {}  # tests counted, passes of each program

    @property
    def eliminates(self) -> bool:
        """True if programs are eliminated."""
        return self._rule is not None

    def programs(self, position: int) -> NDArray[np.intp]:
        """Surviving programs, as positions among the problem's distinct programs, intp (survivors,)."""
        if position not in self._survivors:
            self._survivors[position] = np.arange(len(self._problems[position].programs))
        if self._rule is not None:
            ends = self._problems.store.rung_ends(self._problems.problems[position].id)
            for end in ends[self._used.get(position, 0) :]:
                self._eliminate(position, end)
            self._used[position] = len(ends)
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
        if len(programs) == shape[0]:
            return block
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
        counted, passed = self._passed.get(position, (0, None))
        if passed is None:
            passed = np.zeros(len(self._problems[position].programs), np.intp)
        verdicts = self._problems.verdicts(position)
        new = [record.verdicts for record in itertools.islice(verdicts.values(), counted, None)]
        if new:
            passed = passed + (np.stack(new) == Verdict.PASSED).sum(axis=0)
            self._passed[position] = len(verdicts), passed
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
        alive = np.zeros(len(distinct.representatives), np.bool_)
        alive[self._survivors[position]] = True
        running = alive[distinct.inverse]
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
        p_change: float64 (problems,), probability that more tests change the pick's output group.
    """

    picks: NDArray[np.int64]
    p_correct: NDArray[np.float64]
    programs: NDArray[np.int64]
    harmful: NDArray[np.bool_]
    p_change: NDArray[np.float64]


class Assessor:
    """Assessment of problems by the tests that were told.

    Harm, and the pick and p_correct under a rule that uses the batch, also depend on the tests of the other
    problems that were told so far (``RunningBatch``). Under other rules, a problem's pick and p_correct
    depend on its own tests alone.

    Args:
        problems: problems of the run; the methods name one by its position.
        elimination: survivors of each problem.
        rule: selection rule that picks.
        confidence_models: models of p_correct, p_gain and p_harm.
        checks_harm: False calls no problem harmful.
        change_model: model of p_change; None for ``default_change_model``.
    """

    def __init__(
        self,
        problems: RunProblems,
        elimination: CandidateElimination,
        rule: SelectionRule,
        confidence_models: ConfidenceModels,
        *,
        checks_harm: bool,
        change_model: ChangeModel | None = None,
    ) -> None:
        self._problems = problems
        self._elimination = elimination
        self._rule = rule
        self._confidence_models = confidence_models
        self._change_model = change_model or default_change_model()
        self._checks_harm = checks_harm
        self._told: dict[int, int] = {}
        self._batch = RunningBatch(len(problems.problems), problems.evidence)

    def assess(self, positions: Sequence[int], tests: Sequence[int]) -> Assessment:
        """Assess problems. Nothing that a later assessment depends on changes before :meth:`tell`.

        Args:
            positions: the problems, each once.
            tests: number of told tests of each, from the first.
        """
        told = dict(zip(positions, tests, strict=True))
        uses_batch = self._rule.uses_batch or self._checks_harm
        batch = self._batch.statistics(told) if uses_batch else None
        picks, p_correct, programs, harmful, p_change = [], [], [], [], []
        for position, count in told.items():
            alone = self._problems.evidence(position, count, all_inputs=True)
            seen = replace(alone, batch=batch) if self._rule.uses_batch else alone
            statistics = PrefixStatistics(seen, [seen.votes.tests])
            won = self._rule.winners_by(statistics)
            fold = self._fold(position)
            picks.append(int(won[0].argmax()))
            p_correct.append(p_correct_by(statistics, self._rule, won, self._confidence_models, fold)[0])
            p_change.append(self._change_model.p_change(statistics, won)[0])
            programs.append(len(self._elimination.programs(position)))
            harmful.append(
                self._checks_harm
                and self._is_due(position, seen.votes.tests)
                and self._effect(position, replace(alone, batch=batch)).harmful
            )
        return Assessment(
            np.array(picks, np.int64),
            np.array(p_correct, np.float64),
            np.array(programs, np.int64),
            np.array(harmful, np.bool_),
            np.array(p_change, np.float64),
        )

    def tell(self, positions: Sequence[int], tests: Sequence[int]) -> None:
        """Note that an assessment of these problems is logged."""
        told = dict(zip(positions, tests, strict=True))
        self._told.update(told)
        self._batch.tell(told)

    def _is_due(self, position: int, executed: int) -> bool:
        """True if a problem has tests with verdicts that were not there when it was last assessed."""
        before = self._told.get(position, 0)
        verdicts = self._problems.store.verdicts[self._problems.problems[position].id]
        return executed >= _MIN_CHECKED_TESTS and executed > sum(test < before for test in verdicts)

    def _effect(self, position: int, seen: Evidence) -> TestEffect:
        return TestEffect.of(
            seen,
            self._rule,
            confidence_models=self._confidence_models,
            fold=self._fold(position),
            pass_rate=float(self._problems.pass_rates[position]),
        )

    def _fold(self, position: int) -> int:
        return problem_fold(self._problems.problems[position].content_hash)

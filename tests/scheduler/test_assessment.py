"""Elimination, and the assessment of picks: their p_correct, and harm of more tests."""

import numpy as np
import pytest

from testbudget.rewards.confidence.features import FEATURES
from testbudget.rewards.confidence.model import (
    CONFIDENCE_FOLDS,
    ConfidenceModels,
    ConfidenceTarget,
    LogisticModel,
    RuleFamily,
    default_models,
    p_correct_of_pick,
)
from testbudget.rewards.confidence.pick import PICK_FEATURES
from testbudget.rewards.outputs import (
    NO_RESULT,
    CallEnding,
    CallResult,
    RecordedCall,
    RecordedOutputs,
    select_outputs,
)
from testbudget.rewards.problem import NOT_RUN, Problem, Verdict
from testbudget.rewards.seeds import problem_fold
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.assessment import Assessor, CandidateElimination, EliminationRule
from testbudget.scheduler.event_log import LOG_FILE, Entry, EventLog, Note
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.scheduler.log_records import ExecutedRecord, SampledRecord
from testbudget.scheduler.run_problems import RunProblems
from testbudget.traces.pair_reasons import NO_REASON
from testbudget.traces.records import CandidateRecord, VerdictRecord
from tests.scheduler.blocks import block_of

from .recorded_run import RecordedRun, Recording, many_tests

RULE = EliminationRule(Majority(), z=2.0)
PROBLEM = Problem("p", "def f():\n", "f")
# The second and the fourth candidate are the same program.
CODES = ("return 1", "return 2", "return 3", "return 2")


class Rungs:
    """A problem whose rungs are executed one after another, with and without outputs."""

    def __init__(self, log, rule, codes=CODES, outputs=None) -> None:
        self.log, self.outputs = log, outputs
        self.problems = RunProblems([PROBLEM], EvidenceStore(log))
        self.elimination = CandidateElimination(self.problems, rule)
        candidates = tuple(CandidateRecord(code, False, 0, 0.0) for code in codes)
        self._record(SampledRecord("p", candidates))

    def execute(self, first, rows) -> None:
        """Execute a rung: verdicts of each test on the programs, from test ``first`` on."""
        tests = tuple(range(first, first + len(rows)))
        verdicts = tuple(
            VerdictRecord(
                np.array(row, np.uint8), np.zeros(len(row), np.float32), np.zeros(len(row), np.bool_)
            )
            for row in rows
        )
        part = self.outputs and select_outputs(self.outputs, inputs=tests)
        self._record(ExecutedRecord("p", tests, verdicts, part))

    def programs(self):
        return self.elimination.programs(0).tolist()

    def _record(self, record) -> None:
        entry = Entry(Note("test", {}), 0.0, (record,))
        self.log.append([entry])
        self.problems.store.apply(entry)


@pytest.fixture
def log(tmp_path):
    with EventLog(tmp_path / LOG_FILE, durable=False) as opened:
        yield opened


def outputs_of(results) -> RecordedOutputs:
    """Recorded outputs, int (programs, tests), one call for each test."""
    results = np.array(results, np.int32)
    outputs = tuple(CallResult(CallEnding.RETURNED, digest, str(digest)) for digest in range(3))
    inputs = tuple(RecordedCall(test, "f", f"[{test}]", test) for test in range(results.shape[1]))
    return RecordedOutputs(inputs, outputs, results)


def test_an_eliminated_program_is_not_run_again_even_when_another_leads(log):
    rungs = Rungs(log, RULE)
    rungs.execute(0, [[1, 0, 1]] * 5)
    assert rungs.programs() == [0, 2]
    rungs.execute(5, [[0, NOT_RUN, 1]] * 6)
    assert rungs.programs() == [2]


def test_survivors_depend_on_the_rungs_and_not_on_when_they_are_asked_for(log, tmp_path):
    asked = Rungs(log, RULE)
    for first, rows in ((0, [[1, 0, 1]] * 9), (9, [[0, NOT_RUN, 1]] * 11)):
        asked.execute(first, rows)
        asked.programs()
    with EventLog(tmp_path / "other.sqlite", durable=False) as other:
        resumed = Rungs(other, RULE)
        resumed.execute(0, [[1, 0, 1]] * 9)
        resumed.execute(9, [[0, NOT_RUN, 1]] * 11)
        assert resumed.programs() == asked.programs() == [2]


def test_a_rule_that_uses_outputs_keeps_a_program_with_more_agreeing_candidates(log, tmp_path):
    """Program 1 loses five tests, but two of the four candidates are this program."""
    outputs = outputs_of(np.tile([[0], [1], [2]], 5))
    with EventLog(tmp_path / "other.sqlite", durable=False) as other:
        for opened, rule, left in (
            (log, RULE, [0]),
            (other, EliminationRule(selection_rule("calibrated"), 2.0), [0, 1]),
        ):
            rungs = Rungs(opened, rule, outputs=outputs)
            rungs.execute(0, [[1, 0, 0]] * 5)
            assert rungs.programs() == left


def test_one_program_represents_those_with_equal_outputs(log):
    """The second and the third program have equal outputs on all tests that both are run on."""
    results = np.tile([[0], [1], [1]], 12)
    results[2, 9:] = NO_RESULT
    rungs = Rungs(log, RULE, outputs=outputs_of(results))
    rungs.execute(0, [[1, 1, 1]] * 9)
    assert rungs.programs() == [0, 1]
    rungs.execute(9, [[1, 0, NOT_RUN]] * 3)
    evidence = rungs.problems.evidence(0, 12)
    np.testing.assert_array_equal(evidence.votes.passed()[:, 2], evidence.votes.passed()[:, 1])
    assert evidence.votes.run().all()


def test_rungs_grow_and_exist_only_with_elimination(log):
    elimination, none = (CandidateElimination(Rungs(log, rule).problems, rule) for rule in (RULE, None))
    assert [(part[0], part[-1]) for part in elimination.rungs(range(100))] == [
        (0, 4),
        (5, 8),
        (9, 15),
        (16, 28),
        (29, 51),
        (52, 93),
        (94, 99),
    ]
    assert elimination.rungs([9, 12, 20]) == [[9, 12], [20]]
    assert none.rungs(range(100)) == [list(range(100))]
    assert elimination.rungs([]) == none.rungs([]) == []


def test_without_elimination_every_program_stays(log):
    rungs = Rungs(log, None)
    rungs.execute(0, [[1, 0, 1]] * 5)
    assert rungs.programs() == [0, 1, 2]


def test_verdicts_of_survivors_become_rows_among_all_programs(log):
    rungs = Rungs(log, RULE)
    rungs.execute(0, [[1, 0, 1]] * 5)
    recorded_outputs = RecordedOutputs(
        (RecordedCall(5, "f", "[]", 1),),
        (CallResult(CallEnding.RETURNED, 1, "1"),),
        np.zeros((2, 1), np.int32),
    )
    block = block_of([[Verdict.PASSED]] * 2, cut_at=0.5, outputs=recorded_outputs, input_mutations=3)
    spread = rungs.elimination.over_all_programs(0, block)
    assert spread.verdicts.ravel().tolist() == [1, NOT_RUN, 1]
    assert spread.cpu_seconds.ravel().tolist() == spread.wall_seconds.ravel().tolist() == [1, 0, 1]
    assert spread.same_process.ravel().tolist() == [True, False, True]
    assert spread.cut_at.ravel().tolist() == [0.5, 0, 0.5]
    assert spread.reason_of.ravel().tolist() == [0, NO_REASON, 0]
    assert spread.input_mutations.tolist() == [3]
    assert spread.recorded_outputs.results.ravel().tolist() == [0, NO_RESULT, 0]


def test_a_pick_is_assessed_by_the_told_tests_alone(log):
    rungs, rule = Rungs(log, None), Majority()
    rungs.execute(0, [[0, 1, 1]] * 3)
    rungs.execute(3, [[1, 0, 0]] * 6)  # not told yet
    assessor = Assessor(rungs.problems, rungs.elimination, rule, default_models(), checks_harm=False)
    found = assessor.assess([0], [3])
    evidence = rungs.problems.evidence(0, 3)
    winners = rule.winners(evidence)
    fold = problem_fold(PROBLEM.content_hash)
    assert found.picks.tolist() == [winners[0]] == [1]
    assert found.p_correct.tolist() == [p_correct_of_pick(evidence, rule, winners, default_models(), fold)]
    assert found.programs.tolist() == [3]
    assert found.harmful.tolist() == [False]


WEIGHTS = len(FEATURES) + 2  # the last two are the split-half agreements


def harm(intercept, **weights) -> ConfidenceModels:
    """Confidence models whose p_harm depends on some features, and whose p_gain is about 0."""
    weights_of_features = np.zeros(WEIGHTS)
    for name, weight in weights.items():
        weights_of_features[FEATURES.index(name.replace("_", " "))] = weight
    falls = LogisticModel(intercept, np.zeros(WEIGHTS), weights_of_features)
    rises = LogisticModel(-20.0, np.zeros(WEIGHTS), np.zeros(WEIGHTS))
    of_pick = LogisticModel(0.0, np.zeros(len(PICK_FEATURES)), np.zeros(len(PICK_FEATURES)))
    return ConfidenceModels(
        "harmful runs",
        {
            (target, family): (model,) * CONFIDENCE_FOLDS
            for target, model in (
                (ConfidenceTarget.FALLS, falls),
                (ConfidenceTarget.RISES, rises),
                (ConfidenceTarget.PICK, of_pick),
            )
            for family in RuleFamily
        }
        | {(ConfidenceTarget.CANDIDATE, RuleFamily.OUTPUTS_USED): (rises,) * CONFIDENCE_FOLDS},
    )


@pytest.fixture
def recording(recorded):
    return many_tests(Recording.of(recorded))


def run_of(recording, directory, confidence_models, **options):
    directory.mkdir(exist_ok=True)
    run = RecordedRun(recording, directory, confidence_models=confidence_models, **options)
    run.part()
    return run


def test_a_problem_is_closed_once_more_tests_are_likelier_to_harm_than_to_help(recording, tmp_path):
    run = run_of(recording, tmp_path, harm(-100.0, number_of_tests=50.0), limits={"tests": 100})
    assert run.granted == [9] * 5
    assert run.closed_because == ["harmful"] * 5


def test_the_tests_of_a_closed_problem_go_to_the_other_problems(recording, tmp_path):
    # The programs of the first problem agree more, since twice two and two squared are the same.
    confidence_models = harm(65.0, agreement_with_all_candidates=100.0)
    run = run_of(recording, tmp_path, confidence_models, limits={"tests": 61})
    assert run.granted == [5, 14, 14, 14, 14]
    assert run.closed_because == ["harmful", *["cap"] * 4]


@pytest.mark.parametrize("policy", ["uniform", "greedy"])
def test_budgets_are_as_without_checks_where_no_problem_is_closed(recording, tmp_path, policy):
    granted = [
        run_of(recording, tmp_path / name, models, policy=policy, limits={"tests": 63}).granted
        for name, models in (("checked", harm(-20.0)), ("unchecked", None))
    ]
    assert granted[0] == granted[1]


def test_problems_are_checked_at_the_end_of_each_rung(recording, tmp_path):
    run = run_of(recording, tmp_path, harm(-20.0), limits={"tests": 100})
    firsts = [[first for _, at, first, _ in run.grants if at == problem] for problem in range(5)]
    assert firsts == [[0, 5, 9, 16]] * 5


class StoppedError(Exception):
    """Simulated end of the process."""


@pytest.mark.parametrize("rule", ["majority", "calibrated"])
@pytest.mark.parametrize("policy", ["uniform", "greedy"])
def test_a_run_that_is_stopped_anywhere_closes_the_same_problems(recording, tmp_path, rule, policy):
    # p_harm is largest for the first problem, and depends on statistics of the whole batch.
    confidence_models = harm(
        151.0, agreement_with_all_candidates=100.0, **{"minority ratio of the batch": -800.0}
    )
    options = {"rule": rule, "policy": policy, "limits": {"tests": 70}}
    whole = run_of(recording, tmp_path / "whole", confidence_models, **options)
    assert "harmful" in whole.closed_because
    for steps in range(1, 30, 4):
        directory = tmp_path / str(steps)
        directory.mkdir()
        left = iter(range(steps))

        def stop(left=left):
            if next(left, None) is None:
                raise StoppedError

        with pytest.raises(StoppedError):
            RecordedRun(recording, directory, confidence_models=confidence_models, **options).part(stop)
        assert run_of(recording, directory, confidence_models, **options).decided() == whole.decided()

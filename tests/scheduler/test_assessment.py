"""Elimination and harm checks, also in resumed runs."""

from contextlib import suppress

import numpy as np
import pytest

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.rewards.confidence.features import FEATURES
from testbudget.rewards.confidence.model import (
    CONFIDENCE_FOLDS,
    ConfidenceModels,
    ConfidenceTarget,
    LogisticModel,
    RuleFamily,
)
from testbudget.rewards.outputs import NO_RESULT, CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.rewards.problem import NOT_RUN, Problem, Verdict
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.assessment import CandidateElimination, EliminationRule
from testbudget.scheduler.event_log import EventLog
from testbudget.traces.records import (
    CandidateRecord,
    ProblemCandidates,
    TaskRecord,
    VerdictRecord,
    evidence_of,
)

from .recorded_loop import CutOffError, many_tests

RULE = EliminationRule(Majority(), z=2.0)
PROBLEM = Problem("p", "def f():\n", "f")
# The second and the fourth candidate are the same program.
CODES = ("return 1", "return 2", "return 3", "return 2")


def item() -> ProblemCandidates:
    return ProblemCandidates.of(PROBLEM, [CandidateRecord(code, False, 0, 0.0) for code in CODES])


def verdicts_of(rows) -> dict[int, VerdictRecord]:
    return {
        test: VerdictRecord(
            np.array(row, np.uint8), np.zeros(len(row), np.float32), np.zeros(len(row), np.bool_)
        )
        for test, row in enumerate(rows)
    }


def elimination_of(rule, recorded_outputs=None) -> CandidateElimination:
    return CandidateElimination([item()], rule, lambda _: recorded_outputs)


FIVE_LOSSES = verdicts_of([[1, 0, 1]] * 5)


def test_an_eliminated_program_is_not_run_again_even_when_another_leads():
    elimination = elimination_of(RULE)
    elimination.update(0, FIVE_LOSSES)
    assert elimination.programs(0).tolist() == [0, 2]
    later = verdicts_of([[1, 0, 1]] * 5 + [[0, NOT_RUN, 1]] * 6)
    elimination.update(0, later)
    assert elimination.programs(0).tolist() == [2]
    elimination.update(0, verdicts_of([[0, 1, 0]] * 9))
    assert elimination.programs(0).tolist() == [2]


def test_a_resumed_run_eliminates_the_same_programs():
    verdicts = verdicts_of([[1, 0, 1]] * 9 + [[0, NOT_RUN, 1]] * 11)
    undisturbed, resumed = elimination_of(RULE), elimination_of(RULE)
    for before in (9, 16):
        undisturbed.update(0, {index: record for index, record in verdicts.items() if index < before})
    resumed.restore(0, [TaskRecord("p", 0, 12), TaskRecord("p", 12, 8)], verdicts)
    assert resumed.programs(0).tolist() == undisturbed.programs(0).tolist() == [2]


def test_a_rule_that_uses_outputs_keeps_a_program_with_more_agreeing_candidates():
    """Program 1 loses five tests, but two of the four candidates are this program."""
    outputs = tuple(CallResult(CallEnding.RETURNED, digest, str(digest)) for digest in range(3))
    inputs = tuple(RecordedCall(test, "f", f"[{test}]", test) for test in range(5))
    recorded_outputs = RecordedOutputs(inputs, outputs, np.tile(np.array([[0], [1], [2]], np.int32), 5))
    rows = verdicts_of([[1, 0, 0]] * 5)
    for rule, left in ((RULE, [0]), (EliminationRule(selection_rule("auto"), 2.0), [0, 1])):
        elimination = elimination_of(rule, recorded_outputs)
        elimination.update(0, rows)
        assert elimination.programs(0).tolist() == left


def test_one_program_represents_those_with_equal_outputs_also_after_a_restart():
    """The second and the third program have equal outputs on all tests that both are run on."""
    outputs = tuple(CallResult(CallEnding.RETURNED, digest, str(digest)) for digest in range(2))
    inputs = tuple(RecordedCall(test, "f", f"[{test}]", test) for test in range(12))
    results = np.tile(np.array([[0], [1], [1]], np.int32), 12)
    results[2, 9:] = NO_RESULT
    recorded_outputs = RecordedOutputs(inputs, outputs, results)
    rows = verdicts_of([[1, 1, 1]] * 9 + [[1, 0, NOT_RUN]] * 3)
    undisturbed, resumed = elimination_of(RULE, recorded_outputs), elimination_of(RULE, recorded_outputs)
    undisturbed.update(0, {index: record for index, record in rows.items() if index < 9})
    assert undisturbed.programs(0).tolist() == [0, 1]
    resumed.restore(0, [TaskRecord("p", 0, 12)], rows)
    assert resumed.programs(0).tolist() == [0, 1]
    evidence = evidence_of(rows, item().distinct, recorded_outputs)
    np.testing.assert_array_equal(evidence.votes.passed()[:, 2], evidence.votes.passed()[:, 1])
    assert evidence.votes.run().all()


def test_the_same_verdicts_eliminate_once_however_often_they_are_reported():
    """Support is counted among survivors, so a second elimination, as after a restart, might drop more."""
    rng = np.random.default_rng(0)
    programs = [CandidateRecord(f"return {number}", False, 0, 0.0) for number in range(12)]
    outputs = tuple(CallResult(CallEnding.RETURNED, digest, str(digest)) for digest in range(3))
    inputs = tuple(RecordedCall(test, "f", f"[{test}]", test) for test in range(5))
    for _ in range(50):
        recorded_outputs = RecordedOutputs(inputs, outputs, rng.integers(0, 3, (12, 5), dtype=np.int32))
        elimination = CandidateElimination(
            [ProblemCandidates.of(PROBLEM, programs)],
            EliminationRule(selection_rule("auto"), 0.5),
            lambda _, found=recorded_outputs: found,
        )
        rows = verdicts_of(rng.integers(0, 2, (5, 12)))
        elimination.update(0, rows)
        once = elimination.programs(0).tolist()
        elimination.update(0, rows)
        assert elimination.programs(0).tolist() == once


def test_rungs_grow_and_exist_only_with_elimination():
    elimination = elimination_of(RULE)
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
    assert elimination_of(None).rungs(range(100)) == [list(range(100))]
    assert elimination.rungs([]) == elimination_of(None).rungs([]) == []


def test_without_elimination_every_program_stays():
    elimination = elimination_of(None)
    elimination.update(0, FIVE_LOSSES)
    assert elimination.programs(0).tolist() == [0, 1, 2]


def test_verdicts_of_survivors_become_rows_among_all_programs():
    elimination = elimination_of(RULE)
    elimination.update(0, FIVE_LOSSES)
    recorded_outputs = RecordedOutputs(
        (RecordedCall(5, "f", "[]", 1),),
        (CallResult(CallEnding.RETURNED, 1, "1"),),
        np.zeros((2, 1), np.int32),
    )
    ones = np.ones((2, 1), np.float32)
    verdicts = np.full((2, 1), Verdict.PASSED, np.uint8)
    spread = elimination.over_all_programs(
        0, BlockVerdicts(verdicts, ones, ones, ones.astype(np.bool_), recorded_outputs, np.array([3]))
    )
    assert spread.verdicts.ravel().tolist() == [1, NOT_RUN, 1]
    assert spread.cpu_seconds.ravel().tolist() == spread.wall_seconds.ravel().tolist() == [1, 0, 1]
    assert spread.same_process.ravel().tolist() == [True, False, True]
    assert spread.input_mutations.tolist() == [3]
    assert spread.recorded_outputs.results.ravel().tolist() == [0, NO_RESULT, 0]


WEIGHTS = len(FEATURES) + 2  # the last two are the split-half agreements


def harm(intercept, **weights) -> ConfidenceModels:
    """Confidence models whose p_harm depends on some features, and whose p_gain is about 0."""
    weights_of_features = np.zeros(WEIGHTS)
    for name, weight in weights.items():
        weights_of_features[FEATURES.index(name.replace("_", " "))] = weight
    falls = LogisticModel(intercept, np.zeros(WEIGHTS), weights_of_features)
    rises = LogisticModel(-20.0, np.zeros(WEIGHTS), np.zeros(WEIGHTS))
    return ConfidenceModels(
        "harmful runs",
        {
            (target, family): (model,) * CONFIDENCE_FOLDS
            for target, model in ((ConfidenceTarget.FALLS, falls), (ConfidenceTarget.RISES, rises))
            for family in RuleFamily
        }
        | {(ConfidenceTarget.CANDIDATE, RuleFamily.OUTPUTS_USED): (rises,) * CONFIDENCE_FOLDS},
    )


def stopped(run):
    """Number of tests at which each closed problem was closed."""
    with EventLog(run.path) as event_log:
        return {problem: check.tests for problem, check in event_log.harm_checks.items() if check.stops}


def run_of(recorded, path, confidence_models, rule="majority", **limits):
    run = many_tests(recorded, path, **limits)
    run.rule, run.confidence_models = selection_rule(rule), confidence_models
    return run


def harm_checks(run):
    with EventLog(run.path) as event_log:
        return event_log.harm_checks


def test_a_problem_is_closed_once_more_tests_are_likelier_to_harm_than_to_help(recorded, tmp_path):
    run = run_of(recorded, tmp_path / "run", harm(-100.0, number_of_tests=50.0), tests=100)
    assert run.part().tests == 5 * 9
    assert run.tests() == [9] * 5
    assert list(stopped(run).values()) == [9] * 5


def test_the_tests_of_a_closed_problem_go_to_the_other_problems(recorded, tmp_path):
    # The programs of the first problem agree more, since twice two and two squared are the same.
    confidence_models = harm(65.0, agreement_with_all_candidates=100.0)
    run = run_of(recorded, tmp_path / "run", confidence_models, tests=61)
    assert run.part().tests == 61
    assert run.tests() == [5, 14, 14, 14, 14]
    assert stopped(run) == {recorded.problems[0].id: 5}


@pytest.mark.parametrize("policy", ["uniform", "greedy"])
def test_budgets_are_as_without_checks_where_no_problem_is_closed(recorded, tmp_path, policy):
    seen = {}
    for name, confidence_models in (("checked", harm(-20.0)), ("unchecked", None)):
        run = run_of(recorded, tmp_path / name, confidence_models, policy=policy, tests=63)
        run.part()
        seen[name] = run.seen()
    assert seen["checked"] == seen["unchecked"]


def test_problems_are_checked_at_the_end_of_each_rung(recorded, tmp_path):
    run = run_of(recorded, tmp_path / "run", harm(-20.0), tests=100)
    run.part()
    with EventLog(run.path) as event_log:
        for problem in recorded.problems:
            assert [task.first for task in event_log.tasks[problem.id]] == [0, 5, 9, 16]
            assert event_log.harm_checks[problem.id].tests == 20


@pytest.mark.parametrize("rule", ["majority", "auto"])
@pytest.mark.parametrize("policy", ["uniform", "greedy"])
def test_a_run_cut_off_anywhere_closes_the_same_problems(recorded, tmp_path, rule, policy):
    # p_harm is largest for the first problem, and depends on statistics of the whole batch.
    confidence_models = harm(
        151.0, agreement_with_all_candidates=100.0, **{"minority ratio of the batch": -800.0}
    )
    whole = run_of(recorded, tmp_path / "whole", confidence_models, rule, policy=policy, tests=70)
    cost = whole.part()
    assert stopped(whole)
    for results in range(1, 30, 4):
        cut = run_of(recorded, tmp_path / str(results), confidence_models, rule, policy=policy, tests=70)
        with suppress(CutOffError):
            cut.part(results)
        assert cut.part() == cost
        assert cut.seen() == whole.seen()
        assert harm_checks(cut) == harm_checks(whole)

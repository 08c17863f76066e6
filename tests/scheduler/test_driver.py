"""The loop of a run: the same decisions under any timing, caps, and work that is lost."""

import random

import numpy as np
import pytest

from testbudget.rewards.problem import NOT_RUN
from testbudget.scheduler.backends.base import (
    ExecutionDone,
    GenerationDone,
    WorkLost,
)
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.core.tasks import MAX_FAILURES
from testbudget.scheduler.event_log import EventLog
from testbudget.traces.records import TestStatus

from .recorded_run import RecordedRun, Recording, many_tests


@pytest.fixture
def recording(recorded):
    return Recording.of(recorded)


def run_of(recording, directory, **options):
    directory.mkdir(exist_ok=True)
    run = RecordedRun(recording, directory, **options)
    run.part()
    return run


def test_uniform_spends_the_whole_cap_evenly(recording, tmp_path):
    assert run_of(recording, tmp_path, limits={"tests": 15}).granted == [3] * 5


def test_a_cap_of_one_test_grants_one_test(recording, tmp_path):
    assert sorted(run_of(recording, tmp_path, limits={"tests": 1}).granted) == [0, 0, 0, 0, 1]


def test_a_cap_of_the_minimum_grants_the_minimum(recording, tmp_path):
    run = run_of(recording, tmp_path, policy="greedy", min_tests=2, limits={"tests": 10})
    assert run.granted == [2] * 5


def test_a_cap_above_all_tests_grants_all_of_them(recording, tmp_path):
    assert run_of(recording, tmp_path, limits={"tests": 1000}).granted == [8] * 5


def test_unusable_and_duplicate_tests_are_charged_but_do_not_vote(recording, tmp_path):
    run = run_of(recording, tmp_path, limits={"tests": 40})
    for problem in recording.problems:
        statuses = [record.status for record in run.store.tests[problem.id].values()]
        assert statuses.count(TestStatus.UNUSABLE) == statuses.count(TestStatus.DUPLICATE) == 1
        assert len(run.store.verdicts[problem.id]) == 6
    spent = run.scheduler.books.spent
    assert spent["tokens"] == 5 * sum(40 + index for index in range(8))
    # Two of the five candidates are the same program, which runs once.
    assert spent["executions"] == 5 * 6 * 4


@pytest.mark.parametrize("policy", ["uniform", "greedy"])
@pytest.mark.parametrize("limits", [{"executions": 50}, {"tests": 20, "executions": 70}])
def test_a_counted_cap_holds_and_is_used_until_no_further_test_fits(recording, tmp_path, policy, limits):
    spent = run_of(recording, tmp_path, policy=policy, limits=limits).scheduler.books.spent
    left = {quantity: limit - spent[quantity] for quantity, limit in limits.items()}
    assert min(left.values()) >= 0
    assert any(left[quantity] < {"tests": 1, "executions": 4}[quantity] for quantity in limits)


def test_an_eliminated_program_is_neither_run_nor_charged_and_the_pick_is_the_same(recording, tmp_path):
    recording = many_tests(recording)
    every = run_of(recording, tmp_path / "every", limits={"tests": 100})
    less = run_of(recording, tmp_path / "less", limits={"tests": 100}, eliminates=True, z=1.65)
    for problem, of_problem in less.store.verdicts.items():
        verdicts = np.stack([record.verdicts for _, record in sorted(of_problem.items())])
        expected = np.stack(
            [record.verdicts for _, record in sorted(every.store.verdicts[problem].items())]
        )
        run = verdicts != NOT_RUN
        assert run[:5].all()
        # The second and the fourth program are wrong and are eliminated after five tests. The third has the
        # outputs of the first, which represents it from the sixteenth test on.
        assert run[5:16].tolist() == [[True, False, True, False]] * 11
        assert run[16:].tolist() == [[True, False, False, False]] * 4
        assert (verdicts[run] == expected[run]).all()
    assert every.scheduler.books.spent["executions"] == 5 * 20 * 4
    assert less.scheduler.books.spent["executions"] == 5 * (5 * 4 + 11 * 2 + 4)


def test_a_cap_on_executions_grants_more_tests_with_elimination(recording, tmp_path):
    recording, limits = many_tests(recording), {"executions": 250}
    every = run_of(recording, tmp_path / "every", limits=limits)
    less = run_of(recording, tmp_path / "less", limits=limits, eliminates=True, z=1.65)
    assert sum(less.granted) > sum(every.granted)


def test_recorded_outputs_come_back_with_the_verdicts(recording, tmp_path):
    run = run_of(recording, tmp_path, limits={"tests": 40})
    for problem, found in run.outputs.items():
        expected = recording.outputs[problem]
        assert found.inputs == expected.inputs
        assert examples(found) == examples(expected)


def test_a_problem_is_closed_by_the_cap_or_by_its_maximum(recording, tmp_path):
    for tests, reason in ((12, "cap"), (1000, "max_tests")):
        run = run_of(recording, tmp_path / reason, limits={"tests": tests})
        assert run.closed_because == [reason] * 5


class Unsteady(RecordedBackend):
    """Results in any order. Some are lost, as often as a task may be, and some come twice."""

    seed = 0
    loss = 0.0

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.random = random.Random(self.seed)
        self.held = []
        self.losses = {}

    def wait(self, timeout=None):
        while reports := super().wait(timeout):
            self.held += [
                report for report in reports if isinstance(report, GenerationDone | ExecutionDone)
            ]
            if others := [report for report in reports if not hasattr(report, "work")]:
                return others
        if not self.held:
            return []
        self.random.shuffle(self.held)
        done = self.held.pop()
        task = done.work.key.task
        losses = self.losses.setdefault(task, 0)
        if losses < MAX_FAILURES - 1 and self.random.random() < self.loss:
            self.losses[task] += 1
            return [WorkLost(done.work, "the worker ended")]
        return [done, *([done] if self.random.random() < self.loss else [])]  # a late double


@pytest.mark.parametrize("policy", ["uniform", "greedy"])
@pytest.mark.parametrize("window", [(1, 1), (7, 2), (40, 10)])
def test_decisions_are_the_same_under_any_timing_and_loss(recording, tmp_path, policy, window):
    recording = many_tests(recording)
    options = {
        "policy": policy,
        "rule": "calibrated",
        "limits": {"tests": 60, "executions": 200},
        "eliminates": True,
        "window": window[0],
        "quantum": window[1],
    }
    steady = run_of(recording, tmp_path / "steady", **options).decided()
    for seed in range(4):
        kind = type("Unsteady", (Unsteady,), {"seed": seed, "loss": 0.25 * (seed % 2)})
        unsteady = run_of(recording, tmp_path / str(seed), back=kind, **options)
        assert unsteady.decided() == steady
        unsteady.scheduler.validate()


def test_work_that_is_lost_again_and_again_closes_its_problem_alone(recording, tmp_path):
    unlucky = recording.problems[2].id

    class Losing(RecordedBackend):
        def wait(self, timeout=None):
            return [
                WorkLost(report.work, "the sandbox failed twice")
                if isinstance(report, ExecutionDone) and report.work.problem.id == unlucky
                else report
                for report in super().wait(timeout)
            ]

    run = run_of(recording, tmp_path, limits={"tests": 1000}, back=Losing)
    assert run.closed_because == [
        "max_tests",
        "max_tests",
        "quarantined",
        "max_tests",
        "max_tests",
    ]
    assert not run.store.verdicts[unlucky]


class StoppedError(Exception):
    """Simulated end of the process."""


def test_nothing_is_decided_by_what_could_not_be_logged(recording, tmp_path, monkeypatch):
    """A failed append changes neither the store nor the core, and the run is continued from the log."""
    whole = run_of(recording, tmp_path / "whole", limits={"tests": 30}).decided()
    directory = tmp_path / "failing"
    directory.mkdir()
    append = EventLog.append
    for successes in range(2, 6):
        left = iter([True] * successes)

        def failing(log, entries, *, issued=None, left=left):
            if not next(left, False):
                raise StoppedError
            append(log, entries, issued=issued)

        monkeypatch.setattr(EventLog, "append", failing)
        with pytest.raises(StoppedError):
            RecordedRun(recording, directory, limits={"tests": 30}).part()
    monkeypatch.undo()
    assert run_of(recording, directory, limits={"tests": 30}).decided() == whole


def examples(recorded_outputs):
    return [
        [recorded_outputs.outputs[output].example for output in row] for row in recorded_outputs.results
    ]

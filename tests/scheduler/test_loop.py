"""The loop on the replay back end: caps, rounds, and going on after being cut off anywhere."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from policies import create_policy
from rewards.behaviour import Behaviour, Ending, Input, Output
from rewards.evidence import Evidence
from rewards.problem import NOT_RUN, Verdict
from rewards.selection import Majority, selection_rule
from rewards.votes import Votes
from scheduler.backend import Generated
from scheduler.behaviours import read_behaviours
from scheduler.journal import Journal
from scheduler.ledger import Cap, Ledger
from scheduler.loop import Loop, spent
from scheduler.races import Racing
from scheduler.records import TestStatus, VerdictRecord, votes_of
from scheduler.replay_backend import ReplayBackend
from scheduler.solving import Solving
from scheduler.tables import read_trace
from scheduler.writing import TestWriter

AVAILABLE = 8
PASS_RATES = np.array([0.4, 0.05, 0.9, 0.2, 0.6])


class CutOffError(Exception):
    """Stands for the end of the process."""


class CutOff(ReplayBackend):
    """A back end whose driver dies after so many results."""

    def __init__(self, *arguments, results: int, **options) -> None:
        super().__init__(*arguments, **options)
        self.left = results

    def wait(self):
        if not self.left:
            raise CutOffError
        self.left -= 1
        return super().wait()


class Run:
    """One run of the recorded problems, in parts if need be, on one journal."""

    def __init__(self, recorded, path, policy="uniform", min_tests=0, racing=None, **limits) -> None:
        self.racing, self.available = racing, AVAILABLE
        self.behaviours = read_behaviours(recorded.directory)
        self.trace = read_trace(recorded.directory)
        self.problems = recorded.problems
        self.path = path / "journal.sqlite"
        self.solving = [Solving.of(p, self.trace.of(p).candidates) for p in recorded.problems]
        self.policy, self.min_tests, self.limits = policy, min_tests, limits

    def part(self, results: int | None = None):
        """Runs until the end, or until the driver dies; returns what was spent."""
        options = {} if results is None else {"results": results}
        kind = ReplayBackend if results is None else CutOff
        backend = kind(self.trace, self.problems, runners=2, behaviours=self.behaviours, **options)
        policy = create_policy(
            self.policy,
            len(self.solving),
            pass_rates=PASS_RATES,
            min_tests=self.min_tests,
            max_tests=self.available,
        )
        with Journal(self.path) as journal:
            ledger = Ledger(Cap(self.limits), spent(journal))
            writer = TestWriter(None, seed=0)
            Loop(
                self.solving, policy, ledger, journal, backend, writer, racing=self.racing, record=True
            ).run()
            return ledger.spent

    def seen(self):
        with Journal(self.path) as journal:
            return {
                solving.problem.id: (
                    journal.granted(solving.problem.id),
                    {
                        index: record.status
                        for index, record in sorted(journal.tests[solving.problem.id].items())
                    },
                    votes_of(journal.verdicts[solving.problem.id], solving.distinct).scores().tolist(),
                )
                for solving in self.solving
            }

    def verdicts(self):
        """(tests, programs) by problem."""
        with Journal(self.path) as journal:
            return {
                problem.id: np.stack(
                    [record.verdicts for _, record in sorted(journal.verdicts[problem.id].items())]
                )
                for problem in self.problems
            }

    def behaviour(self):
        with Journal(self.path) as journal:
            return {problem.id: journal.behaviour_of(problem.id) for problem in self.problems}

    def tests(self):
        return [granted for granted, _, _ in self.seen().values()]


def test_uniform_spends_a_cap_of_tests_evenly_and_wholly(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=15)
    assert run.part().tests == 15
    assert run.tests() == [3] * 5


def test_a_cap_of_one_buys_one_test(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=1)
    assert run.part().tests == 1
    assert sorted(run.tests()) == [0, 0, 0, 0, 1]


def test_a_cap_of_the_minimum_buys_just_that(recorded, tmp_path):
    run = Run(recorded, tmp_path, policy="greedy", min_tests=2, tests=10)
    run.part()
    assert run.tests() == [2] * 5


def test_a_cap_above_all_tests_buys_all_and_stops(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=1000)
    assert run.part().tests == AVAILABLE * 5
    assert run.tests() == [AVAILABLE] * 5


def test_unusable_and_duplicate_tests_are_charged_but_do_not_vote(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=40)
    cost = run.part()
    for _, statuses, scores in run.seen().values():
        assert list(statuses.values()).count(TestStatus.UNUSABLE) == 1
        assert list(statuses.values()).count(TestStatus.DUPLICATE) == 1
        assert max(scores) == 6
    assert cost.tokens == 5 * sum(40 + index for index in range(AVAILABLE))
    # Two of the five candidates are the same program, which runs once.
    assert cost.executions == 5 * 6 * 4


@pytest.mark.parametrize(
    "limits",
    [
        {"tokens": 700},
        {"executions": 50},
        {"cpu_seconds": 0.05},
        {"gpu_seconds": 5.0},
        {"tests": 20, "tokens": 800, "executions": 70},
    ],
)
@pytest.mark.parametrize("policy", ["uniform", "greedy"])
def test_any_cap_holds_and_is_used_until_no_further_test_fits(recorded, tmp_path, policy, limits):
    run = Run(recorded, tmp_path, policy=policy, **limits)
    cost = run.part()
    for dimension, limit in limits.items():
        assert getattr(cost, dimension) <= limit + 1e-9
    worst = {"tests": 1, "tokens": 47, "executions": 4, "cpu_seconds": 0.004, "gpu_seconds": 0.5}
    assert any(limit - getattr(cost, d) < worst[d] for d, limit in limits.items())


@pytest.mark.parametrize("policy", ["uniform", "greedy"])
@pytest.mark.parametrize("limits", [{"tests": 23}, {"tokens": 900}])
def test_a_run_cut_off_anywhere_ends_as_one_that_was_not(recorded, tmp_path, policy, limits):
    whole = Run(recorded, tmp_path, policy=policy, **limits)
    cost = whole.part()
    for results in range(1, 9):
        folder = tmp_path / str(results)
        folder.mkdir()
        cut = Run(recorded, folder, policy=policy, **limits)
        with pytest.raises(CutOffError):
            cut.part(results)
        with suppress(CutOffError):  # the second part may come to the end
            cut.part(2)
        assert cut.part() == cost
        assert cut.seen() == whole.seen()


def test_a_finished_run_that_is_resumed_buys_nothing_more(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=12)
    assert run.part() == run.part()


def test_every_test_is_booked_before_it_is_made(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=12)
    booked = []

    class Watched(ReplayBackend):
        def wait(self):
            results = super().wait()
            booked.extend(
                result.task.requests[-1].index < journal.granted(result.task.problem)
                for result in results
                if isinstance(result, Generated)
            )
            return results

    with Journal(run.path) as journal:
        policy = create_policy("uniform", 5, max_tests=AVAILABLE)
        backend = Watched(run.trace, run.problems)
        ledger = Ledger(Cap({"tests": 12}))
        Loop(run.solving, policy, ledger, journal, backend, TestWriter(None, seed=0)).run()
    assert booked
    assert all(booked)


def test_a_cap_that_counts_unequal_prices_does_not_favour_the_first_problems(recorded, tmp_path):
    run = Run(recorded, tmp_path, executions=4 * 5 * 2)
    run.part()
    assert max(run.tests()) - min(run.tests()) <= 1


RACING = Racing(Majority(), z=1.65)


def test_who_is_out_after_a_heat_is_neither_run_nor_charged_and_the_pick_is_the_same(recorded, tmp_path):
    every, raced = (
        many_tests(recorded, tmp_path / "every"),
        many_tests(recorded, tmp_path / "raced", RACING),
    )
    whole, less = every.part(), raced.part()
    assert whole.tests == less.tests == 20 * 5
    for problem, verdicts in raced.verdicts().items():
        run, expected = verdicts != NOT_RUN, every.verdicts()[problem]
        assert run[:5].all()
        # Two of the four programs are wrong, which five tests make clear.
        assert run[5:].tolist() == [[True, False, True, False]] * 15
        assert (verdicts[run] == expected[run]).all()
        winners = Majority().winners(Evidence(Votes.from_matrix(expected == Verdict.PASSED)))
        assert (
            Majority().winners(Evidence(Votes.from_matrix(verdicts == Verdict.PASSED, run))) == winners
        ).all()
    assert whole.executions == 5 * 20 * 4
    assert less.executions == 5 * (5 * 4 + 15 * 2)


def test_a_cap_on_executions_buys_more_tests_in_a_race(recorded, tmp_path):
    caps = {"executions": 250}
    every = many_tests(recorded, tmp_path / "every", **caps)
    raced = many_tests(recorded, tmp_path / "raced", RACING, **caps)
    assert every.part().executions <= 250
    assert raced.part().executions <= 250
    assert sum(raced.tests()) > sum(every.tests())


@pytest.mark.parametrize("rule", ["majority", "auto"])
@pytest.mark.parametrize("limits", [{"tests": 100}, {"executions": 250}])
def test_a_race_cut_off_anywhere_ends_as_one_that_was_not(recorded, tmp_path, limits, rule):
    racing = Racing(selection_rule(rule), z=1.65)
    whole = many_tests(recorded, tmp_path / "whole", racing, **limits)
    cost = whole.part()
    for results in range(1, 20, 3):
        cut = many_tests(recorded, tmp_path / str(results), racing, **limits)
        with pytest.raises(CutOffError):
            cut.part(results)
        assert cut.part() == cost
        assert cut.seen() == whole.seen()
        for problem, verdicts in whole.verdicts().items():
            np.testing.assert_array_equal(cut.verdicts()[problem], verdicts)


def test_recorded_behaviour_comes_back_with_the_verdicts(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=40)
    run.part()
    for problem, behaviour in run.behaviour().items():
        expected = run.behaviours[problem]
        assert behaviour.inputs == expected.inputs
        assert examples(behaviour) == examples(expected)


def examples(behaviour):
    return [[behaviour.outputs[output].example for output in row] for row in behaviour.results]


def many_tests(recorded, path, racing=None, **limits) -> Run:
    """A run on a recording of the same programs with twenty usable tests for each problem."""
    path.mkdir()
    run = Run(recorded, path, racing=racing, **limits)
    run.available = 20
    problems = {}
    for k, problem in enumerate(recorded.problems, start=2):
        seen = run.trace.of(problem)
        values = np.array([[x * k, x + k, x * k, x**k] for x in range(20)])
        verdicts = {x: values[x] == x * k for x in range(20)}
        run.behaviours[problem.id] = behaviour_of(values)
        problems[problem.id] = replace(
            seen,
            tests={x: replace(seen.tests[0], text=answer(problem, k, x)) for x in verdicts},
            verdicts={
                x: VerdictRecord(passed.astype(np.uint8), np.zeros(4, np.float32), np.zeros(4, np.bool_))
                for x, passed in verdicts.items()
            },
        )
    run.trace = replace(run.trace, problems=problems)
    return run


def behaviour_of(values) -> Behaviour:
    """Of programs that gave back these values, shape (tests, programs)."""
    distinct, results = np.unique(values, return_inverse=True)
    inputs = tuple(Input(x, "f", f"[{x}]", x) for x in range(len(values)))
    outputs = tuple(Output(Ending.RETURNED, int(value), str(value)) for value in distinct)
    return Behaviour(inputs, outputs, results.reshape(values.shape).T.astype(np.int32))


def answer(problem, k, x) -> str:
    return (
        f"```python\nimport unittest\n\nclass Test(unittest.TestCase):\n    def test_value(self):\n"
        f"        self.assertEqual({problem.entry_point}({x}), {x * k})\n```\n"
    )

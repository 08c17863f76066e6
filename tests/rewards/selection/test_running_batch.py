"""Statistics of a batch while tests come in, against the statistics of what was told."""

import numpy as np
import pytest

from testbudget.rewards.calibration_fit import calibrate
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.selection.batch import combine_batch, standing_contribution
from testbudget.rewards.selection.running_batch import RunningBatch
from testbudget.rewards.votes import Votes

PROBLEMS, TESTS, CANDIDATES = 12, 16, 10


@pytest.fixture(scope="module")
def problems():
    random = np.random.default_rng(0)
    rates = random.random((PROBLEMS, 1, CANDIDATES))
    passed = random.random((PROBLEMS, TESTS, CANDIDATES)) < rates
    return [Evidence(Votes.from_matrix(of_problem)) for of_problem in passed]


@pytest.fixture
def batch(problems):
    return RunningBatch(PROBLEMS, lambda position, tests: problems[position].first(tests))


def tell_in_steps(batch, upto):
    for tests in range(1, upto + 1):
        for position in range(PROBLEMS):
            batch.tell({position: tests})


def test_there_is_no_batch_before_the_first_test(batch):
    assert batch.statistics({}) is None
    assert batch.statistics({3: 0}) is None
    assert batch.statistics({3: 1}) is not None


def test_statistics_are_those_of_the_tests_told_up_to_an_eighth(batch, problems):
    tell_in_steps(batch, TESTS)
    found = batch.statistics({})
    counted = sum(batch._used.values())
    assert counted >= PROBLEMS * TESTS / (9 / 8)
    parts = [standing_contribution(problems[at].first(tests)) for at, tests in sorted(batch._used.items())]
    expected = combine_batch(parts)
    np.testing.assert_array_equal(found.minority_ratio, expected.minority_ratio)
    closed_form = calibrate([part.groups[0] for part in parts])
    for tests in (1, 7, TESTS, 3 * TESTS):
        at = found.calibration.at(tests)
        assert (at.strength, at.weak, at.strong) == (
            closed_form.strength,
            closed_form.weak,
            closed_form.strong,
        )


def test_what_is_asked_for_changes_nothing_that_is_told(batch, problems):
    asked = RunningBatch(PROBLEMS, lambda position, tests: problems[position].first(tests))
    for tests in range(1, 9):
        for position in range(PROBLEMS):
            asked.statistics({position: TESTS})
            expected = asked.statistics({position: tests})
            for one in (asked, batch):
                one.tell({position: tests})
            found = batch.statistics({})
            np.testing.assert_array_equal(found.best_pass_rate, expected.best_pass_rate)


def test_only_problems_that_got_tests_are_read_again(problems):
    read = []

    def evidence(position, tests):
        read.append((position, tests))
        return problems[position].first(tests)

    batch = RunningBatch(PROBLEMS, evidence)
    for tests in range(1, TESTS + 1):
        for position in range(PROBLEMS):
            batch.statistics({position: tests})
            batch.tell({position: tests})
    assert len(read) == len(set(read))
    fits = np.log(PROBLEMS * TESTS) / np.log(9 / 8)
    assert len(read) < fits * PROBLEMS


def test_at_most_some_hundred_problems_are_read(problems):
    read = set()

    def evidence(position, tests):
        read.add(position)
        return problems[position % PROBLEMS].first(tests)

    batch = RunningBatch(100_000, evidence)
    told = dict.fromkeys(range(100_000), 2)
    batch.statistics(told)
    assert 200 < len(read) <= 300

import math
from dataclasses import replace

import numpy as np
import pytest

from testbudget.difficulty.examples import (
    FALSE_NEGATIVE_RATE,
    PASS_RATE,
    SOLVABLE,
    TARGETS,
    MeasuredProblem,
    gain_target,
    measure_problem,
    target_labels,
    training_examples,
)
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import selection_rule
from testbudget.traces.tables import read_trace

MAJORITY = selection_rule("majority")


def measured(recorded, candidates=None, rule=MAJORITY):
    seen = next(iter(read_trace(recorded.directory).problems.values()))  # times 2
    return measure_problem(seen, rule, candidates, np.random.default_rng(0))


def test_correct_candidates_and_error_rates_of_tests_are_measured(recorded):
    of_all = measured(recorded)
    assert (of_all.correct, of_all.candidates, of_all.tests) == (2, 5, 8)
    # Usable tests are at 0, 1, 2, 3, 5, 4. Two candidates (x + 2) pass at 2 alone, x ** 2 at 0 and 2.
    assert of_all.false_positive_rate == pytest.approx((1 + 1 + 2) / 18)
    assert of_all.false_negative_rate == 0


def test_gains_rise_to_the_gain_of_all_tests_and_count_generated_tests(recorded):
    gains = measured(recorded).gains
    assert list(gains) == [1, 2, 4, 8]
    assert gains[8] == pytest.approx(1 - 2 / 5)
    assert 0 < gains[1] < gains[4] <= gains[8]


def test_gains_are_left_out_without_a_rule(recorded):
    assert measured(recorded, rule=None).gains == {}


def test_only_the_first_candidates_are_measured(recorded):
    of_two = measured(recorded, candidates=2)
    assert (of_two.correct, of_two.candidates) == (1, 2)
    assert of_two.false_positive_rate == pytest.approx(1 / 6)


def test_examples_are_in_the_order_of_the_run(recorded):
    found = training_examples(recorded.directory, read_trace, MAJORITY, source=str(recorded.problems_file))
    assert found.ids == tuple(problem.id for problem in recorded.problems)
    assert found.texts == tuple(problem.prompt for problem in recorded.problems)
    assert found.content_hashes == tuple(problem.content_hash for problem in recorded.problems)
    assert len(found.hidden_states) == len(found.measured) == 5


def test_a_run_without_readable_problem_texts_gives_examples_without_texts(recorded):
    assert training_examples(recorded.directory, read_trace, MAJORITY).texts is None


def test_texts_that_differ_from_those_of_the_run_are_a_user_error(recorded, tmp_path):
    other = tmp_path / "problems.jsonl"
    other.write_text(recorded.problems_file.read_text().replace("Returns", "Gives"))
    with pytest.raises(UserError, match="must have been made from the same text of problem times/2"):
        training_examples(recorded.directory, read_trace, MAJORITY, source=str(other))


def test_more_candidates_than_recorded_are_a_user_error(recorded):
    with pytest.raises(UserError, match=r"at most as many as .* \(5 of times/2\) but got 6"):
        training_examples(recorded.directory, read_trace, MAJORITY, candidates=6)


def test_a_run_without_labels_is_a_user_error(recorded):
    trace = read_trace(recorded.directory)
    problems = {name: replace(seen, correct=None) for name, seen in trace.problems.items()}
    with pytest.raises(UserError, match="must have labels to learn from but problem times/2 has none"):
        training_examples(recorded.directory, lambda _: replace(trace, problems=problems), MAJORITY)


def test_a_run_without_hidden_states_is_a_user_error(recorded):
    trace = replace(read_trace(recorded.directory), hidden_states=None)
    with pytest.raises(UserError, match="must hold hidden states to learn from but it has none"):
        training_examples(recorded.directory, lambda _: trace, MAJORITY)


EASY = MeasuredProblem(9, 10, 20, math.nan, 0.1, {1: 0.1})
MEDIUM = MeasuredProblem(5, 10, 20, 0.3, 0.2, {1: -0.2, 16: 0.4})
UNSOLVED = MeasuredProblem(0, 40, 10, 0.8, math.nan, {1: 0.0, 16: 0.0})
PROBLEMS = [EASY, MEDIUM, UNSOLVED]


def test_a_pass_rate_has_the_weight_of_its_candidates_and_solvability_the_weight_one():
    rates, solvable = target_labels(PASS_RATE, PROBLEMS), target_labels(SOLVABLE, PROBLEMS)
    assert rates.values.tolist() == [0.9, 0.5, 0.0]
    assert rates.weights.tolist() == [10, 10, 40]
    assert rates.event.tolist() == solvable.event.tolist() == [True, True, False]
    assert solvable.values.tolist() == [1, 1, 0]
    assert solvable.weights.tolist() == [1, 1, 1]


def test_values_that_could_not_be_measured_are_unknown():
    assert target_labels(FALSE_NEGATIVE_RATE, PROBLEMS).known.tolist() == [True, True, False]
    assert target_labels(gain_target(16), PROBLEMS).known.tolist() == [False, True, True]


def test_the_event_of_an_error_rate_is_a_value_above_the_median():
    assert target_labels(FALSE_NEGATIVE_RATE, PROBLEMS).event.tolist() == [False, True, False]


def test_the_event_of_a_gain_is_a_positive_value():
    assert target_labels(gain_target(1), PROBLEMS).event.tolist() == [True, False, False]


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_values_of_every_target_are_converted_to_shares_and_back(target):
    values = target_labels(target, PROBLEMS).values
    shares = target.as_share(values)
    assert ((shares >= 0) & (shares <= 1) | np.isnan(shares)).all()
    np.testing.assert_allclose(target.from_share(shares), values, atol=1e-15)
    upper, lower = target.from_share(np.array([0.6])), target.from_share(np.array([0.4]))
    assert target.deviation_from_share(np.array([0.2])) == pytest.approx(upper - lower)

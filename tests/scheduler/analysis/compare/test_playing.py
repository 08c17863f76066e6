from dataclasses import replace

import numpy as np
import pytest

from rewards.errors import UserError
from scheduler.analysis.compare.comparison import Settings
from scheduler.analysis.compare.playing import compare
from scheduler.analysis.compare.predictors import measured_pass_rates
from scheduler.tables import read_trace

SETTINGS = Settings(predictors=("off", "oracle", "blurred:0.5"), tests_per_problem=(1, 3, 9), orders=4)


def learned(trace):
    raise AssertionError("nobody asked for what was learned")


@pytest.fixture(scope="module")
def trace(voted):
    return read_trace(voted)


@pytest.fixture(scope="module")
def comparison(trace):
    return compare(trace, SETTINGS, learned)


def test_each_line_has_a_cell_at_each_cap_and_uniform_has_no_predictor(comparison):
    names = ["uniform", "greedy off", "greedy oracle", "greedy blurred:0.5"]
    assert [line.name for line in comparison.lines] == names
    assert [(cell.tests_per_problem, cell.line.name) for cell in comparison.cells] == [
        (cap, name) for cap in (1, 3, 9) for name in names
    ]


def test_without_a_predictor_greedy_is_uniform(comparison):
    uniform, off = comparison.lines[:2]
    for one, two in zip(comparison.along(uniform), comparison.along(off), strict=True):
        assert (one.accuracy, one.spent, one.fifths) == (two.accuracy, two.spent, two.fifths)
        assert (two.gain.value, two.gain.low, two.gain.high) == (0, 0, 0)


def test_equal_budgets_lie_on_their_own_curve_which_starts_without_tests(comparison, trace):
    curve = dict(comparison.uniform_curve)
    assert list(curve) == list(range(10))
    assert curve[0] == pytest.approx(comparison.pass_at_1)
    assert comparison.pass_at_1 == pytest.approx(measured_pass_rates(trace).mean())
    for cell in comparison.along(comparison.lines[0]):
        assert cell.accuracy.value == pytest.approx(curve[cell.tests_per_problem])
        assert cell.spent.tests == cell.tests_per_problem


def test_gains_are_differences_and_fifths_make_up_the_whole(comparison):
    for place, cell in enumerate(comparison.cells):
        uniform = comparison.cells[place - place % 4]
        assert cell.gain.value == pytest.approx(cell.accuracy.value - uniform.accuracy.value)
        assert cell.gain.low <= cell.gain.value <= cell.gain.high
        for part, whole in (
            ("accuracy", cell.accuracy.value),
            ("gain", cell.gain.value),
            ("tests", cell.spent.tests),
            ("pass_rate", comparison.pass_at_1),
        ):
            assert np.mean([getattr(fifth, part) for fifth in cell.fifths]) == pytest.approx(whole)


def test_no_cap_is_passed_and_no_accuracy_passes_the_ceiling(comparison):
    for cell in comparison.cells:
        assert cell.spent.tests <= cell.tests_per_problem
        assert cell.accuracy.value <= comparison.solvable


def test_a_remainder_goes_to_other_problems_in_each_order(trace):
    settings = replace(SETTINGS, policies=(), tests_per_problem=(1 / 3,), orders=20)
    (cell,) = compare(trace, settings, learned).cells
    # Five tests: were they always for the same five problems, shares of three problems would be thirds.
    assert cell.spent.tests == pytest.approx(1 / 3)
    assert any(fifth.tests * 3 % 1 > 0.01 for fifth in cell.fifths)


def test_uniform_is_there_also_where_nobody_named_it_and_names_count_once(trace):
    settings = replace(SETTINGS, policies=("greedy", "greedy"), predictors=("off", "off"))
    assert [line.name for line in compare(trace, settings, learned).lines] == ["uniform", "greedy off"]


def test_predictors_are_not_asked_where_no_policy_believes_anything(trace):
    settings = replace(SETTINGS, policies=("uniform",), predictors=("on",))
    assert [line.name for line in compare(trace, settings, learned).lines] == ["uniform"]


def test_the_same_settings_give_the_same_comparison_and_another_seed_another(trace, comparison):
    assert compare(trace, SETTINGS, learned) == comparison
    assert compare(trace, replace(SETTINGS, seed=1), learned).cells != comparison.cells


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"orders": 0}, "orders must be at least 1 but got 0"),
        ({"policies": ("best",)}, "policy must be one of uniform, .* but got 'best'"),
        ({"selection": "best"}, "selection must be one of majority, consensus, .* but got 'best'"),
        ({"tests_per_problem": (0.01,)}, "between 1 and the 135 tests .* but 0.01 come to 0"),
        ({"tests_per_problem": (2, 10)}, "between 1 and the 135 tests .* but 10 come to 150"),
        ({"predictors": ("blurred:2",)}, "from 0 to 1 but got 2"),
    ],
)
def test_settings_that_cannot_be_had(trace, change, sentence):
    with pytest.raises(UserError, match=sentence):
        compare(trace, replace(SETTINGS, **change), learned)

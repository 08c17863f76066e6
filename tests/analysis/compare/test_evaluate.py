"""A comparison on a small run: its grid, its reference and its errors."""

from dataclasses import astuple, replace

import numpy as np
import pytest

from testbudget.analysis.compare.evaluate import compare
from testbudget.analysis.compare.settings import CompareSettings
from testbudget.rewards.errors import UserError
from testbudget.traces.records import Cost

from .conftest import SETTINGS, learned


def changed(**fields) -> CompareSettings:
    return CompareSettings(**{**dict(SETTINGS), **fields})


def test_the_grid_holds_each_combination_at_each_cap_and_equal_budgets_with_both_static_rules(comparison):
    names = [
        "majority, uniform",
        "majority, greedy none",
        "majority, greedy oracle",
        "majority, greedy noisy:0.5",
        "consensus, uniform",
    ]
    assert [one.name for one in comparison.combinations] == names
    assert [(cell.tests_per_problem, cell.combination.name) for cell in comparison.grid] == [
        (cap, name) for cap in (1, 3, 9) for name in names
    ]


def test_without_a_predictor_greedy_is_uniform(comparison):
    uniform, none = comparison.combinations[:2]
    for one, two in zip(comparison.along(uniform), comparison.along(none), strict=True):
        assert replace(one, combination=two.combination) == two
        assert (two.vs_uniform.value, two.vs_uniform.low, two.vs_uniform.high) == (0, 0, 0)


def test_equal_budgets_spend_their_cap_and_reach_their_own_accuracy(comparison):
    for rule in ("majority", "consensus"):
        uniform = next(one for one in comparison.combinations if one.name == f"{rule}, uniform")
        for cell in comparison.along(uniform):
            assert cell.spent.tests == cell.tests_per_problem
            assert cell.uniform_tests.value <= cell.tests_per_problem


def test_the_static_reference_is_the_better_of_two_rules_at_each_cap(comparison):
    for cap in comparison.caps:
        static = comparison.reference(cap)
        equal = [cell for cell in comparison.at(cap) if cell.combination.policy == "uniform"]
        assert static.accuracy.value == max(cell.accuracy.value for cell in equal)
        assert static.vs_reference.value == 0
        for cell in comparison.at(cap):
            difference = cell.vs_reference
            assert difference.value == pytest.approx(cell.accuracy.value - static.accuracy.value)
            assert difference.low <= difference.value <= difference.high


def test_the_reference_needs_its_own_spending_for_its_own_accuracy(trace):
    settings = changed(policies=(), tests_per_problem=(1, 2, 4))
    comparison = compare(trace, settings, learned)
    for cap in comparison.caps:
        static = comparison.reference(cap)
        if static.reference_tests.value == cap:  # false if fewer tests have the same accuracy
            np.testing.assert_allclose(astuple(static.needed), astuple(static.spent))


def test_vs_uniform_is_a_difference_and_quintiles_have_the_mean_of_all_problems(comparison):
    for place, cell in enumerate(comparison.grid):
        uniform = comparison.grid[place - place % 5 + 4 * (place % 5 == 4)]
        difference = cell.vs_uniform
        assert difference.value == pytest.approx(cell.accuracy.value - uniform.accuracy.value)
        assert difference.low <= difference.value <= difference.high
        for part, whole in (
            ("accuracy", cell.accuracy.value),
            ("vs_uniform", cell.vs_uniform.value),
            ("vs_reference", cell.vs_reference.value),
            ("tests", cell.spent.tests),
            ("pass_rate", comparison.pass_at_1),
        ):
            assert np.mean([getattr(quintile, part) for quintile in cell.quintiles]) == pytest.approx(whole)


def test_no_cap_is_exceeded_and_no_accuracy_exceeds_its_upper_bound(comparison):
    for cell in comparison.grid:
        assert cell.spent.tests <= cell.tests_per_problem
        assert cell.accuracy.value <= comparison.solvable


def test_a_remainder_goes_to_other_problems_in_each_permutation(trace):
    settings = changed(policies=(), tests_per_problem=(1 / 3,), permutations=20)
    cell = compare(trace, settings, learned).grid[0]
    # Five tests. If the same five problems always got them, shares of three problems would be thirds.
    assert cell.spent.tests == pytest.approx(1 / 3)
    assert any(quintile.tests * 3 % 1 > 0.01 for quintile in cell.quintiles)


def test_repeated_names_count_once(trace):
    settings = changed(
        policies=("greedy", "uniform", "greedy"),
        predictors=("none", "none"),
        selections=("consensus", "consensus"),
    )
    assert [one.name for one in compare(trace, settings, learned).combinations] == [
        "consensus, uniform",
        "consensus, greedy none",
        "majority, uniform",
    ]


def test_no_predictor_is_made_if_no_policy_uses_pass_rates(trace):
    settings = changed(policies=("uniform",), predictors=("learned",))
    assert {one.predictor for one in compare(trace, settings, learned).combinations} == {None}


def test_defaults_that_a_run_does_not_allow_are_left_out_with_a_note_and_given_names_are_refused(trace):
    def nothing(_trace):
        raise UserError("no hidden states")

    settings = changed(policies=None, predictors=None, permutations=1, tests_per_problem=(2,))
    comparison = compare(trace, settings, nothing)
    assert comparison.notes == (
        "left out oracle-curves: permutations must be at least 2 for the policy 'oracle-curves' but got 1",
        "left out learned: no hidden states",
    )
    assert {one.predictor for one in comparison.combinations} == {None, "oracle"}
    for asked in ({"predictors": ("learned",)}, {"policies": ("oracle-curves",)}):
        with pytest.raises(UserError):
            compare(trace, CompareSettings(**{**dict(settings), **asked}), nothing)


def test_hidden_states_are_charged_if_the_predictor_reads_them(trace):
    read = {
        problem: replace(seen, extraction=Cost(cpu_seconds=2.0, gpu_seconds=0.5))
        for problem, seen in trace.problems.items()
    }
    settings = changed(predictors=("learned", "oracle"), tests_per_problem=(2,))
    free, charged = (
        compare(one, settings, lambda run: np.full(len(run.problems), 0.5))
        for one in (trace, replace(trace, problems=read))
    )
    for one, two in zip(free.grid, charged.grid, strict=True):
        reads = one.combination.predictor == "learned"
        assert two.spent.cpu_seconds - one.spent.cpu_seconds == pytest.approx(2.0 * reads)
        assert two.spent.gpu_seconds - one.spent.gpu_seconds == pytest.approx(0.5 * reads)
        assert one.spent.tests == two.spent.tests


def test_best_is_the_most_accurate_combination_that_knows_no_truth(trace):
    settings = changed(policies=None, predictors=("oracle", "none"), tests_per_problem=(2, 4))
    comparison = compare(trace, settings, learned)
    for cap in comparison.caps:
        best = comparison.best(cap)
        assert best.combination.predictor in (None, "none")
        assert best.combination.policy != "oracle-curves"
        for cell in comparison.at(cap):
            assert cell.combination.knows_truth or cell.accuracy.value <= best.accuracy.value


def test_the_same_settings_give_the_same_comparison_and_another_seed_another(trace, comparison):
    assert compare(trace, SETTINGS, learned) == comparison
    assert compare(trace, changed(seed=1), learned).grid != comparison.grid


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"permutations": 0}, "permutations must be at least 1 but got 0"),
        ({"policies": ("best",)}, "policies.0 must be one of uniform, .* but got 'best'"),
        ({"selections": ("best",)}, "selections.0 must be one of majority, consensus, .* but got 'best'"),
        ({"tests_per_problem": (0.01,)}, "between 1 and the 135 tests .* but 0.01 come to 0"),
        ({"tests_per_problem": (2, 10)}, "between 1 and the 135 tests .* but 10 come to 150"),
        ({"predictors": ("none", "noisy:2")}, "from 0 to 1 but got 2"),
    ],
)
def test_settings_that_the_run_does_not_allow_are_refused(trace, change, sentence):
    with pytest.raises(UserError, match=sentence):
        compare(trace, changed(**change), learned)


def test_a_run_without_a_recorded_test_is_refused(trace):
    problems = {name: replace(seen, tests={}, verdicts={}) for name, seen in trace.problems.items()}
    with pytest.raises(
        UserError, match="a comparison needs recorded tests but none of 15 problems has any"
    ):
        compare(replace(trace, problems=problems), SETTINGS, learned)


def test_a_run_without_labels_is_scored_by_agreement_with_the_picks_of_all_tests(trace):
    problems = {name: replace(seen, correct=None) for name, seen in trace.problems.items()}
    found = compare(
        replace(trace, problems=problems), changed(policies=(), selections=("calibrated",)), learned
    )
    assert found.score == "agreement"
    cells = found.along(found.combinations[0])
    assert cells[0].accuracy.value < cells[-1].accuracy.value <= 1


def test_the_smallest_cap_for_an_accuracy_lies_where_the_accuracy_at_caps_crosses_it(trace, comparison):
    cells = comparison.along(comparison.combinations[0])
    wanted = (cells[0].accuracy.value + cells[1].accuracy.value) / 2
    found = compare(trace, changed(wanted=wanted), learned).smallest_caps
    assert [one.combination for one in found] == list(comparison.combinations)
    between = found[0].tests_per_problem
    assert between.low <= between.value <= between.high
    if cells[0].accuracy.value < wanted:
        assert between.value == pytest.approx(2)
    beyond = compare(trace, changed(wanted=1.0), learned).smallest_caps[0].tests_per_problem
    assert np.isinf(beyond.value)

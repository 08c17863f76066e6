from dataclasses import astuple, replace

import numpy as np
import pytest

from testbudget.analysis.compare.evaluate import compare
from testbudget.analysis.compare.results import CompareSettings
from testbudget.rewards.errors import UserError
from testbudget.traces.records import Cost
from testbudget.traces.tables import read_trace

SETTINGS = CompareSettings(
    policies=("greedy",),
    selections=("majority",),
    predictors=("off", "oracle", "blurred:0.5"),
    tests_per_problem=(1, 3, 9),
    orders=4,
)


def learned(trace):
    raise AssertionError("nobody asked for what was learned")


@pytest.fixture(scope="module")
def trace(voted):
    return read_trace(voted)


@pytest.fixture(scope="module")
def comparison(trace):
    return compare(trace, SETTINGS, learned)


def test_each_line_has_a_cell_at_each_cap_and_equal_budgets_are_there_with_both_static_rules(comparison):
    names = [
        "majority, uniform",
        "majority, greedy off",
        "majority, greedy oracle",
        "majority, greedy blurred:0.5",
        "consensus, uniform",
    ]
    assert [line.name for line in comparison.lines] == names
    assert [(cell.tests_per_problem, cell.line.name) for cell in comparison.cells] == [
        (cap, name) for cap in (1, 3, 9) for name in names
    ]


def test_without_a_predictor_greedy_is_uniform(comparison):
    uniform, off = comparison.lines[:2]
    for one, two in zip(comparison.along(uniform), comparison.along(off), strict=True):
        assert replace(one, line=two.line) == two
        assert (two.gain.value, two.gain.low, two.gain.high) == (0, 0, 0)


def test_equal_budgets_are_as_good_as_themselves_and_cost_what_they_cost(comparison):
    for rule in ("majority", "consensus"):
        line = next(line for line in comparison.lines if line.name == f"{rule}, uniform")
        for cell in comparison.along(line):
            assert cell.spent.tests == cell.tests_per_problem
            assert cell.uniform_tests.value <= cell.tests_per_problem


def test_the_static_reference_is_the_better_of_two_rules_at_each_cap(comparison):
    for cap in comparison.caps:
        static = comparison.static(cap)
        equal = [cell for cell in comparison.at(cap) if cell.line.policy == "uniform"]
        assert static.accuracy.value == max(cell.accuracy.value for cell in equal)
        assert static.lead.value == 0
        for cell in comparison.at(cap):
            assert cell.lead.value == pytest.approx(cell.accuracy.value - static.accuracy.value)
            assert cell.lead.low <= cell.lead.value <= cell.lead.high


def test_the_reference_needs_for_its_own_accuracy_what_it_spends(trace):
    settings = replace(SETTINGS, policies=(), tests_per_problem=(1, 2, 4))
    comparison = compare(trace, settings, learned)
    for cap in comparison.caps:
        static = comparison.static(cap)
        if static.reference_tests.value == cap:  # and not earlier already, on a curve that fell since
            np.testing.assert_allclose(astuple(static.needed), astuple(static.spent))


def test_gains_are_differences_and_fifths_make_up_the_whole(comparison):
    for place, cell in enumerate(comparison.cells):
        uniform = comparison.cells[place - place % 5 + 4 * (place % 5 == 4)]
        assert cell.gain.value == pytest.approx(cell.accuracy.value - uniform.accuracy.value)
        assert cell.gain.low <= cell.gain.value <= cell.gain.high
        for part, whole in (
            ("accuracy", cell.accuracy.value),
            ("gain", cell.gain.value),
            ("lead", cell.lead.value),
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
    cell = compare(trace, settings, learned).cells[0]
    # Five tests: were they always for the same five problems, shares of three problems would be thirds.
    assert cell.spent.tests == pytest.approx(1 / 3)
    assert any(fifth.tests * 3 % 1 > 0.01 for fifth in cell.fifths)


def test_names_count_once(trace):
    settings = replace(
        SETTINGS,
        policies=("greedy", "uniform", "greedy"),
        predictors=("off", "off"),
        selections=("consensus", "consensus"),
    )
    assert [line.name for line in compare(trace, settings, learned).lines] == [
        "consensus, uniform",
        "consensus, greedy off",
        "majority, uniform",
    ]


def test_predictors_are_not_asked_where_no_policy_believes_anything(trace):
    settings = replace(SETTINGS, policies=("uniform",), predictors=("on",))
    assert {line.predictor for line in compare(trace, settings, learned).lines} == {None}


def test_what_a_run_does_not_allow_is_left_out_with_a_word_unless_somebody_asked_for_it(trace):
    def nothing(_trace):
        raise UserError("nothing to learn from")

    settings = replace(SETTINGS, policies=None, predictors=None, orders=1, tests_per_problem=(2,))
    comparison = compare(trace, settings, nothing)
    assert comparison.notes == (
        "left out oracle-curves: orders must be at least 2 for the policy 'oracle-curves' but got 1",
        "left out on: nothing to learn from",
    )
    assert {line.predictor for line in comparison.lines} == {None, "oracle"}
    for asked in ({"predictors": ("on",)}, {"policies": ("oracle-curves",)}):
        with pytest.raises(UserError):
            compare(trace, replace(settings, **asked), nothing)


def test_hidden_states_are_charged_to_those_who_read_them(trace):
    read = {
        problem: replace(seen, extraction=Cost(cpu_seconds=2.0, gpu_seconds=0.5))
        for problem, seen in trace.problems.items()
    }
    settings = replace(SETTINGS, predictors=("on", "oracle"), tests_per_problem=(2,))
    free, charged = (
        compare(one, settings, lambda run: np.full(len(run.problems), 0.5))
        for one in (trace, replace(trace, problems=read))
    )
    for one, two in zip(free.cells, charged.cells, strict=True):
        reads = one.line.predictor == "on"
        assert two.spent.cpu_seconds - one.spent.cpu_seconds == pytest.approx(2.0 * reads)
        assert two.spent.gpu_seconds - one.spent.gpu_seconds == pytest.approx(0.5 * reads)
        assert one.spent.tests == two.spent.tests


def test_best_is_the_most_accurate_line_that_knows_no_truth(trace):
    settings = replace(SETTINGS, policies=None, predictors=("oracle", "off"), tests_per_problem=(2, 4))
    comparison = compare(trace, settings, learned)
    for cap in comparison.caps:
        best = comparison.best(cap)
        assert best.line.predictor in (None, "off")
        assert best.line.policy != "oracle-curves"
        for cell in comparison.at(cap):
            assert cell.line.knows_truth or cell.accuracy.value <= best.accuracy.value


def test_the_same_settings_give_the_same_comparison_and_another_seed_another(trace, comparison):
    assert compare(trace, SETTINGS, learned) == comparison
    assert compare(trace, replace(SETTINGS, seed=1), learned).cells != comparison.cells


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"orders": 0}, "orders must be at least 1 but got 0"),
        ({"policies": ("best",)}, "policy must be one of uniform, .* but got 'best'"),
        ({"selections": ("best",)}, "selection must be one of majority, consensus, .* but got 'best'"),
        ({"tests_per_problem": (0.01,)}, "between 1 and the 135 tests .* but 0.01 come to 0"),
        ({"tests_per_problem": (2, 10)}, "between 1 and the 135 tests .* but 10 come to 150"),
        ({"predictors": ("off", "blurred:2")}, "from 0 to 1 but got 2"),
    ],
)
def test_settings_that_cannot_be_had(trace, change, sentence):
    with pytest.raises(UserError, match=sentence):
        compare(trace, replace(SETTINGS, **change), learned)

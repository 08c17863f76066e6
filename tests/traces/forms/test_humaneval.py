"""HumanEval and HumanEval+."""

import pytest

from testbudget.traces.rows.mistakes import RowError

from .forms import passes, read, recognised

ROW = {
    "task_id": "HumanEval/0",
    "prompt": 'from typing import List\n\n\ndef f(xs: List[int]):\n    """Sum and\n    mean."""\n',
    "entry_point": "f",
    "canonical_solution": "    xs.append(0)\n    return [sum(xs), sum(xs) / (len(xs) - 1)]\n",
    "test": "def check(candidate):\n    assert candidate([1]) == [1, 1]\n",
}
RIGHT = "def f(xs):\n    return [sum(xs), sum(xs) * (1 / len(xs))]\n"
WRONG = "def f(xs):\n    return [1, 1]\n"


def test_a_row_of_humaneval_has_its_test_and_a_whole_reference():
    assert recognised(ROW) == "humaneval"
    problem = read("humaneval", ROW | {"level": 3})
    assert (problem.id, problem.entry_point, problem.metadata) == ("HumanEval/0", "f", {"level": 3})
    assert passes(problem, RIGHT)
    assert passes(problem, problem.reference)
    assert not passes(problem, "def f(xs):\n    return 0\n")


def test_a_call_of_check_that_the_test_has_is_not_repeated():
    problem = read("humaneval", ROW | {"test": f"{ROW['test']}check(f)\n"})
    assert problem.ground_truth.tests == (f"{ROW['test']}check(f)\n",)


def test_a_test_may_be_a_list_of_asserts_and_a_solution_a_whole_program():
    problem = read(
        "humaneval", ROW | {"test": ["x = [1]", "assert f(x) == [1, 1]"], "canonical_solution": RIGHT}
    )
    assert (passes(problem, RIGHT), problem.reference) == (True, RIGHT)


PLUS = ROW | {
    "contract": "",
    "base_input": [[[1]], [[2, 2]]],
    "atol": 0,
    "plus_input": [[[k, k + 1]] for k in range(250)],
}


def test_further_inputs_are_compared_with_the_reference_within_a_small_tolerance():
    assert recognised(PLUS) == "humaneval+"
    problem = read("humaneval+", PLUS)
    assert len(problem.ground_truth.tests) == 1 + 3
    assert passes(problem, problem.reference)
    assert passes(problem, RIGHT)
    assert not passes(problem, WRONG)
    assert not passes(problem, "def f(xs):\n    return (sum(xs), sum(xs) / len(xs))\n")
    assert problem.metadata == {"contract": ""}


def test_where_the_own_test_asserts_nothing_its_inputs_are_used_too():
    problem = read("humaneval+", PLUS | {"test": "def check(c): pass", "plus_input": [], "atol": "0.1"})
    assert len(problem.ground_truth.tests) == 1
    assert "[[[1]], [[2, 2]]]" in problem.ground_truth.tests[0]
    assert problem.comparison.absolute == 0.1
    assert passes(problem, RIGHT)
    assert not passes(problem, WRONG)


def test_a_reference_keeps_its_texts_of_several_lines_and_its_imports():
    imports = "from math import *\nfrom __future__ import annotations\n\n"
    solution = f'{imports}def f(xs):\n    return """a\n\nb""" + str(floor(pi))\n'
    row = PLUS | {"canonical_solution": solution, "prompt": "def f(xs):\n", "test": ""}
    problem = read("humaneval+", row)
    assert passes(problem, 'def f(xs):\n    return "a\\n\\nb3"\n')
    assert not passes(problem, 'def f(xs):\n    return "a\\n    b3"\n')


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"test": None}, "test is required but it is missing"),
        ({"entry_point": None}, "entry_point is required but it is missing"),
        ({"test": 3}, "test must be a text but got 3"),
    ],
)
def test_a_row_of_humaneval_that_lacks_something_is_refused(changes, sentence):
    row = {name: value for name, value in (ROW | changes).items() if value is not None}
    with pytest.raises(RowError, match=f"^{sentence}$"):
        read("humaneval", row)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"canonical_solution": ""},
            "canonical_solution is required, since the inputs come without outputs",
        ),
        ({"plus_input": [1]}, r"plus_input must be a list of lists of arguments but got \[1\]"),
        ({"plus_input": "[[1]"}, "plus_input must be JSON but "),
        ({"atol": "x"}, "atol must be JSON but "),
        ({"atol": -1}, "atol must be a number of at least 0 but got -1"),
        ({"canonical_solution": "    return (\n"}, "canonical_solution must be Python but "),
        (
            {"test": "", "base_input": [], "plus_input": []},
            "test must assert something, or base_input or plus_",
        ),
    ],
)
def test_a_row_of_humaneval_plus_that_cannot_be_judged_is_refused(changes, sentence):
    with pytest.raises(RowError, match=f"^{sentence}"):
        read("humaneval+", PLUS | changes)

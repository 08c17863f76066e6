"""APPS, TACO and CodeContests."""

import json

import pytest

from testbudget.rewards.problem import TestKind
from testbudget.rewards.stdin_case import StdinCase
from testbudget.traces.rows.mistakes import RowError

from .forms import passes, read, recognised

APPS = {
    "problem_id": 4,
    "question": "Read n, print n + 1",
    "solutions": json.dumps(["print(int(input()) + 1)"]),
    "input_output": json.dumps({"inputs": ["1\n", ["2", "3"]], "outputs": ["2\n", ["3"]]}),
    "difficulty": "interview",
    "starter_code": "",
}
CONTEST = {
    "name": "1_A. Rows",
    "description": "Read n, print n + 1",
    "public_tests": {"input": ["1"], "output": ["2"]},
    "private_tests": {"input": [], "output": []},
    "generated_tests": {"input": ["5"], "output": ["6"]},
    "solutions": {"language": [1, 2, 3], "solution": ["print 1", "int main() {}", "print(1)"]},
    "incorrect_solutions": {"language": [3], "solution": ["print(2)"]},
    "time_limit": {"seconds": 2, "nanos": 0},
    "input_file": "",
}


def cases(problem):
    assert problem.ground_truth.kind is TestKind.STDIN
    return [StdinCase.from_text(test) for test in problem.ground_truth.tests]


def test_a_row_of_apps_is_a_program_with_inputs_and_outputs():
    assert recognised(APPS) == "apps"
    problem = read("apps", APPS)
    assert (problem.id, problem.entry_point, problem.metadata) == ("4", None, {"difficulty": "interview"})
    assert cases(problem) == [StdinCase("1\n", "2\n"), StdinCase("2\n3", "3")]
    assert problem.reference == "print(int(input()) + 1)"


@pytest.mark.parametrize(
    ("starter", "entry"), [("", "g"), ("class Solution:\n    def g(self, s):", "Solution.g")]
)
def test_a_row_of_apps_with_a_function_name_is_calls(starter, entry):
    calls = {"fn_name": "g", "inputs": [["a"], [1]], "outputs": [["aa"], [2]]}
    problem = read("apps", APPS | {"input_output": calls, "starter_code": starter})
    assert problem.entry_point == entry
    code = "class Solution:\n    def g(self, s): return {0}\ndef g(s): return {0}\n"
    assert passes(problem, code.format("s + s"))
    assert passes(problem, code.format("[s + s]"))  # as rows of that set wrap their results, or do not
    assert not passes(problem, code.format("s"))


def test_a_row_without_an_id_is_numbered():
    row = {name: value for name, value in APPS.items() if name != "problem_id"}
    assert read("apps", row, number=3).id == "3"


@pytest.mark.parametrize("empty", ["", "{}", {"inputs": [], "outputs": []}, None])
def test_a_row_of_apps_without_tests_has_no_ground_truth(empty):
    row = {name: value for name, value in (APPS | {"input_output": empty}).items() if value is not None}
    assert read("apps", row).ground_truth is None


def test_a_row_of_code_contests_has_all_its_tests_and_a_solution_in_its_language():
    assert recognised(CONTEST) == "codecontests"
    problem = read("codecontests", CONTEST)
    assert (problem.id, problem.entry_point) == ("1_A. Rows", None)
    assert cases(problem) == [StdinCase("1", "2"), StdinCase("5", "6")]
    assert problem.reference == "print(1)"
    assert problem.metadata == {"time_limit": {"seconds": 2, "nanos": 0}}
    assert read("codecontests", CONTEST, language="cpp").reference == "int main() {}"
    assert read("codecontests", CONTEST, language="go").reference is None


def test_tests_and_solutions_of_code_contests_may_be_lists_of_objects():
    row = CONTEST | {
        "public_tests": [{"input": "1", "output": "2"}],
        "solutions": [{"language": "PYTHON3", "solution": "print(3)"}],
    }
    problem = read("codecontests", row)
    assert (cases(problem)[0], problem.reference) == (StdinCase("1", "2"), "print(3)")


@pytest.mark.parametrize(
    ("form", "row", "sentence"),
    [
        ("apps", APPS | {"input_output": "[1"}, "input_output must be JSON but "),
        (
            "apps",
            APPS | {"input_output": "[1]"},
            r"input_output must be an object of inputs and outputs but got \[1\]",
        ),
        (
            "apps",
            APPS | {"input_output": {"inputs": ["1"]}},
            "input_output must hold as many inputs as outputs but",
        ),
        (
            "apps",
            APPS | {"input_output": {"inputs": "1", "outputs": "1"}},
            "input_output must hold lists of inputs",
        ),
        (
            "apps",
            APPS | {"input_output": '{"inputs": [' + "9" * 5000 + "]}"},
            "input_output must be JSON but Exceeds",
        ),
        (
            "codecontests",
            CONTEST | {"public_tests": 3},
            "public_tests must be an object of input and output but got 3",
        ),
        (
            "codecontests",
            CONTEST | {"public_tests": {"input": [1], "output": []}},
            "public_tests must hold as many",
        ),
        ("codecontests", CONTEST | {"description": ""}, "description must not be empty"),
    ],
)
def test_rows_that_cannot_be_read_are_refused(form, row, sentence):
    with pytest.raises(RowError, match=f"^{sentence}"):
        read(form, row)

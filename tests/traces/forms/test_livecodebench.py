"""LiveCodeBench: programs and methods, with private tests that are pickled."""

import base64
import json
import zlib

import pytest

from testbudget.rewards.problem import TestKind
from testbudget.rewards.stdin_case import StdinCase
from testbudget.traces.rows.mistakes import RowError

from .forms import packed, passes, read, recognised

PROGRAM = {
    "question_title": "A",
    "question_content": "Read n, print n + 1",
    "question_id": "abc_1",
    "contest_date": "2024-01-01T00:00:00",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": json.dumps([{"input": "1\n", "output": "2", "testtype": "stdin"}]),
    "private_test_cases": packed([{"input": "3\n", "output": "4", "testtype": "stdin"}]),
    "metadata": "{}",
}
METHOD = PROGRAM | {
    "question_id": 7,
    "starter_code": "class Solution:\n    def addAll(self, xs: List[int], k: int) -> List[int]:\n        ",
    "public_test_cases": json.dumps([{"input": "[1, 2]\n1", "output": "[2, 3]", "testtype": "functional"}]),
    "private_test_cases": packed([{"input": "[]\n1", "output": "[]", "testtype": "functional"}]),
    "metadata": '{"func_name": "addAll"}',
}


def test_tests_of_a_program_are_public_and_private_ones():
    assert recognised(PROGRAM) == "livecodebench"
    problem = read("livecodebench", PROGRAM)
    assert (problem.id, problem.entry_point, problem.ground_truth.kind) == ("abc_1", None, TestKind.STDIN)
    cases = [StdinCase.from_text(test) for test in problem.ground_truth.tests]
    assert cases == [StdinCase("1\n", "2"), StdinCase("3\n", "4")]
    assert problem.metadata == {
        "question_title": "A",
        "contest_date": "2024-01-01T00:00:00",
        "difficulty": "easy",
    }


def test_a_functional_row_is_calls_of_a_method():
    problem = read("livecodebench", METHOD)
    assert (problem.id, problem.entry_point) == ("7", "Solution.addAll")
    assert problem.prompt.startswith("Read n, print n + 1\n\nclass Solution:\n")
    solution = "class Solution:\n    def addAll(self, xs, k):\n        return {}\n"
    assert passes(problem, solution.format("[x + k for x in xs]"))
    assert passes(problem, solution.format("tuple(x + k for x in xs)"))  # JSON knows no tuples
    assert not passes(problem, solution.format("xs"))


def test_the_function_is_named_by_the_starter_or_the_metadata():
    starter = "class Solution:\n    def __init__(self):\n        pass\n\n    def go(self, n):\n        "
    row = METHOD | {"starter_code": starter, "metadata": "{}"}
    assert read("livecodebench", row).entry_point == "Solution.go"
    assert read("livecodebench", METHOD | {"starter_code": "def go(n):"}).entry_point == "addAll"
    assert (
        read("livecodebench", METHOD | {"starter_code": "def go(n):", "metadata": "{}"}).entry_point == "go"
    )


def test_tests_may_be_lists_and_all_json_values_are_kept():
    tests = [{"input": 'true\nnull\n{"a": [1.5, "x"]}', "output": '"\\u00e9"', "testtype": "functional"}]
    problem = read("livecodebench", METHOD | {"public_test_cases": tests, "private_test_cases": ""})
    check = "assert given == (True, None, {'a': [1.5, 'x']})"
    code = f"class Solution:\n    def addAll(self, *given):\n        {check}\n"
    assert passes(problem, f"{code}        return 'é'\n")


def test_a_program_in_another_language_is_judged_alike():
    assert read("livecodebench", PROGRAM, language="cpp").language == "cpp"


PICKLED_CALL = base64.b64encode(zlib.compress(b"cos\nsystem\n(S'echo executed'\ntR.")).decode()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"private_test_cases": PICKLED_CALL},
            "private_test_cases is a pickle with GLOBAL, and only plain values",
        ),
        (
            {"private_test_cases": "no base64!"},
            "private_test_cases must be JSON, or base64 of compressed JSON",
        ),
        ({"private_test_cases": "YWJj"}, "private_test_cases must be compressed by zlib inside base64"),
        (
            {"private_test_cases": PROGRAM["private_test_cases"][:-8]},
            "private_test_cases must be at most 1 GiB, and",
        ),
        ({"public_test_cases": "[{"}, "public_test_cases must be JSON but "),
        (
            {"public_test_cases": "[1]"},
            r"public_test_cases must be a list of {input, output, testtype} but got \[1\]",
        ),
        (
            {"public_test_cases": [{"input": "1", "output": "2", "testtype": "file"}]},
            "testtype must be stdin or func",
        ),
        (
            {"public_test_cases": METHOD["public_test_cases"]},
            "testtype must be stdin or functional, and the same for",
        ),
        (
            {"public_test_cases": [{"input": None, "output": "2"}]},
            "public_test_cases and private_test_cases must hold",
        ),
    ],
)
def test_tests_that_cannot_be_read_are_refused(changes, sentence):
    with pytest.raises(RowError, match=f"^{sentence}"):
        read("livecodebench", PROGRAM | changes)


def test_a_functional_row_without_a_function_or_in_another_language_is_refused():
    with pytest.raises(
        RowError, match="starter_code must define a function, or metadata name it by func_name"
    ):
        read("livecodebench", METHOD | {"starter_code": "", "metadata": "{}"})
    with pytest.raises(
        RowError, match="testtype functional is read for Python only but the language is go"
    ):
        read("livecodebench", METHOD, language="go")

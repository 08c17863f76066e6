"""Files of tests with the columns that people have."""

import json

import pytest

from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import GroundTruth, Problem, TestKind
from testbudget.rewards.stdin_case import StdinCase
from testbudget.traces.tests_file import read_test_file

PROBLEMS = [Problem("1", "def f(x):\n", "f"), Problem("2", "Read n", None)]


def read(tmp_path, *rows):
    path = tmp_path / "tests.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return read_test_file(path, PROBLEMS)


@pytest.mark.parametrize(
    ("row", "kind", "code"),
    [
        ({"code": "assert f(1)"}, TestKind.ASSERT, "assert f(1)"),
        ({"test": "def check(c): assert c(1)"}, TestKind.CHECK, "def check(c): assert c(1)"),
        (
            {"unit_test": "class T(unittest.TestCase): ..."},
            TestKind.UNITTEST,
            "class T(unittest.TestCase): ...",
        ),
        ({"test": "x", "kind": "pytest"}, TestKind.PYTEST, "x"),
    ],
)
def test_code_has_the_kind_that_is_named_or_that_it_looks_like(tmp_path, row, kind, code):
    (found,) = read(tmp_path, {"task_id": 1, "author": "me"} | row).tests["1"]
    assert (found.test.kind, found.test.code, found.test.index) == (kind, code, 0)
    assert found.metadata == {"author": "me"}


def test_a_list_is_several_tests_numbered_through_the_file(tmp_path):
    found = read(
        tmp_path,
        {"problem": "1", "test_list": ["assert f(1)", "assert f(2)"]},
        {"problem": "1", "tests": '["assert f(3)"]'},
    )
    assert [(row.test.index, row.test.code) for row in found.tests["1"]] == [
        (0, "assert f(1)"), (1, "assert f(2)"), (2, "assert f(3)"),
    ]  # fmt: skip
    assert found.tests["2"] == []


@pytest.mark.parametrize(
    ("row", "case"),
    [
        ({"stdin": "1", "expected_stdout": "2"}, StdinCase("1", "2")),
        ({"input": ["1", "2"], "output": 3}, StdinCase("1\n2", "3")),
        ({"stdin": "1"}, StdinCase("1", None)),
        ({"kind": "stdin", "code": StdinCase("1", "2").as_text()}, StdinCase("1", "2")),
    ],
)
def test_an_input_with_or_without_an_output_is_a_test_of_a_program(tmp_path, row, case):
    (found,) = read(tmp_path, {"problem": "2"} | row).tests["2"]
    assert (found.test.kind, StdinCase.from_text(found.test.code)) == (TestKind.STDIN, case)


def test_columns_and_lists_of_pairs_are_a_test_each(tmp_path):
    found = read(
        tmp_path,
        {"problem": "2", "inputs": ["1", "2"], "outputs": ["3", "4"]},
        {"problem": "2", "tests": [{"input": "5", "output": "6"}]},
    )
    cases = [StdinCase.from_text(row.test.code) for row in found.tests["2"]]
    assert cases == [StdinCase("1", "3"), StdinCase("2", "4"), StdinCase("5", "6")]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"problem": "1"}, "code is required but it is missing: the row has problem"),
        ({"problem": "1", "code": " "}, "code must not be empty"),
        ({"problem": "1", "tests": []}, "tests must not be empty"),
        ({"problem": "1", "code": 3}, "code must be a text but got 3"),
        (
            {"problem": "1", "code": "x", "kind": "doctest"},
            "kind must be one of assert, unittest, pytest, check, stdin",
        ),
        ({"problem": "1", "stdin": "1"}, "kind must not be stdin, since problem 1 has the entry point f"),
        (
            {"problem": "2", "code": "x", "kind": "stdin"},
            "code must be JSON of stdin and expected_stdout, as kind is",
        ),
        ({"problem": "2", "stdin": {}}, "stdin must hold texts that a program reads and prints but got {}"),
    ],
)
def test_a_row_that_is_no_test_is_refused_with_its_place(tmp_path, row, sentence):
    with pytest.raises(UserError) as error:
        read(tmp_path, row)
    assert str(error.value).startswith(f"{tmp_path / 'tests.jsonl'}:1 {sentence}")


def test_tests_of_other_problems_are_told_and_a_file_of_them_alone_is_refused(tmp_path):
    found = read(tmp_path, {"problem": "1", "code": "assert f(1)"}, {"problem": "9", "code": "assert f(1)"})
    assert found.warnings == [
        f"{tmp_path / 'tests.jsonl'}:2 problem '9' is not among the problems, so its tests are left out (1)"
    ]
    with pytest.raises(
        UserError, match=r"must hold tests of the problems but .*:1 problem '9' is not among"
    ):
        read(tmp_path, {"problem": "9", "code": "assert f(1)"})


def test_columns_with_other_names_are_read_by_a_mapping(tmp_path):
    path = tmp_path / "tests.csv"
    path.write_text("nr,in,out,tests\n2,4,16,ignored\n")
    names = {"problem": "nr", "stdin": "in", "expected_stdout": "out"}
    (row,) = read_test_file(path, PROBLEMS, names).tests["2"]
    assert (row.test.kind, row.test.code) == (TestKind.STDIN, StdinCase("4", "16").as_text())


def test_a_mapping_of_a_field_that_no_test_has_is_refused(tmp_path):
    path = tmp_path / "tests.csv"
    path.write_text("nr,in\n2,4\n")
    with pytest.raises(UserError, match=r"fields.input must be a field of a test \(.*\) but it is none"):
        read_test_file(path, PROBLEMS, {"input": "in"})


def test_code_for_a_problem_whose_ground_truth_is_standard_input_is_refused(tmp_path):
    truth = GroundTruth(TestKind.STDIN, (StdinCase("1", "2").as_text(),))
    path = tmp_path / "tests.jsonl"
    path.write_text(json.dumps({"problem": "p", "code": "assert f(1) == 2"}))
    with pytest.raises(UserError, match=r"kind must be stdin but is assert, .* of problem p$"):
        read_test_file(path, [Problem("p", "Read n", None, ground_truth=truth)])

"""This project's own form of problems."""

import json

import pytest

from testbudget.rewards.comparison import Comparison, TextComparison
from testbudget.rewards.problem import TestKind
from testbudget.rewards.stdin_case import StdinCase
from testbudget.traces.forms.form import FormDefaults
from testbudget.traces.forms.own import OWN
from testbudget.traces.rows.mistakes import RowError
from testbudget.traces.rows.row_fields import RowFields

from .forms import passes, read

ROW = {"id": 1, "prompt": "def f(x):\n", "entry_point": "f"}


def of_truth(truth, **fields):
    return read("own", ROW | {"ground_truth": truth} | fields)


@pytest.mark.parametrize(
    ("truth", "kind", "tests"),
    [
        ("assert f(1) == 1", TestKind.ASSERT, ("assert f(1) == 1",)),
        (
            ["assert f(1) == 1", "assert f(2) == 2"],
            TestKind.ASSERT,
            ("assert f(1) == 1", "assert f(2) == 2"),
        ),
        ('["assert f(1) == 1"]', TestKind.ASSERT, ("assert f(1) == 1",)),
        ("def check(c):\n    assert c(1)", TestKind.CHECK, ("def check(c):\n    assert c(1)",)),
        ("class T(unittest.TestCase): ...", TestKind.UNITTEST, ("class T(unittest.TestCase): ...",)),
        ("def test_f(): ...", TestKind.PYTEST, ("def test_f(): ...",)),
        ({"kind": "pytest", "tests": ["x = 1"]}, TestKind.PYTEST, ("x = 1",)),
        ({"kind": "assert", "tests": "x = 1"}, TestKind.ASSERT, ("x = 1",)),
    ],
)
def test_code_is_a_ground_truth_of_the_kind_that_it_looks_like_or_that_is_named(truth, kind, tests):
    found = of_truth(truth).ground_truth
    assert (found.kind, found.tests) == (kind, tests)


@pytest.mark.parametrize(
    "truth",
    [
        [{"stdin": "1", "expected_stdout": "2"}, {"stdin": "3", "expected_stdout": "4"}],
        [{"input": "1", "output": "2"}, {"input": "3", "output": 4}],
        [["1", "2"], ["3", "4"]],
        {"inputs": ["1", "3"], "outputs": [["2"], "4"]},
        {
            "kind": "stdin",
            "tests": [{"stdin": "1", "expected_stdout": "2"}, {"input": "3", "expected": "4"}],
        },
        {"kind": "stdin", "tests": {"inputs": ["1", "3"], "outputs": ["2", "4"]}},
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_pairs_without_an_entry_point_are_inputs_and_outputs_of_a_program(truth, as_text):
    row = {"id": "a", "prompt": "p", "ground_truth": json.dumps(truth) if as_text else truth}
    found = read("own", row).ground_truth
    assert found.kind is TestKind.STDIN
    assert [StdinCase.from_text(test) for test in found.tests] == [StdinCase("1", "2"), StdinCase("3", "4")]


def test_pairs_with_an_entry_point_are_calls():
    problem = of_truth([{"input": [1], "output": [1, {"a": 2.0}]}, {"input": {"x": "é"}, "output": None}])
    assert problem.ground_truth.kind is TestKind.ASSERT
    assert passes(problem, "def f(x): return (1, {'a': 2}) if x == 1 else None")
    assert not passes(problem, "def f(x): return (1, {'a': 3}) if x == 1 else None")


def test_calls_are_compared_with_the_tolerance_of_the_problem():
    problem = of_truth([{"input": [1], "output": 0.333}], comparison={"absolute": 0.01})
    assert passes(problem, "def f(x): return x / 3")
    assert not passes(problem, "def f(x): return x / 2")
    assert not passes(problem, "def f(x): return '0.333'")


def test_a_program_with_pairs_on_standard_input_needs_no_entry_point():
    row = RowFields(ROW | {"ground_truth": [{"stdin": "1", "expected_stdout": "2"}]})
    problem = OWN.read(row, FormDefaults("python", 0))
    assert (problem.entry_point, problem.ground_truth.kind) == (None, TestKind.STDIN)
    assert row.warnings == ["entry_point f is not used, since the ground truth is standard input"]


@pytest.mark.parametrize(
    ("prompt", "truth", "warnings"),
    [
        ("Read n from stdin and print it", None, 0),
        ("The first line holds n", None, 0),
        ("Sort a list", None, 1),
        ("Sort a list", "assert f(g(1))", 1),
        ("Sort a list", [{"stdin": "1", "expected_stdout": "1"}], 0),
    ],
)
def test_a_row_without_an_entry_point_is_a_program_and_told_where_that_is_doubtful(prompt, truth, warnings):
    row = RowFields({"id": 1, "prompt": prompt} | ({"ground_truth": truth} if truth else {}))
    assert OWN.read(row, FormDefaults("python", 0)).entry_point is None
    assert len(row.warnings) == warnings


@pytest.mark.parametrize(
    ("given", "comparison"),
    [
        ("tokens", Comparison(TextComparison.TOKENS)),
        ({"text": "exact", "absolute": 1e-6, "relative": None}, Comparison(TextComparison.EXACT, 1e-6)),
        ('{"relative": 0.5}', Comparison(relative=0.5)),
        (
            {"checker": "def checker(a, b, c): return True"},
            Comparison(checker="def checker(a, b, c): return True"),
        ),
        ("", Comparison()),
    ],
)
def test_a_comparison_is_a_name_or_an_object(given, comparison):
    assert read("own", ROW | {"comparison": given}).comparison == comparison


def test_languages_have_one_name_and_names_may_be_dotted():
    problem = read("own", ROW | {"language": "C++", "entry_point": " Solution().solve "})
    assert (problem.language, problem.entry_point) == ("cpp", "Solution().solve")
    assert read("own", ROW, language="go").language == "go"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"ground_truth": {"kind": "doctest", "tests": []}},
            "ground_truth.kind must be one of assert, unittest, ",
        ),
        ({"ground_truth": {"kind": "stdin", "tests": 3}}, "ground_truth.tests must be a list but got 3"),
        ({"ground_truth": {"kind": "check", "tests": []}}, "ground_truth must not hold an empty test"),
        ({"ground_truth": {"a": 1}}, "ground_truth must be a program, a list of programs, a list of pairs"),
        ({"ground_truth": [1, 2]}, "ground_truth must have an input and an output but got 1"),
        ({"ground_truth": [{"in": 1}]}, "ground_truth must have an input and an output but got {'in': 1}"),
        (
            {"ground_truth": [{"input": "x", "output": 1}]},
            "ground_truth must hold the arguments of each call as a l",
        ),
        (
            {"ground_truth": [{"stdin": "1", "expected_stdout": {}}]},
            "ground_truth must hold texts that a program rea",
        ),
        (
            {"ground_truth": {"inputs": [1], "outputs": []}},
            "ground_truth must hold as many inputs as outputs but go",
        ),
        (
            {"ground_truth": [{"input": [1], "output": 1}], "language": "js"},
            "ground_truth must be code in javascript",
        ),
        (
            {"comparison": "fuzzy"},
            "comparison.text must be one of lines, exact, tokens, unordered_lines but got 'fu",
        ),
        ({"comparison": 3}, "comparison must be a name or an object but got 3"),
        (
            {"comparison": {"tolerance": 1}},
            "the fields of comparison must be one of text, absolute, relative, check",
        ),
        ({"comparison": {"absolute": "1"}}, "comparison.absolute must be a number but got '1'"),
        ({"comparison": {"absolute": -1}}, "comparison.absolute must be at least 0 and finite but got -1"),
        ({"comparison": {"checker": "x"}}, "comparison.checker must be a program that defines checker"),
        ({"id": 1.5}, "id must be a text but got 1.5"),
        ({"entry_point": ["f"]}, r"entry_point must be a text but got \['f'\]"),
        ({"prompt": b"\xff"}, "prompt must be a text but its bytes are not UTF-8"),
        ({"reference": 3}, "reference must be a text but got 3"),
    ],
)
def test_fields_of_another_form_are_refused(changes, sentence):
    with pytest.raises(RowError, match=f"^{sentence}"):
        read("own", ROW | changes)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Python3", "python"),
        ("python 3.11", "python"),
        ("GNU C++17", "cpp"),
        ("Python 2", "python 2"),
        ("JS", "javascript"),
        ("Rust", "rust"),
    ],
)
def test_a_language_has_one_name_whatever_its_version(given, name):
    assert read("own", ROW | {"language": given}).language == name


def test_the_entry_point_is_the_one_function_that_all_asserts_call():
    row = RowFields(
        {"id": 1, "prompt": "p", "ground_truth": ["assert len(f(1)) == 1", "k = 2\nassert f(k)"]}
    )
    assert OWN.read(row, FormDefaults("python", 0)).entry_point == "f"
    assert row.warnings == ["has no entry_point, so it is f, which its ground truth calls"]
    helper = "def g(x): return x\nfrom math import floor\nassert floor(f(g(1))) == 1"
    assert read("own", {"id": 1, "prompt": "p", "ground_truth": helper}).entry_point == "f"


def test_a_list_of_several_outputs_is_refused_since_it_may_be_lines_or_right_answers():
    with pytest.raises(
        RowError, match=r"one text as the output of an input but got \['a', 'b'\]; where several are"
    ):
        of_truth([{"stdin": "1", "expected_stdout": ["a", "b"]}], entry_point="")


@pytest.mark.parametrize("truth", ["", "  ", []])
def test_an_empty_ground_truth_is_none_and_told(truth):
    row = RowFields(ROW | {"ground_truth": truth})
    assert OWN.read(row, FormDefaults("python", 0)).ground_truth is None
    assert row.warnings == ["ground_truth is empty, so its candidates get no labels"]

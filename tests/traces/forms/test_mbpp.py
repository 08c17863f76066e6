"""MBPP: original, sanitized, and in the form of HumanEval."""

import pytest

from testbudget.traces.rows.mistakes import RowError

from .forms import passes, read, recognised

ROW = {
    "task_id": 2,
    "text": "Add two numbers.\nBoth are whole.",
    "code": "import math\r\ndef helper(a):\r\n\treturn a\r\ndef add(a, b=1):\r\n\treturn helper(a)+b",
    "test_setup_code": "",
    "test_list": ["assert add(1, 2) == 3", "assert helper(add(1, 1)) == 2"],
    "challenge_test_list": [],
}
RIGHT = "def helper(a): return a\ndef add(a, b): return a + b\n"


def test_an_original_row_is_a_signature_with_its_text_and_its_asserts():
    assert recognised(ROW) == "mbpp"
    problem = read("mbpp", ROW)
    assert (problem.id, problem.entry_point) == ("2", "add")
    assert problem.prompt == 'def add(a, b=1):\n    """Add two numbers.\n    Both are whole.\n    """\n'
    assert passes(problem, RIGHT)
    assert not passes(problem, RIGHT.replace("a + b", "a"))
    assert problem.reference == ROW["code"]


def test_a_sanitized_row_has_imports_and_a_prompt():
    row = {
        "source_file": "mbpp.json",
        "task_id": 3,
        "prompt": 'Say """add""" \\d.',
        "code": "def add(a, b): return a + b",
        "test_imports": ["import math"],
        "test_list": ["assert set([math.floor(add(1, 2))]) == set([3])"],
    }
    assert recognised(row) == "mbpp"
    problem = read("mbpp", row)
    assert problem.entry_point == "add"
    assert passes(problem, "def add(a, b): return a + b")
    compile(f"{problem.prompt}    return 0\n", "prompt", "exec")
    assert problem.metadata == {"source_file": "mbpp.json"}


@pytest.mark.parametrize(
    "text", ['["assert add(1, 2) == 3"]', "['assert add(1, 2) == 3']", "assert add(1, 2) == 3"]
)
def test_asserts_may_be_a_list_in_a_text(text):
    assert passes(read("mbpp", ROW | {"test_list": text}), RIGHT)


@pytest.mark.parametrize(
    ("code", "asserts", "found"),
    [
        ("class Add:\n    pass", ["a = Add()\nassert a"], "Add"),
        ("def outer(x): return x\ndef inner(x): return x", ["assert outer(inner(1)) == 1"], "outer"),
        ("", ["assert sorted(add(1)) == [1]"], "add"),
        ("def add(a, b:", ["assert abs(add(1, 2)) == 3"], "add"),
        ("def add(a): pass", ["assert add (1) == (3"], "add"),
    ],
)
def test_the_entry_point_is_what_the_asserts_call_and_the_code_defines(code, asserts, found):
    problem = read("mbpp", ROW | {"code": code, "test_list": asserts})
    assert problem.entry_point == found
    assert problem.prompt.startswith(("def ", "class "))


def test_the_setup_comes_before_the_asserts():
    row = ROW | {"test_setup_code": "two = 2", "test_list": ["assert add(1, two) == 3"]}
    assert passes(read("mbpp", row), RIGHT)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"test_list": []}, "test_list must hold at least one assert but it is empty"),
        ({"test_list": 3}, "test_list must be a list of texts but got 3"),
        (
            {"test_list": ["assert True"]},
            "entry_point is required, since the asserts of test_list call nothing",
        ),
        (
            {"code": "def other(): pass"},
            "entry_point is required, since the asserts of test_list call nothing",
        ),
        ({"text": " "}, "text must not be empty"),
        ({"task_id": True}, "task_id must be a text but got True"),
    ],
)
def test_a_row_that_cannot_be_judged_is_refused(changes, sentence):
    with pytest.raises(RowError, match=f"^{sentence}"):
        read("mbpp", ROW | changes)

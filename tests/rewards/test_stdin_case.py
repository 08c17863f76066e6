"""Texts of tests of programs that read standard input."""

import pytest

from testbudget.rewards.stdin_case import StdinCase, cases_as_text, stdin_cases

ONE, TWO = StdinCase("1 2\n", "3\n"), StdinCase("é\n", None)


@pytest.mark.parametrize("cases", [(ONE,), (TWO,), (ONE, TWO)])
def test_cases_are_read_as_they_were_written(cases):
    assert stdin_cases(cases_as_text(cases)) == cases


def test_one_case_is_written_as_itself():
    assert cases_as_text([ONE]) == ONE.as_text()
    assert StdinCase.from_text(ONE.as_text()) == ONE


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"stdin": 1, "expected_stdout": "1"}', '["1"]'])
def test_another_text_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        stdin_cases(text)

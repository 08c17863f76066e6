"""Inputs and outputs in answers as models write them.

The rules of reading were chosen on ``stdin_answers_to_tune.jsonl``; ``stdin_answers_to_judge.jsonl`` was
written afterwards. The cases of an answer without a test are null.
"""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.generation.extraction.answers import Rejection, UnusableError
from testbudget.executors.generation.extraction.stdin_tests import extract_stdin_test, stdin_normal_form
from testbudget.rewards.problem import TestKind
from testbudget.rewards.stdin_case import StdinCase, cases_as_text, stdin_cases


def rows(name):
    lines = (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines()
    return [pytest.param(row, id=row["id"]) for row in map(json.loads, lines)]


@pytest.mark.parametrize(
    "row", [*rows("stdin_answers_to_tune.jsonl"), *rows("stdin_answers_to_judge.jsonl")]
)
def test_inputs_and_outputs_are_read_as_they_are_meant(row):
    if row["cases"] is None:
        with pytest.raises(UnusableError):
            extract_stdin_test(row["answer"])
        return
    code, kind = extract_stdin_test(row["answer"])
    assert kind is TestKind.STDIN
    assert [[case.stdin, case.expected_stdout] for case in stdin_cases(code)] == row["cases"]


def test_one_input_with_two_outputs_is_rejected_for_that():
    answer = '[{"input": "1", "output": "1"}, {"input": "1", "output": "2"}]'
    with pytest.raises(UnusableError) as caught:
        extract_stdin_test(answer)
    assert caught.value.rejection is Rejection.CONTRADICTION


def test_blanks_at_the_ends_and_the_order_of_cases_make_no_other_test():
    one, other = StdinCase("1 \n2\n", "3\n"), StdinCase("4\n", "4\n")
    spaced = StdinCase("1\n2\n\n", "3 \n\n")
    assert stdin_normal_form(cases_as_text([one, other])) == stdin_normal_form(
        cases_as_text([other, spaced])
    )
    assert stdin_normal_form(one.as_text()) != stdin_normal_form(StdinCase("1\n2\n", "4\n").as_text())


@pytest.mark.parametrize("text", ["[" * 50_000, "{" * 50_000, '{"input": ' * 5_000, "(" * 50_000])
def test_deep_nesting_is_no_test(text):
    with pytest.raises(UnusableError):
        extract_stdin_test(text)


@given(st.text(alphabet="Input:Outp`~[]{}\"'\\\n 1<>/*#", max_size=80))
def test_any_text_is_read_or_rejected(text):
    with contextlib.suppress(UnusableError):
        code, _ = extract_stdin_test(text)
        assert stdin_normal_form(stdin_normal_form(code)) == stdin_normal_form(code)

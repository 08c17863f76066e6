"""Candidates in answers as models write them, read and then run.

The rules of reading were chosen on ``answers_to_tune.jsonl``; ``answers_to_judge.jsonl`` was written
afterwards. A row has an ``expression`` and its value under the right candidate, or standard input and what
the right program prints; the value of an answer without a program is null.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from testbudget.executors.generation.extraction.extract import read_candidate
from testbudget.executors.generation.prompts import prompt_template
from testbudget.rewards.problem import Problem

HERE = Path(__file__).parent
CHAT, COMPLETION = prompt_template("chat"), prompt_template("completion")


def rows(name):
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [pytest.param(row, id=row["id"]) for row in map(json.loads, lines)]


def value_of(reading, row):
    """Value of a row's expression under a candidate, or what the program prints."""
    if "stdin" in row:
        command = [sys.executable, "-I", "-c", reading.code]
        ended = subprocess.run(command, input=row["stdin"], capture_output=True, text=True, check=True)
        return ended.stdout.strip()
    names = {"__name__": "solution"}
    exec(compile(reading.code, "<candidate>", "exec"), names)
    return eval(row["expression"], names)


@pytest.mark.parametrize("row", [*rows("answers_to_tune.jsonl"), *rows("answers_to_judge.jsonl")])
def test_answers_of_models_are_read_as_they_are_meant(row):
    problem = Problem("p", row["prompt"], row["entry_point"])
    reading = read_candidate(CHAT, problem, row["answer"])
    assert reading.has_program == (row["value"] is not None)
    if reading.has_program:
        assert value_of(reading, row) == row["value"]
    else:
        with pytest.raises(SyntaxError):
            compile(reading.code, "<candidate>", "exec")


def test_a_continuation_ends_at_the_end_mark_of_the_model():
    problem = Problem("p", "# Print n hashes.\n", None)
    reading = read_candidate(
        COMPLETION, problem, 'print("#" * int(input()))\n<|endoftext|><|im_start|>user'
    )
    assert reading.code == '# Print n hashes.\nprint("#" * int(input()))\n'


@pytest.mark.parametrize("code", ["n = int(raw_input())\nprint n + 1", "print(int(input())"])
def test_a_program_that_does_not_parse_is_still_the_one_that_is_meant(code):
    answer = f"It is\n```python\n{code}\n```\nInput\n```\n4\n```"
    reading = read_candidate(CHAT, Problem("p", "Read n. Print n + 1.", None), answer)
    assert reading.has_program
    assert reading.code == f"{code}\n"


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "print(int(input()))\n"),
        ("python", 's = """\n```\n"""\nprint(s)\n'),
        ("javascript", "console.log(1);\n"),
        ("cpp", "int main() {}\n"),
    ],
)
def test_words_behind_a_closing_fence_do_not_continue_a_program(language, code):
    problem = Problem("p", "", None, language)
    cut = read_candidate(COMPLETION, problem, f"{code}```\n\nThis reads n.\n")
    assert cut.code == code
    assert read_candidate(COMPLETION, problem, code).code == code

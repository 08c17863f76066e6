"""Files of candidates with the columns that people have."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.traces.candidate_file import CandidateForm, read_candidate_file

PROBLEMS = [
    Problem("HumanEval/0", "def f(x):\n", "f"),
    Problem("2", "Read n", None),
    Problem("c", "p", "S().go"),
]
CODE = "def f(x):\n    return x\n"


def read(tmp_path, *rows, name="samples.jsonl"):
    path = tmp_path / name
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return read_candidate_file(path, PROBLEMS)


def texts(found, problem="HumanEval/0"):
    return [row.text for row in found.candidates[problem]]


@pytest.mark.parametrize(
    ("row", "text", "form"),
    [
        ({"problem": "HumanEval/0", "code": CODE}, CODE, "program"),
        ({"task_id": "HumanEval/0", "solution": CODE}, CODE, "program"),
        ({"task_id": "HumanEval/0", "completion": "    return x\n"}, CODE, "program"),
        ({"task_id": "HumanEval/0", "completion": CODE}, CODE, "program"),
        ({"question_id": "HumanEval/0", "output": "Use x."}, "Use x.", "answer"),
        ({"id": "HumanEval/0", "generation": CODE, "code": "def f(x): pass"}, "def f(x): pass", "program"),
        ({"name": "HumanEval/0", "code": f"```python\n{CODE}```"}, f"```python\n{CODE}```", "answer"),
    ],
)
def test_a_row_is_a_program_a_continuation_or_an_answer(tmp_path, row, text, form):
    (found,) = read(tmp_path, row | {"model": "m", "seed": 3}).candidates["HumanEval/0"]
    assert (found.text, found.form) == (text, CandidateForm(form))
    assert found.metadata["model"] == "m"
    assert found.place == f"{tmp_path / 'samples.jsonl'}:1"


def test_a_row_may_hold_several_candidates(tmp_path):
    found = read(
        tmp_path,
        {"question_id": "HumanEval/0", "code_list": [CODE, "def f(x): pass"], "output_list": ["a", "b"]},
        {"task_id": "HumanEval/0", "completion": ["    return 1", "    return 2"]},
        {"task_id": "HumanEval/0", "solutions": json.dumps(["def f(x): return 3"])},
    )
    assert texts(found) == [
        CODE, "def f(x): pass", "def f(x):\n    return 1", "def f(x):\n    return 2", "def f(x): return 3",
    ]  # fmt: skip


def test_ids_may_be_numbers_and_rows_an_object_by_problem(tmp_path):
    assert texts(read(tmp_path, {"task_id": 2, "code": "print(1)"}), "2") == ["print(1)"]
    found = read(tmp_path, json.dumps({"HumanEval/0": [CODE], "2": ["print(1)"]}), name="samples.json")
    assert (texts(found), texts(found, "2")) == ([CODE], ["print(1)"])


def test_a_table_of_candidates_is_read(tmp_path):
    path = tmp_path / "samples.parquet"
    pq.write_table(pa.table({"task_id": [2, 2], "code": ["a", "b"], "n": [1.5, None]}), path)
    first, second = read_candidate_file(path, PROBLEMS).candidates["2"]
    assert (first.text, first.metadata, second.text, second.metadata) == ("a", {"n": 1.5}, "b", {})


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"problem": "HumanEval/0", "code": " "}, "the program for problem HumanEval/0 is empty"),
        (
            {"problem": "HumanEval/0", "code": "def g(x): f(x)"},
            "the program for problem HumanEval/0 does not define f",
        ),
        ({"problem": "c", "code_list": []}, "the row holds no program for problem c"),
        ({"problem": "c", "code": "class S: pass"}, "the program for problem c does not define S().go"),
        (
            {"problem": "HumanEval/O", "code": CODE},
            "problem 'HumanEval/O' is not among the problems, so its candidates",
        ),
    ],
)
def test_a_candidate_that_cannot_pass_is_told_and_kept(tmp_path, row, sentence):
    found = read(tmp_path, {"problem": "2", "code": "print(1)"}, row)
    (warning,) = found.warnings
    assert warning.startswith(f"{tmp_path / 'samples.jsonl'}:2 {sentence}")
    assert sum(map(len, found.candidates.values())) == (
        1 if "among" in sentence or "holds no" in sentence else 2
    )


@pytest.mark.parametrize(
    "code",
    [
        "f = lambda x: x",
        "async def f(x): ...",
        "from math import f",
        "if 1:\n    def f(x): ...",
        "f: int = g",
    ],
)
def test_other_definitions_of_the_entry_point_are_no_doubt(tmp_path, code):
    assert read(tmp_path, {"problem": "HumanEval/0", "code": code}).warnings == []


def test_problems_that_are_not_solved_are_told_by_name_with_the_closest_one(tmp_path):
    rows = [{"problem": f"HumanEval/{k}", "code": CODE} for k in range(1, 9)] * 2
    found = read(tmp_path, {"problem": "2", "code": "print(1)"}, *rows)
    assert len(found.warnings) == 6
    assert "(2): did you mean HumanEval/0?" in found.warnings[0]
    assert found.warnings[-1] == "candidates of 3 further problems are left out too"


def test_mistakes_of_several_rows_are_told_at_once(tmp_path):
    with pytest.raises(UserError) as error:
        read(
            tmp_path,
            {"problem": "2"},
            {"code": CODE},
            {"problem": "2", "code": 3},
            "{bad",
            {"problem": "2", "code": "x"},
        )
    first, second, third, fourth = str(error.value).splitlines()
    assert ":1 code is required but it is missing: the row has problem; candidates.fields" in first
    assert second.endswith(":2 problem is required but it is missing")
    assert third.endswith(":3 code must be a text but got 3")
    assert ":4 must be a JSON object but column 2 is not" in fourth


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ((), "it is empty"),
        (({"problem": "x", "code": CODE},), r".*:1 problem 'x' is not among the problems"),
    ],
)
def test_a_file_without_a_candidate_of_the_problems_is_refused(tmp_path, rows, sentence):
    with pytest.raises(
        UserError, match=rf"samples\.jsonl must hold candidates of the problems but {sentence}"
    ):
        read(tmp_path, *rows)


def test_a_missing_file_is_refused():
    with pytest.raises(
        UserError, match=r"candidates\.from_file must be a file of candidates .* No such file"
    ):
        read_candidate_file(Path("absent.jsonl"), PROBLEMS)


def test_columns_with_other_names_are_read_by_a_mapping(tmp_path):
    path = tmp_path / "answers.jsonl"
    row = {"Problem Nr": 2, "reply": {"text": "```\nprint(1)\n```"}, "code": "ignored", "sample": 3}
    path.write_text(json.dumps(row))
    found = read_candidate_file(path, PROBLEMS, {"problem": "Problem Nr", "answer": "reply.text"})
    (candidate,) = found.candidates["2"]
    assert (candidate.text, candidate.form) == ("```\nprint(1)\n```", CandidateForm.ANSWER)
    assert candidate.metadata["sample"] == 3


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ({}, "problem is required but it is missing: the row has Nr, reply; candidates.fields"),
        ({"reply": "answer"}, r"fields.reply must be a field of a candidate \(.*\) but it is none"),
        ({"problem": "nr"}, r"fields.problem must name a column of .* \(Nr, reply\) but got 'nr'"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(tmp_path, names, sentence):
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"Nr": "2", "reply": "print(1)"}))
    with pytest.raises(UserError, match=sentence):
        read_candidate_file(path, PROBLEMS, names)

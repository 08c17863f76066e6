"""Answers read by ``testbudget extract``, and input that it refuses."""

import json
import re
from pathlib import Path

import pytest

from testbudget.cli.main import main

ANSWERS = [
    {
        "reads": "candidate",
        "entry_point": "f",
        "answer": "```python\ndef f(x):\n    return x\n```",
        "id": 7,
    },
    {"reads": "candidate", "entry_point": "f", "answer": "I cannot."},
    {
        "reads": "candidate",
        "entry_point": "f",
        "prompt": "def f(x):\n",
        "template": "completion",
        "answer": "    return x\n",
    },
    {"reads": "unit test", "entry_point": "f", "answer": "assert f(1) == 1"},
    {"reads": "unit test", "entry_point": "f", "answer": "assert g(1) == 1"},
]


def extract(tmp_path, rows, *flags):
    source, out = tmp_path / "answers.jsonl", tmp_path / "programs.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code = main(["extract", "--in", str(source), "--out", str(out), *flags])
    return code, [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else None


def test_each_answer_gets_its_program_and_notes(tmp_path, capsys):
    code, rows = extract(tmp_path, ANSWERS)
    assert code == 0
    assert [row["code"] for row in rows] == [
        "def f(x):\n    return x\n",
        None,
        "def f(x):\n    return x\n",
        "assert f(1) == 1\n",
        None,
    ]
    assert [row["notes"] for row in rows] == [
        [],
        ["no program"],
        [],
        ["assert"],
        ["never uses the entry point"],
    ]
    assert rows[0]["id"] == 7
    assert "candidate: 2 of 3 answers hold one" in capsys.readouterr().err


def test_the_rule_decides_between_several_programs(tmp_path):
    answer = "```python\ndef f(): return 1\n```\n```python\ndef f(): return 2\n```"
    row = {"reads": "candidate", "entry_point": "f", "answer": answer}
    (first,) = extract(tmp_path, [row], "--rule", "first")[1]
    (last,) = extract(tmp_path, [row])[1]
    assert ("return 1" in first["code"], "return 2" in last["code"]) == (True, True)


def test_fields_may_have_other_names(tmp_path, capsys):
    row = {"task": {"name": "f"}, "completion": "```python\ndef f(): return 1\n```", "reads": "candidate"}
    fields = "{answer: completion, entry_point: task.name}"
    ((first,), code) = extract(tmp_path, [row], "--fields", fields)[::-1]
    assert (code, first) == (0, row | {"code": "def f(): return 1\n", "notes": []})
    assert extract(tmp_path, [row], "--fields", "{reply: completion}")[0] == 2
    assert extract(tmp_path, [row], "--fields", "{answer: completions}")[0] == 2
    message = capsys.readouterr().err
    assert "must be a field of an answer" in message
    assert "got 'completions': did you mean completion?" in message


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"reads": "test", "entry_point": "f", "answer": ""}, "reads"),
        ({"reads": "candidate", "answer": ""}, "entry_point"),
        ({"reads": "candidate", "entry_point": "f", "answer": "", "template": "coderm"}, "template"),
        ({"reads": "candidate", "entry_point": "f", "answer": 3}, "answer"),
    ],
)
def test_a_wrong_row_is_refused_by_its_line(tmp_path, capsys, row, words):
    code, rows = extract(tmp_path, [ANSWERS[0], row])
    message = capsys.readouterr().err
    assert (code, rows) == (2, None)
    assert words in message
    assert ":2 " in message


def test_the_page_on_answers_shows_what_is_read(tmp_path, capsys):
    page = (Path(__file__).parents[3] / "docs" / "reading_answers.md").read_text(encoding="utf-8")
    answers = re.search(r'^```jsonl title="answers.jsonl"\n(.*?)^```$', page, re.MULTILINE | re.DOTALL)[1]
    code, rows = extract(tmp_path, [json.loads(line) for line in answers.splitlines()])
    assert code == 0
    table = re.findall(r"^\| \d \| (.*) \| `(.*)` \|$", page, re.MULTILINE)
    assert [row["notes"] for row in rows] == [[notes] for _, notes in table]
    first, second, third, fourth, fifth = (row["code"] for row in rows)
    assert first == "from typing import List\n\ndef total(xs: List[int]) -> int:\n    return sum(xs)\n"
    assert second.startswith("def double(n):")
    assert second.endswith("print(double(int(input())))\n")
    assert third is None
    assert fourth == "def test_total():\n    assert total([1, 2]) == 3\n"
    assert json.loads(fifth) == json.loads(table[4][0].strip("`"))

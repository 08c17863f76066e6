"""Prompts that fit the problems of a job, and a run of programs that read standard input."""

import json

import pyarrow.parquet as pq
import pytest

from testbudget.analysis.report import summary_records
from testbudget.analysis.summary import summarise
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.scheduler.job_file import check_job
from testbudget.scheduler.prompt_checks import check_prompts, generator_of_tests
from testbudget.scheduler.run import resume_run, start_run
from testbudget.traces.records import TestStatus
from testbudget.traces.tables import read_trace

FUNCTION, PROGRAM = Problem("f/1", "Double.", "double"), Problem("p/1", "Double the number.")

MODEL = """
from testbudget.executors.generation.base import Completion, Generator

PROGRAMS = [
    "```python\\nprint(2 * int(input()))\\n```",
    "```python\\nimport sys\\nn = int(sys.stdin.read())\\nprint(n + n)\\n```\\nInput\\n```\\n4\\n```",
    "```python\\ndef double(n):\\n    return 2 * n\\n```\\n```python\\nprint(double(int(input())))\\n```",
    "```python\\nprint(int(input()) + 2)\\n```",
    "I cannot help with that.",
    "",
]
TESTS = [
    "Input:\\n```\\n5\\n```\\nOutput:\\n```\\n10\\n```",
    "Input:\\n5\\n\\nOutput:\\n10\\n",
    "Input:\\n```\\n0\\n```\\nOutput:\\n```\\n0\\n```\\nInput:\\n```\\n-3\\n```\\nOutput:\\n```\\n-6\\n```",
    "Input:\\n```\\n1\\n```\\nOutput:\\n```\\n3\\n```",
    "The program looks right.",
    "Input:\\n```\\n7\\n```\\nOutput:\\n```\\n14\\n```",
]


class Scripted(Generator):
    async def generate(self, request, sampling):
        answers = TESTS if "write a test" in request.prompt.text.lower() else PROGRAMS
        return Completion(answers[request.index % len(answers)], 10, 0.0, "stop")
"""


def job(tmp_path, **sections):
    model = {"name": "scripted", "generator": "scripted", "gpus": 0}
    truth = {"kind": "stdin", "tests": [{"input": "5\n", "output": "10\n"}, {"input": "0", "output": "0"}]}
    row = {"id": "p/1", "prompt": "Read a number and print its double.", "ground_truth": truth}
    (tmp_path / "problems.jsonl").write_text(json.dumps(row) + "\n")
    fields = {
        "problems": {"source": "problems.jsonl"},
        "candidates": {"model": model | {"template": "program"}, "count": 6},
        "tests": {"model": model | {"template": "stdin"}},
        "selection": "majority",
        "cap": {"tests": 6},
        "execution": {"runners": 1},
        "backend": "in_process",
    }
    return check_job(fields | sections, tmp_path)


def test_programs_that_read_standard_input_go_from_prompts_to_picks(install_plugin, tmp_path):
    install_plugin(
        "acme",
        {"testbudget.generators": {"scripted": "acme_scripted:Scripted"}},
        {"acme_scripted.py": MODEL},
    )
    directory = start_run(job(tmp_path), tmp_path / "run")
    seen = read_trace(directory).problems["p/1"]
    assert seen.correct.tolist() == [True, True, True, False, False, False]
    assert [record.has_program for record in seen.candidates] == [True] * 4 + [False] * 2
    statuses = [record.status for _, record in sorted(seen.tests.items())]
    assert statuses[:6] == [
        TestStatus.USABLE,
        TestStatus.DUPLICATE,
        TestStatus.USABLE,
        TestStatus.USABLE,
        TestStatus.UNUSABLE,
        TestStatus.USABLE,
    ]
    (pick,) = map(json.loads, (directory / "picks.jsonl").read_text().splitlines())
    assert pick["candidate"] == 0
    assert pick["tests_passed"] == 3
    calls = pq.read_table(directory / "calls.parquet")
    assert calls["inputs"].to_pylist() == [[0], [1, 2], [3], [4]]  # one for each case of a test
    (record,) = summary_records([summarise(directory)])
    assert record["without_program"] == 2
    assert record["accuracy"] == 1
    before = (directory / "picks.jsonl").read_text()
    resume_run(directory)
    assert (directory / "picks.jsonl").read_text() == before


@pytest.mark.parametrize(
    ("truth", "reason"),
    [
        ("assert double(2) is None", "is passed by a stub of double that does nothing"),
        ("assert double(2 == 4", "does not parse"),
    ],
)
def test_a_ground_truth_that_cannot_judge_ends_a_run_before_anything_is_spent(truth, reason, tmp_path):
    row = {"id": "f/1", "prompt": "Double.", "entry_point": "double", "ground_truth": truth}
    (tmp_path / "code.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "candidates.jsonl").write_text(
        json.dumps({"problem": "f/1", "code": "double = abs"}) + "\n"
    )
    sections = {
        "problems": {"source": "code.jsonl"},
        "candidates": {"from_file": "candidates.jsonl"},
        "tests": {"model": {"name": "m", "generator": "vllm", "template": "coderm", "gpus": 0}},
    }
    with pytest.raises(UserError, match=rf"f/1: it {reason}"):
        start_run(job(tmp_path, **sections), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("tests", "problems", "message"),
    [
        (
            {"kind": "stdin"},
            [FUNCTION],
            "tests.kind stdin needs problems without entry_point but f/1 has double",
        ),
        ({"kind": "code"}, [PROGRAM], "tests.kind code needs problems with entry_point but p/1 has none"),
        (
            {},
            [FUNCTION],
            "tests.model.template must be of purpose unit_test for problem f/1 but stdin is of",
        ),
        (
            {"stdin_template": "chat", "template": "coderm"},
            [PROGRAM],
            "tests.stdin_template must be of purpose",
        ),
        ({}, [Problem("j/1", "", None, "javascript")], None),
        (
            {"template": "coderm"},
            [Problem("j/1", "", "f", "javascript")],
            "coderm asks for python but problem j/1",
        ),
        ({"template": "coderm"}, [FUNCTION, PROGRAM], None),
    ],
)
def test_prompts_must_fit_the_problems(tests, problems, message, tmp_path):
    others = {name: value for name, value in tests.items() if name != "template"}
    model = {"name": "m", "generator": "vllm", "template": tests.get("template", "stdin"), "gpus": 0}
    section = others | {"model": model}
    checked = job(tmp_path, tests=section, candidates={"from_file": "none.jsonl"})
    if message is None:
        check_prompts(checked, problems)
    else:
        with pytest.raises(UserError, match=message):
            check_prompts(checked, problems)


@pytest.mark.parametrize(
    ("template", "used"),
    [("coderm", "stdin"), ("stdin_completion", "stdin_completion"), ("stdin", "stdin")],
)
def test_a_job_of_both_kinds_has_a_template_for_each(template, used, tmp_path):
    section = {"model": {"name": "m", "generator": "vllm", "template": template, "gpus": 0}}
    generator = generator_of_tests(job(tmp_path, tests=section, candidates={"from_file": "none.jsonl"}))
    assert (generator.stdin_template or generator.template).name == used

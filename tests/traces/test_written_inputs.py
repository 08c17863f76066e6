"""Inputs without expected values that a model writes: asked for, executed, charged, recorded, replayed."""

import json

import pyarrow.parquet as pq
import pytest

from testbudget.analysis.summary import summarise
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import WRITTEN_INPUTS
from testbudget.scheduler.job_file import check_job
from testbudget.scheduler.run import resume_run, start_run
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import inputs_cost
from testbudget.traces.run_tables import GrantRecord, read_run_table
from testbudget.traces.tables import read_trace
from tests.distributions import installing

MODEL = """
from testbudget.executors.generation.base import Completion, Generator

CANDIDATES = ["return 2 * n", "return n + n", "return n + 2", "return max(0, 2 * n)"]
TEST = "```python\\nimport unittest\\nclass T(unittest.TestCase):\\n    def test(self):\\n        {}\\n```"
TESTS = ["self.assertEqual(double(2), 4)", "self.assertEqual(double(3), 7)"]
INPUTS = "```python\\ndouble(-1)\\ndouble(0)\\ndouble(7)\\ndouble(x)\\ndouble(0)\\n```"


class Scripted(Generator):
    async def generate(self, request, sampling):
        text, tokens = request.prompt.text, 10
        if "different calls of the function `double`" in text:
            assert request.index == -1 and "Write 5 " in text
            answer, tokens = "I cannot" if "nothing" in text else INPUTS, 7
        elif "### code solution" in text:
            answer = TEST.format(TESTS[request.index % 2])
        else:
            code = CANDIDATES[request.index % 4]
            answer = f"```python\\ndef double(n):\\n    {code}\\n```"
        return Completion(answer, tokens, 0.0, "stop", mean_logprob=-0.25 - request.index)
"""


def job(tmp_path, **sections):
    model = {"name": "scripted", "generator": "scripted", "gpus": 0}
    rows = [
        {
            "id": name,
            "prompt": f"Double {what}.",
            "entry_point": "double",
            "ground_truth": "assert double(3) == 6",
        }
        for name, what in [("f/1", "a number"), ("f/2", "nothing")]
    ]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {
        "problems": {"source": "problems.jsonl"},
        "candidates": {"model": model | {"template": "chat"}, "count": 4},
        "tests": {"model": model | {"template": "coderm"}, "inputs": 5},
        "policy": {"name": "uniform"},
        "cap": {"tests": 6},
        "execution": {"runners": 1},
        "backend": "in_process",
    }
    return check_job(fields | sections, tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("inputs")
    with installing(place / "installed") as install:
        install(
            "acme",
            {"testbudget.generators": {"scripted": "acme_inputs:Scripted"}},
            {"acme_inputs.py": MODEL},
        )
        yield start_run(job(place), place / "run")


def test_inputs_are_one_task_after_the_first_test_and_cost_one_test(run):
    grants = [grant for grant in read_run_table(GrantRecord, run) if grant.problem == "f/1"]
    assert [(grant.first, grant.tests) for grant in grants] == [(0, 1), (WRITTEN_INPUTS, 1), (1, 1)]
    books = json.loads((run / "run.json").read_text())["books"]
    assert books["spent"]["tests"] == 6
    seen = read_trace(run).problems["f/1"]
    assert sorted(seen.tests) == [0, 1]
    assert seen.written_inputs.tests == 1
    assert seen.written_inputs.answer.tokens == 7
    assert seen.written_inputs.answer.mean_logprob == pytest.approx(0.75)
    cost = inputs_cost(seen.written_inputs)
    assert (cost.tests, cost.tokens, cost.executions) == (1, 7, 3 * 4)  # three distinct inputs
    assert books["spent"]["executions"] == sum(one.cost.executions for one in summarise(run).problems)


def test_outputs_on_inputs_part_the_candidates_and_are_recorded(run):
    outputs = read_outputs(run)["f/1"]
    written = [place for place, item in enumerate(outputs.inputs) if item.test == WRITTEN_INPUTS]
    assert [outputs.inputs[place].arguments for place in written] == [
        '[[-1],{"dict":[]}]',
        '[[0],{"dict":[]}]',
        '[[7],{"dict":[]}]',
    ]
    answers = [outputs.outputs[number].example for number in outputs.results[:, written[0]]]
    assert answers == ["-2", "-2", "1", "0"]


def test_an_answer_without_inputs_is_charged_and_leaves_the_problem_as_it_is(run):
    seen = read_trace(run).problems["f/2"]
    assert str(seen.written_inputs.answer.status) == "unusable"
    assert seen.written_inputs.executed is None
    assert inputs_cost(seen.written_inputs).tests == 1
    assert not any(item.test == WRITTEN_INPUTS for item in read_outputs(run)["f/2"].inputs)


def test_candidates_and_tests_keep_their_log_probabilities(run):
    seen = read_trace(run).problems["f/1"]
    assert [one.mean_logprob for one in seen.candidates] == pytest.approx([-0.25, -1.25, -2.25, -3.25])
    assert seen.tests[1].mean_logprob == pytest.approx(-1.25)


def test_a_resumed_and_a_replayed_run_pick_the_same(run, tmp_path):
    picks = (run / "picks.jsonl").read_text()
    resume_run(run)
    assert (run / "picks.jsonl").read_text() == picks
    (tmp_path / "problems.jsonl").write_text((run.parent / "problems.jsonl").read_text())
    sources = {
        "candidates": {"from_run": str(run)},
        "tests": {"from_run": str(run), "inputs": 5},
        "backend": "recorded",
    }
    replayed = start_run(job(tmp_path, **sources), tmp_path / "replayed")
    assert (replayed / "picks.jsonl").read_text() == picks
    for table in ("written_inputs", "calls", "outputs"):
        assert pq.read_table(replayed / f"{table}.parquet").equals(pq.read_table(run / f"{table}.parquet"))
    without = job(tmp_path, **(sources | {"tests": {"from_run": str(run)}, "cap": {"tests": 4}}))
    alone = start_run(without, tmp_path / "alone")
    assert not (alone / "written_inputs.parquet").exists()
    assert not any(item.test == WRITTEN_INPUTS for item in read_outputs(alone)["f/1"].inputs)


def test_inputs_of_a_run_are_executed_again_in_a_sandbox(run, tmp_path):
    (tmp_path / "problems.jsonl").write_text((run.parent / "problems.jsonl").read_text())
    sources = {"candidates": {"from_run": str(run)}, "tests": {"from_run": str(run), "inputs": 2}}
    again = start_run(job(tmp_path, **sources), tmp_path / "again")
    seen = read_trace(again).problems["f/1"]
    assert inputs_cost(seen.written_inputs).executions == 2 * 4


@pytest.mark.parametrize(
    ("tests", "sentence"),
    [
        ({"from_file": "tests.jsonl", "inputs": 3}, "inputs needs model or from_run"),
        ({"from_run": ".", "inputs_template": "inputs"}, "inputs_template needs inputs"),
    ],
)
def test_inputs_that_nothing_can_write_are_refused(tests, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        job(tmp_path, tests=tests)

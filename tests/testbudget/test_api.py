"""The public Python API on small real data, and the examples of its docstrings."""

import doctest
import json
from pathlib import Path

import numpy as np
import pytest

import testbudget
from testbudget import Verdict, api, runs

ROOT = Path(__file__).parents[2]


def test_every_public_name_can_be_loaded_and_is_listed():
    assert set(testbudget.__all__) <= set(dir(testbudget))
    for name in testbudget.__all__:
        assert getattr(testbudget, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        testbudget.runn  # noqa: B018


def test_examples_of_the_docstrings_hold(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = {name: getattr(testbudget, name) for name in testbudget.__all__}
    for module, examples in ((api, 5), (runs, 3)):
        failed, tried = doctest.testmod(module, extraglobs=names)
        assert failed == 0
        assert tried >= examples


def test_a_job_can_be_a_file_fields_or_a_job(recorded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = recorded.write_job(tmp_path / "job.yaml")
    fields = recorded.job()
    runs = [
        testbudget.run(file),
        testbudget.run(fields, out="fields"),
        testbudget.run(testbudget.load("runs/job").job, out="again"),
    ]
    assert [run.directory for run in runs] == [Path("runs/job"), Path("fields"), Path("again")]
    assert len({tuple(pick.candidate for pick in run.picks) for run in runs}) == 1
    assert len({run.summary.accuracy for run in runs}) == 1
    assert runs[1].job.cap.tests == 12


def test_overrides_take_the_place_of_fields_and_are_checked(recorded, tmp_path):
    statuses = []
    run = testbudget.run(
        recorded.job(), out=tmp_path / "out", watch=statuses.append, overrides={"cap.tests": 7}
    )
    assert run.summary.spent.tests == 7
    assert statuses[-1].name == "done"
    with pytest.raises(testbudget.UserError, match=r"did you mean cap\.tests"):
        testbudget.run(recorded.job(), out=tmp_path / "other", overrides={"cap.test": 7})
    with pytest.raises(testbudget.UserError, match="needs out"):
        testbudget.run(recorded.job())


def test_a_finished_run_can_be_resumed_and_loaded(recorded, tmp_path):
    run = testbudget.run(recorded.job(), out=tmp_path / "out")
    assert testbudget.resume(run.directory).summary.accuracy == run.summary.accuracy
    assert testbudget.load(run.directory).trace.problems.keys() == {p.id for p in recorded.problems}
    with pytest.raises(testbudget.UserError, match=r"must be a finished run but it has no cand"):
        testbudget.load(tmp_path)
    with pytest.raises(testbudget.UserError, match="must be a run but there is nothing"):
        testbudget.load(tmp_path / "nowhere")
    (tmp_path / "votes.npz").touch()
    with pytest.raises(testbudget.UserError, match="it is a file: testbudget import votes makes a run"):
        testbudget.load(tmp_path / "votes.npz")


def test_a_stopped_run_is_resumed_with_a_higher_cap_alone(recorded, tmp_path):
    out = tmp_path / "out"

    def stop(status):
        if status.name == "tests" and status.books.spent["tests"] >= 2:
            raise KeyboardInterrupt

    fields = recorded.job(backend="in_process", cap={"tests": 5}, execution={"runners": 1})
    with pytest.raises(KeyboardInterrupt):
        testbudget.run(fields, out=out, watch=stop)
    for overrides, sentence in (
        ({"cap.tests": 1}, "tests must be at least [2-5], which is spent or in flight, but got 1"),
        ({"cap.tokens": 9}, "tokens must have a limit from the start of the run"),
        ({"seed": 1}, "a run is resumed with its own seed: only cluster and the limits of cap may change"),
    ):
        with pytest.raises(testbudget.UserError, match=sentence):
            testbudget.resume(out, overrides=overrides)
    assert testbudget.resume(out, overrides={"cap.tests": 7}).summary.spent.tests == 7
    with pytest.raises(testbudget.UserError, match="is finished, so its cap cannot change"):
        testbudget.resume(out, overrides={"cap.tests": 9})


def test_verdicts_of_candidates_are_votes_that_a_rule_picks_by():
    candidates = ["def f(x): return x * 2", "def f(x): return x ** 2", "def f(x): return x + x"]
    block = testbudget.judge(candidates, ["assert f(3) == 6", "assert f(2) == 4"], "f")
    votes = block.verdicts == Verdict.PASSED
    assert votes.tolist() == [[True, True], [False, True], [True, True]]
    for rule in ("majority", "consensus", "calibrated", "outputs"):
        chosen = testbudget.select(votes, rule, outputs=block.recorded_outputs)
        assert chosen.winners.tolist() == [0, 2]
        assert chosen.candidate == 0


def test_a_judged_pair_has_a_reason_and_trust_counts_what_could_be_forged():
    alike = "class f:\n    def __init__(self, x): pass\n    def __eq__(self, other): return True"
    candidates, tests = [alike, "def f(x): return {}[x]"], ["assert f(1) == 2"]
    block = testbudget.judge(candidates, tests)
    assert block.verdicts[:, 0].tolist() == [Verdict.UNCONFIRMED, Verdict.ERRORED]
    reason = block.reasons[block.reason_of[1, 0]]
    assert "raised KeyError" in reason.sentence
    assert reason.detail == {"exception": "KeyError", "message": "1", "line": "1"}
    trusted = testbudget.judge(candidates, tests, trust="honest")
    assert trusted.verdicts[:, 0].tolist() == [Verdict.PASSED, Verdict.ERRORED]
    with pytest.raises(testbudget.UserError, match="trust must be hostile or honest but got 'blind'"):
        testbudget.judge(candidates, tests, trust="blind")


def test_unittest_modules_and_limits():
    test = "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(1), 1)\n"
    candidates = ["def f(x): return x", "def f(x):\n    while True: pass"]
    limits = testbudget.TestLimits(cpu_seconds=0.2)
    block = testbudget.judge(candidates, [test], kind="unittest", limits=limits)
    assert block.verdicts[:, 0].tolist() == [Verdict.PASSED, Verdict.TIMED_OUT]
    with pytest.raises(testbudget.UserError, match="language"):
        testbudget.judge(candidates, [test], language="cobol")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"votes": [True, False]}, "votes must be candidates x tests"),
        ({"votes": [[2.5]]}, "must be True .* or False"),
        ({"votes": [[1, 0]], "run": [[1]]}, "run must have the shape"),
        ({"votes": [[1, 0]], "rule": "best"}, "selection must be one of"),
    ],
)
def test_votes_that_make_no_sense_are_refused(arguments, sentence):
    with pytest.raises(testbudget.UserError, match=sentence):
        testbudget.select(**arguments)


def test_pairs_that_were_not_run_are_no_votes():
    votes = np.array([[1, 0], [1, 1]])
    assert testbudget.select(votes, "majority", run=[[1, 1], [1, 1]]).winners.tolist() == [1]


def test_a_comparison_and_a_study_are_values(voted, imported, tmp_path):
    settings = testbudget.CompareSettings(
        policies=("greedy",), predictors=("oracle",), tests_per_problem=(2,), permutations=2
    )
    comparison = testbudget.compare(voted, settings)
    assert {cell.combination.policy for cell in comparison.grid} == {"uniform", "greedy"}
    study = testbudget.StudySettings(
        tests_per_problem=2, trials=3, permutations=2, selections=("majority", "calibrated")
    )
    seen = []
    result = testbudget.tune(testbudget.load(imported), study, out=tmp_path / "study", watch=seen.append)
    assert len(result.trials) == 3
    assert seen[-1] == 3
    assert len(result.chosen) == 1


@pytest.mark.parametrize("candidates", ["def f(): return 1", [5]])
def test_candidates_that_are_no_list_of_programs_are_refused(candidates):
    with pytest.raises(testbudget.UserError, match="candidates must be a list of programs"):
        testbudget.judge(candidates, ["assert f() == 1"])


@pytest.mark.parametrize(
    ("section", "fields", "told"),
    [
        ("problems", {"ids": ["n"]}, "1 problems.ids must name problems of .* but got 'n'"),
        ("problems", {"fields": {"id": "nr"}}, "1 problems.fields.id must name a column of .* got 'nr'"),
        ("problems", {"fields": {"nr": "id"}}, "1 problems.fields.nr must be a field of the form own"),
        ("problems", {"shard": "2/2"}, "1 problems.shard 2/2 must hold a problem"),
        ("problems", {"split": "test"}, "1 problems.split test needs a dataset directory"),
        ("problems", {"language": "pyton"}, "1 problems.language .*: did you mean python"),
        ("candidates", {"fields": {"code": "text"}}, "2 candidates.fields.code must name a column of"),
        ("policy", {"min_tests": 9}, "4 cap.tests must be at least policy.min_tests per problem"),
        ("execution", {"packages": ["nums"]}, "6 execution.packages names nums, which is not installed"),
        ("execution", {"python": "bin"}, "6 execution.python needs packages"),
    ],
)
def test_a_mistake_that_is_found_where_a_field_is_used_has_its_line(tmp_path, section, fields, told):
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "prompt": "p", "entry_point": "f"}\n')
    (tmp_path / "given.jsonl").write_text('{"problem": "a", "code": "assert f()"}\n')
    given = {"from_file": "given.jsonl"}
    job = {"problems": {"source": "rows.jsonl"}, "candidates": given, "tests": given, "cap": {"tests": 2}}
    job |= {"policy": {}, "execution": {}}
    job[section] = job[section] | fields
    path = tmp_path / "job.yaml"
    path.write_text("".join(f"{name}: {json.dumps(inner)}\n" for name, inner in job.items()))
    with pytest.raises(testbudget.UserError, match=rf"^{path}:{told}"):
        testbudget.run(path, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()

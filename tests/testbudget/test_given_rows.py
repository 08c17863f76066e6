"""Runs of problems, candidates and tests that are rows of Python."""

import pandas as pd
import pytest

import testbudget
from testbudget import UserError

PROBLEMS = [{"id": "add", "prompt": "Add one to x.", "entry_point": "f"}]
CANDIDATES = [{"problem": "add", "code": f"def f(x): return x + {n}"} for n in (0, 1, 1.5)]
TESTS = [{"problem": "add", "code": f"assert f({n}) == {n + 1}"} for n in (1, 2)]


def test_rows_are_run_kept_beside_the_run_and_can_be_resumed(tmp_path):
    out = tmp_path / "out"
    run = testbudget.run(
        problems=PROBLEMS, candidates=pd.DataFrame(CANDIDATES), tests=TESTS, cap={"tests": 2}, out=out
    )
    assert [pick.candidate for pick in run.picks] == [1]
    kept = {path.name for path in (tmp_path / "out-rows").iterdir()}
    assert kept == {"problems.jsonl", "candidates.jsonl", "tests.jsonl"}
    assert testbudget.resume(out).picks[0].candidate == 1
    with pytest.raises(UserError, match=r"tests\.jsonl holds other rows\. Choose another out"):
        testbudget.run(
            problems=PROBLEMS,
            candidates=CANDIDATES,
            tests=TESTS[:1],
            cap={"tests": 1},
            out=tmp_path / "out",
        )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "a run of rows needs out"),
        ({"tests": None, "out": "here"}, "run needs tests: rows, a path, or a section of the job"),
        ({"tests": [5], "out": "here"}, "tests must be rows, each a mapping of fields, but row 0 is int"),
        ({"tests": 5, "out": "here"}, "tests must be rows, a path or a section of the job but got int"),
        ({"tests": [{"code": {1}}], "out": "here"}, "row 0 of tests must hold plain values but set is no"),
        (
            {"job": "job.yaml", "out": "here"},
            "run takes a job, or the parts of one, but got a job and prob",
        ),
    ],
)
def test_parts_that_are_none_are_told(given, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = {"problems": PROBLEMS, "candidates": CANDIDATES, "tests": TESTS, "cap": {"tests": 2}}
    with pytest.raises(UserError, match=sentence):
        testbudget.run(**parts | given)
    assert [*tmp_path.iterdir()] == []


def test_paths_and_sections_are_parts_too(recorded, tmp_path):
    job = recorded.job()
    run = testbudget.run(
        problems=recorded.problems_file,
        **{name: value for name, value in job.items() if name != "problems"},
        out=tmp_path / "out",
    )
    assert len(run.picks) == len(recorded.problems)

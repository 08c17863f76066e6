"""Forecasts agree with the runs that they are of."""

import json
import math

import pytest

import testbudget
from testbudget import UserError
from testbudget.cli.main import main
from testbudget.forecast import forecast
from testbudget.scheduler.job_file import check_job

ROWS = [{"id": f"p{number}", "prompt": "Add one.", "entry_point": "f"} for number in range(10)]
CANDIDATES = [
    {"problem": row["id"], "code": f"def f(x): return x + {added}"} for row in ROWS for added in (1, 2)
]
TESTS = [
    {"problem": row["id"], "code": f"assert f({number}) == {number + 1}"}
    for row in ROWS
    for number in range(4)
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder with files of ten problems, two candidates and four tests each."""
    folder = tmp_path_factory.mktemp("forecast")
    for name, rows in (("problems", ROWS), ("candidates", CANDIDATES), ("tests", TESTS)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def job_of(files, **cap):
    fields = {
        "problems": {"source": "problems.jsonl"},
        "candidates": {"from_file": "candidates.jsonl"},
        "tests": {"from_file": "tests.jsonl"},
        "policy": {"name": "uniform"},
        "cap": cap or {"tests": 30},
    }
    return check_job(fields, files)


def test_a_probe_foretells_what_the_whole_job_spends(files, tmp_path):
    found = forecast(job_of(files))
    run = testbudget.run(job_of(files), out=tmp_path / "run")
    assert found.source == "a probe of 2 of 10 problems"
    assert (found.binding, found.shares) == ("tests", {"tests": 1.0})
    spent = run.summary.spent
    assert (found.amounts["tests"], found.amounts["executions"]) == (spent.tests, spent.executions)
    assert found.probe_spent["tests"] == spent.tests / 5
    assert not found.labelled
    assert 0 < found.accuracy.low <= found.accuracy.value <= found.accuracy.high < 1
    assert found.seconds > 0


def test_a_job_that_no_limit_ends_gets_all_its_tests(files):
    found = forecast(job_of(files, tests=1000), probe=1)
    assert (found.binding, found.amounts["tests"]) == (None, 40)


def test_a_recording_foretells_without_spending(recorded, files):
    job = check_job(recorded.job(cap={"tests": 12, "tokens": 10**9}), files)
    found = forecast(job)
    answers = [
        test
        for seen in testbudget.load(recorded.directory).trace.problems.values()
        for test in seen.tests.values()
    ]
    tests, per_test = len(answers), sum(test.tokens for test in answers) / len(answers)
    assert found.source == str(recorded.directory)
    assert (found.binding, found.amounts["tests"], found.probe_spent) == ("tests", 12, {})
    assert found.amounts["tokens"] == pytest.approx(12 * per_test)
    assert found.labelled
    assert found.accuracy.low <= found.accuracy.value <= found.accuracy.high
    tighter = forecast(check_job(recorded.job(cap={"tests": 12, "tokens": math.ceil(5 * per_test)}), files))
    assert (tighter.binding, tighter.amounts["tests"]) == ("tokens", 5)
    all_of_it = forecast(check_job(recorded.job(cap={"tests": 10**6}), files))
    assert (all_of_it.binding, all_of_it.amounts["tests"]) == (None, tests)


def test_dollars_and_more_candidates_are_reckoned(recorded, files):
    prices = {"tokens": 0.01, "executions": 0.001}
    job = recorded.job(cap={"usd": 1000, "prices": prices})
    found = forecast(check_job(job, files))
    usd = found.amounts["tokens"] * 0.01 + found.amounts["executions"] * 0.001
    assert found.amounts["usd"] == pytest.approx(usd)
    fewer = forecast(
        check_job(job | {"candidates": {"from_run": str(recorded.directory), "count": 1}}, files)
    )
    assert fewer.amounts["executions"] < found.amounts["executions"]


def test_the_command_prints_the_forecast_and_leaves_nothing(recorded, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = str(recorded.write_job(tmp_path / "job.yaml"))
    assert main(["run", job, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for words in ("rests on", "tests ", "100% of the cap", "ended by", "cap.tests", "accuracy"):
        assert words in printed
    assert main(["run", job, "--dry-run", "--rates-from", str(recorded.directory), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["expected"]["tests"] == 12
    assert [path.name for path in tmp_path.iterdir()] == ["job.yaml"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--dry-run", "--out", "here"], "--dry-run takes a job file, and neither --out nor"),
        (["--probe", "3"], "--rates-from and --probe go with --dry-run"),
        (["--dry-run", "--probe", "0"], "--probe must be at least 1 but got 0"),
    ],
)
def test_flags_that_do_not_fit_are_told(words, sentence, recorded, tmp_path, capsys):
    assert main(["run", str(recorded.write_job(tmp_path / "job.yaml")), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_a_probe_that_its_share_of_the_cap_cannot_pay_is_told(files):
    with pytest.raises(
        UserError, match="the probe of 2 of 10 problems, with their share of the cap, cannot"
    ):
        forecast(job_of(files, tests=30, cpu_seconds=0.5))

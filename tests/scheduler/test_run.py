"""Runs from job to directory: new, refused, and continued from wherever they have ended."""

import json
import shutil

import numpy as np
import pytest
import yaml

from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.rewards.verdict_reason import DetailName, VerdictReason
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import resume_run, start_run
from testbudget.traces.pair_reasons import NO_REASON, PairReasons
from testbudget.traces.reason_tables import read_reasons, write_reasons
from testbudget.traces.run_info import read_run_info
from testbudget.traces.run_tables import GrantRecord, read_run_table
from testbudget.traces.tables import read_trace

from .cut_runs import cut_run, last_seq


@pytest.fixture
def job(recorded, tmp_path):
    return load_job(recorded.write_job(tmp_path / "job.yaml"))


def results(directory):
    """What a run has decided and found: picks, grants without their times, books, verdicts."""
    grants = [
        (grant.task, grant.problem, grant.first, grant.tests, grant.value, dict(grant.terms))
        for grant in read_run_table(GrantRecord, directory)
    ]
    verdicts = {
        (problem, test): record.verdicts.tolist()
        for problem, seen in read_trace(directory).problems.items()
        for test, record in seen.verdicts.items()
    }
    info = read_run_info(directory)
    return (directory / "picks.jsonl").read_text(), grants, info.books, verdicts


def test_a_run_fills_its_directory_and_reports_its_phases(job, tmp_path):
    phases = []
    directory = start_run(job, tmp_path / "runs" / "one", lambda status: phases.append(status.name))
    names = {path.name for path in directory.iterdir()}
    assert {"job.yaml", "run.json", "log.sqlite", "picks.jsonl"} <= names
    assert {f"{table}.parquet" for table in ("grants", "work", "pools", "assessments")} <= names
    assert load_job(directory / "job.yaml") == job
    assert list(dict.fromkeys(phases)) == ["python nothing runs", "preparation", "tests", "results", "done"]


def test_a_run_tells_who_started_it_with_which_sources_and_what_it_spent(recorded, job, tmp_path):
    info = read_run_info(start_run(job, tmp_path / "out"))
    assert info.sources["tests.from_run"] == str(recorded.directory)
    assert info.books["spent"]["tests"] == 12
    assert info.finished is not None
    assert info.cut_tasks == info.lost_tasks == ()
    assert info.trust == "hostile"


def test_a_run_keeps_the_reasons_of_the_recording_that_it_reads(recorded, tmp_path):
    recording = tmp_path / "recording"
    shutil.copytree(recorded.directory, recording)
    said = PairReasons(
        tuple(range(4)),
        (VerdictReason("It is so."), VerdictReason("It is not.", {DetailName.LINE: "3"})),
        np.array([[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1], [NO_REASON] * 4], np.int32),
        np.zeros((4, 4), np.float32),
    )
    said.cut_at[1, 2] = 0.05
    write_reasons([("times/2", said)], recording)
    runs = {"candidates": {"from_run": str(recording)}, "tests": {"from_run": str(recording)}}
    job = load_job(recorded.write_job(tmp_path / "job.yaml", cap={"tests": 50}, **runs))
    found = read_reasons(start_run(job, tmp_path / "out"))["times/2"].of_tests(range(4))
    assert [found.of_test(test) for test in range(4)] == [
        said.of_test(test)[: len(found.numbers)] for test in range(4)
    ]
    assert np.argwhere(found.cut_at).tolist() == [[1, 2]]
    resume_run(tmp_path / "out")
    assert read_reasons(tmp_path / "out").keys() == {"times/2"}


def test_without_recorded_reasons_a_run_has_none(job, tmp_path):
    assert read_reasons(start_run(job, tmp_path / "out")) == {}


def test_a_directory_that_exists_is_refused(job, tmp_path):
    with pytest.raises(UserError, match=r"exists\. Resume its run with --resume"):
        start_run(job, tmp_path)


def test_a_finished_run_that_is_resumed_writes_the_same_results(job, tmp_path):
    directory = start_run(job, tmp_path / "out")
    before = results(directory)
    (directory / "picks.jsonl").unlink()
    resume_run(directory)
    assert results(directory) == before
    assert len(read_run_info(directory).resumes) == 1


def test_a_directory_without_a_log_cannot_be_resumed(tmp_path):
    with pytest.raises(UserError, match=r"has no log\.sqlite$"):
        resume_run(tmp_path)
    (tmp_path / "job.yaml").touch()
    with pytest.raises(UserError, match=r"has no log\.sqlite: start its job with testbudget run "):
        resume_run(tmp_path)


def test_a_directory_that_does_not_exist_cannot_be_resumed(tmp_path):
    with pytest.raises(UserError, match="there is nothing of that name"):
        resume_run(tmp_path / "none")


def test_a_job_that_cannot_be_run_leaves_no_directory(recorded, tmp_path):
    section = {"base_model": "model"}  # the recorded back end refuses extraction
    job = load_job(recorded.write_job(tmp_path / "job.yaml", hidden_states=section))
    with pytest.raises(UserError, match="must take hidden states from a run"):
        start_run(job, tmp_path / "runs" / "new" / "out")
    assert not (tmp_path / "runs").exists()


VARIANTS = {
    "uniform": {"cap": {"tests": 23}},
    "elimination": {"cap": {"executions": 60}, "elimination": {"apply_to": "all"}},
    "rounds": {
        "selection": "majority",
        "cap": {"tests": 15},
        "policy": {"min_tests": 2, "window": 100, "quantum": 100},
    },
    "metered": {"cap": {"tokens": 100_000, "cpu_seconds": 100.0, "tests": 20}},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_that_ends_after_any_entry_of_its_log_is_continued_to_the_same_results(
    recorded, tmp_path, variant
):
    fields = {"hidden_states": {"from_run": str(recorded.directory)}} | VARIANTS[variant]
    job = load_job(recorded.write_job(tmp_path / "job.yaml", **fields))
    whole = start_run(job, tmp_path / "whole")
    picks, grants, books, verdicts = results(whole)
    for last in range(1, last_seq(whole) + 1):
        directory = resume_run(cut_run(whole, last, tmp_path / str(last)))
        found = results(directory)
        assert found[0] == picks, last
        assert found[1] == grants, last
        assert found[3] == verdicts, last
        for quantity in ("tests", "executions"):
            assert found[2]["spent"][quantity] == books["spent"][quantity], last
            assert found[2]["reserved"][quantity] == 0, last


def test_a_run_is_not_continued_with_another_job_and_the_changed_fields_are_named(job, tmp_path):
    directory = start_run(job, tmp_path / "out")
    text = (directory / "job.yaml").read_text()
    edited = yaml.safe_load(text)
    edited["cap"]["tests"] = 500
    edited["seed"] = 7
    (directory / "job.yaml").write_text(yaml.safe_dump(edited))
    with pytest.raises(
        UserError, match=r"as the run began with it but cap\.tests was .* and is 500, seed was 0 and"
    ):
        resume_run(directory)
    (directory / "job.yaml").write_text(text)
    resume_run(directory)


def test_results_that_cannot_be_written_lose_nothing(job, tmp_path):
    directory = start_run(job, tmp_path / "out")
    before = results(directory)
    (directory / "picks.jsonl").unlink()
    (directory / "picks.jsonl.partial").mkdir()
    with pytest.raises(InfrastructureError, match=r"cannot be written: .* Nothing is lost: continue with"):
        resume_run(directory)
    (directory / "picks.jsonl.partial").rmdir()
    resume_run(directory)
    assert results(directory) == before


def test_a_log_of_a_version_that_decides_differently_is_refused(job, tmp_path):
    directory = start_run(job, tmp_path / "out")
    cut = cut_run(directory, last_seq(directory), tmp_path / "cut", issued=1)
    with pytest.raises(UserError, match="continue the run with the version that began it"):
        resume_run(cut)


@pytest.mark.parametrize(
    ("cap", "sentence"),
    [
        (
            {"executions": 3},
            r"cap\.executions must be at least 4, the smallest that pays for one test, but",
        ),
        ({"tokens": 10}, r"cap\.tokens must be at least 80, the smallest that pays"),
        ({"usd": 0.5, "prices": {"tests": 1.0}}, r"cap\.usd must be at least 1, the smallest that pays"),
    ],
)
def test_a_cap_that_pays_for_no_test_is_refused_with_the_smallest_that_would_do(
    recorded, tmp_path, cap, sentence
):
    job = load_job(recorded.write_job(tmp_path / "job.yaml", cap=cap))
    with pytest.raises(UserError, match=sentence):
        start_run(job, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_problem_has_a_line_with_its_pick_and_the_reason_why_it_got_no_more_tests(job, tmp_path):
    directory = start_run(job, tmp_path / "out")
    lines = [json.loads(line) for line in (directory / "picks.jsonl").read_text().splitlines()]
    assert [line["problem"] for line in lines] == list(read_trace(directory).problems)
    assert {line["closed_because"] for line in lines} == {"cap"}
    assert all(list(line)[-1] == "code" and line["code"] for line in lines)


@pytest.mark.parametrize("cap", [{"tokens": 700}, {"cpu_seconds": 0.05}, {"gpu_seconds": 5.0}])
def test_a_metered_cap_holds_and_most_of_it_is_used(recorded, tmp_path, cap):
    job = load_job(recorded.write_job(tmp_path / "job.yaml", cap=cap, execution={"runners": 2}))
    directory = start_run(job, tmp_path / "out")
    ((quantity, limit),) = cap.items()
    books = read_run_info(directory).books
    taken = books["spent"][quantity] + books["lost"][quantity] + books["leased"][quantity]
    assert taken <= limit + 1e-9
    assert books["spent"][quantity] > 0.6 * limit
    closed = [
        json.loads(line)["closed_because"] for line in (directory / "picks.jsonl").read_text().splitlines()
    ]
    assert closed == ["cap"] * 5


@pytest.mark.parametrize("cap", [{"tests": 14}, {"tests": 14, "cpu_seconds": 1000.0}])
def test_recorded_tests_are_executed_again_in_process_to_the_same_verdicts(recorded, tmp_path, cap):
    fields = {"backend": "in_process", "execution": {"runners": 2}, "cap": cap}
    job = load_job(recorded.write_job(tmp_path / "job.yaml", **fields))
    whole = start_run(job, tmp_path / "whole")
    picks, grants, _, verdicts = results(whole)
    known = read_trace(recorded.directory).problems
    for (problem, test), found in verdicts.items():
        assert found == known[problem].verdicts[test].verdicts.tolist()
    for problem, seen in read_trace(whole).problems.items():
        assert seen.correct.tolist() == known[problem].correct.tolist()
    last = last_seq(whole)
    for kept in (2, last // 2, last - 1):
        found = results(resume_run(cut_run(whole, kept, tmp_path / str(kept))))
        assert found[0] == picks
        assert [grant[:4] for grant in found[1]] == [grant[:4] for grant in grants]


def test_a_run_with_a_package_that_is_missing_does_not_start(recorded, tmp_path):
    path = recorded.write_job(tmp_path / "job.yaml")
    fields = {"backend": "in_process", "execution.packages": ["no-such-thing"]}
    with pytest.raises(UserError, match="packages names no-such-thing, which is not installed"):
        start_run(load_job(path, fields), tmp_path / "out")
    assert not (tmp_path / "out").exists()

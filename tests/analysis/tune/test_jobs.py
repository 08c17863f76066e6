"""Job files of the best choices, which ``testbudget run`` accepts."""

import pyarrow.parquet as pq
import pytest

from testbudget.analysis.summary import summarise
from testbudget.analysis.tune.evaluate import prepare_study
from testbudget.analysis.tune.jobs import write_jobs
from testbudget.analysis.tune.scores import score_choices
from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.space import Choice
from testbudget.scheduler.job_file import load_job
from testbudget.traces.tables import read_trace, write_trace

SETTINGS = StudySettings(tests_per_problem=2, permutations=2)
CHOICES = [
    Choice("majority", "uniform", 2),
    Choice("calibrated", "adaptive", 2.5, 1, 5),
    Choice("consensus", "greedy", 2, 0, 4),
    Choice("soft_agreement", "proportional", 1.5),
]


@pytest.fixture(scope="module")
def found(with_states):
    return score_choices(CHOICES, prepare_study(read_trace(with_states), SETTINGS), SETTINGS)


@pytest.mark.parametrize("number", range(len(CHOICES)), ids=[choice.name for choice in CHOICES])
def test_a_job_runs_as_it_is_and_spends_its_cap_by_its_choice(with_states, found, tmp_path, number):
    (path,), obstacle = write_jobs([found[number]], read_trace(with_states), 0, tmp_path)
    assert (path.name, obstacle) == ("job.yaml", None)
    from testbudget.scheduler.run import start_run

    start_run(load_job(path), tmp_path / "run")
    choice, cap = CHOICES[number], round(CHOICES[number].tests_per_problem * 20)
    written = pq.read_table(tmp_path / "run" / "tests.parquet", columns=["problem_id"])[
        "problem_id"
    ].to_pylist()
    counts = [written.count(problem) for problem in read_trace(with_states).problems]
    assert sum(counts) <= cap
    assert sum(counts) == cap or choice.policy == "greedy"  # grants nothing more if no test gains anything
    assert min(counts) >= choice.min_tests
    assert max(counts) <= (choice.max_tests or 7)
    job = load_job(tmp_path / "run" / "job.yaml")
    assert (job.selection, job.policy.name, job.cap.tests) == (choice.selection, choice.policy, cap)
    assert len(summarise(tmp_path / "run").problems) == 20


def test_a_front_has_numbered_jobs_and_older_jobs_are_removed(with_states, found, tmp_path):
    trace = read_trace(with_states)
    write_jobs(found, trace, 0, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"job-{k}.yaml" for k in (1, 2, 3, 4)]
    write_jobs(found[:2], trace, 0, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job-1.yaml", "job-2.yaml"]
    assert "held-out problems: " in (tmp_path / "job-2.yaml").read_text()
    write_jobs(found[:1], trace, 0, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["job.yaml"]


def test_without_the_source_of_the_problems_the_missing_job_is_explained(
    with_states, found, tmp_path_factory
):
    bare = tmp_path_factory.mktemp("bare")
    trace = read_trace(with_states)
    write_trace(type(trace)(bare, trace.problems, None))
    out = tmp_path_factory.mktemp("out")
    paths, obstacle = write_jobs(found[:1], read_trace(bare), 0, out)
    assert paths == []
    assert "no job file was written" in obstacle
    (bare / "job.yaml").write_text((with_states / "job.yaml").read_text())
    paths, obstacle = write_jobs(found[:1], read_trace(bare), 0, out)
    assert [path.name for path in paths] == ["job.yaml"]
    assert "needs its problems, which are missing here" in obstacle

"""Small files of rows that a job names, read before the libraries of a run are loaded.

A mistake in them is then told at once. A large file is read once, by the run.
"""

from pathlib import Path

from testbudget.executors.execution.packages import find_packages
from testbudget.rewards.errors import fields_of
from testbudget.scheduler.cap_check import check_min_tests
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_problems import problems_of_job
from testbudget.scheduler.work.given_tests import unusable_tests
from testbudget.traces.candidate_file import read_candidate_file
from testbudget.traces.tests_file import read_test_file

_SMALL = 1 << 20  # bytes


def check_small_files(job: Job) -> None:
    """Check the packages of a job, and those of its files of rows that are small.

    Args:
        job: the job, with paths resolved.

    Raises:
        UserError: a row or a field cannot be used.
    """
    if job.backend != "recorded":
        with fields_of("execution"):
            find_packages(job.execution.package_choice)
    if not _is_small(Path(job.problems.problem_source.place)):
        return
    problems = problems_of_job(job.problems)
    check_min_tests(job, len(problems))
    candidates, tests = job.candidates.from_file, job.tests.from_file
    if candidates is not None and _is_small(candidates):
        with fields_of("candidates"):
            read_candidate_file(candidates, problems, job.candidates.fields)
    if tests is not None and _is_small(tests):
        with fields_of("tests"):
            unusable_tests(tests, problems, read_test_file(tests, problems, job.tests.fields))


def _is_small(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= _SMALL

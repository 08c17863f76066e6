"""Imported votes become a finished run that jobs can read."""

import numpy as np
import pytest

from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.scheduler.imported_run import write_imported
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import start_run
from testbudget.traces.records import TestStatus
from testbudget.traces.tables import read_trace
from testbudget.traces.votes_file import read_votes


@pytest.fixture
def votes(tmp_path):
    """A file with two programs and four tests, of which the last has no vote."""
    path = tmp_path / "votes.npz"
    cast = np.array([[1, 0, -1, -1], [0, 1, 1, -1]], np.int8)
    np.savez(path, **{"votes/p": cast, "correct/p": np.array([1, 0], np.int8)})
    return path


def test_votes_become_verdicts_and_a_test_without_a_vote_is_unusable(votes, tmp_path):
    assert write_imported(read_votes(votes), tmp_path / "run") == 1
    seen = read_trace(tmp_path / "run").problems["p"]
    assert seen.correct.tolist() == [True, False]
    assert [record.status for record in seen.tests.values()] == 3 * [TestStatus.USABLE] + [
        TestStatus.UNUSABLE
    ]
    assert [record.verdicts.tolist() for record in seen.verdicts.values()] == [
        [Verdict.PASSED, Verdict.FAILED],
        [Verdict.FAILED, Verdict.PASSED],
        [NOT_RUN, Verdict.PASSED],
    ]


def test_the_job_beside_the_run_reads_all_of_it(votes, tmp_path):
    write_imported(read_votes(votes), tmp_path / "run")
    start_run(load_job(tmp_path / "run" / "job.yaml"), tmp_path / "out")
    assert len(read_trace(tmp_path / "out").problems["p"].tests) == 4


def test_a_directory_that_exists_is_refused(votes, tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match=r"exists\. Choose another --out"):
        write_imported(read_votes(votes), tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []

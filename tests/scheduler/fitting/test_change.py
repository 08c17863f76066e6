"""Models of p_change fitted on finished runs and stored with the run that uses them."""

from dataclasses import replace

import pytest

from testbudget.rewards.confidence.change import default_change_model
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.fitting.change import change_model_for, change_rows_of_run, check_change_runs
from testbudget.scheduler.job_file import load_job
from testbudget.traces.tables import read_trace


def job_of(recorded, tmp_path, *sources):
    fields = {"policy": {"name": "adaptive", "change_from": [str(one) for one in sources]}}
    return load_job(recorded.write_job(tmp_path / "job.yaml", **(fields if sources else {})))


def test_without_runs_the_shipped_model_is_used_and_nothing_is_stored(recorded, tmp_path):
    model = change_model_for(job_of(recorded, tmp_path), read_trace, tmp_path)
    assert model is default_change_model()
    assert not (tmp_path / "change.json").exists()


def test_several_runs_are_pooled_once_and_the_model_is_read_from_then_on(recorded, tmp_path):
    def refused(_):
        raise AssertionError("nothing is to be fitted")

    job = job_of(recorded, tmp_path, recorded.directory, recorded.directory)
    fitted = change_model_for(job, read_trace, tmp_path)
    assert fitted.source.count(str(recorded.directory)) == 2
    assert change_model_for(job, refused, tmp_path).as_json() == fitted.as_json()


def test_no_label_is_read(recorded):
    trace, rule = read_trace(recorded.directory), selection_rule("calibrated")
    unlabelled = replace(
        trace, problems={name: replace(seen, correct=None) for name, seen in trace.problems.items()}
    )
    one, other = (list(change_rows_of_run(run, rule, 0)) for run in (trace, unlabelled))
    assert [row.changes.tolist() for row in one] == [row.changes.tolist() for row in other]


def test_a_run_with_single_tests_is_refused_before_anything_starts(recorded, tmp_path):
    def one_test(run):
        trace = read_trace(run)
        problems = {
            name: replace(seen, verdicts=dict(list(seen.verdicts.items())[:1]))
            for name, seen in trace.problems.items()
        }
        return replace(trace, problems=problems)

    with pytest.raises(UserError, match="must have a problem with at least two tests to fit p_change"):
        check_change_runs(job_of(recorded, tmp_path, recorded.directory), one_test)


def test_a_damaged_model_is_refused(recorded, tmp_path):
    (tmp_path / "change.json").write_text("{}")
    with pytest.raises(UserError, match="must hold a model that a run has written"):
        change_model_for(job_of(recorded, tmp_path, recorded.directory), read_trace, tmp_path)

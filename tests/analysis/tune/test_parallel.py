"""Trials in several processes."""

import pytest
import ray

from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.tune import tune
from testbudget.traces.tables import read_trace

pytestmark = pytest.mark.cluster
SETTINGS = StudySettings(tests_per_problem=2, selections=("majority",), trials=4, permutations=2)


def test_several_processes_run_as_many_trials_as_asked_and_one_resumes_their_study(imported, tmp_path):
    trace, counts = read_trace(imported), []
    result = tune(trace, SETTINGS, tmp_path, counts.append, workers=2)
    assert not ray.is_initialized()
    assert len(result.trials) == 4
    assert (counts[0], counts[-1]) == (0, 4)
    best = max(trial.accuracy for trial in result.trials if trial.complete)
    assert result.chosen[0].training.accuracy.value == best
    more = tune(trace, StudySettings(**{**dict(SETTINGS), "trials": 5}), tmp_path)
    assert more.trials[:4] == result.trials
    assert len(more.trials) == 5

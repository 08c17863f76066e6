"""Choices tried by several processes at once."""

import dataclasses

import ray
from optuna.trial import TrialState

from testbudget.analysis.tune.parallel import in_processes
from testbudget.analysis.tune.space import StudySettings
from testbudget.analysis.tune.study import load_study
from testbudget.analysis.tune.tune import JOURNAL, tune
from testbudget.traces.tables import read_trace

SETTINGS = StudySettings(tests_per_problem=2, selections=("majority", "auto"), trials=9, orders=3)


def test_processes_together_try_as_many_as_asked_and_one_alone_goes_on(imported, tmp_path):
    trace, counts = read_trace(imported), []
    tuned = tune(trace, SETTINGS, tmp_path, counts.append, in_processes(imported, tmp_path, SETTINGS, 2))
    assert not ray.is_initialized()
    assert len(tuned.attempts) == 9
    assert (counts[0], counts[-1]) == (0, 9)
    states = [trial.state for trial in load_study(tmp_path / JOURNAL, 0).trials]
    assert set(states) <= {TrialState.COMPLETE, TrialState.PRUNED}
    best = max(one.record.value for one in tuned.attempts if one.record.state is TrialState.COMPLETE)
    assert tuned.found[0].training.accuracy.value == best
    more = tune(trace, dataclasses.replace(SETTINGS, trials=10), tmp_path)
    assert [one.record.params for one in more.attempts[:9]] == [one.record.params for one in tuned.attempts]
    assert len(more.attempts) == 10

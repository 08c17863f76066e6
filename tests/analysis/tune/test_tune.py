"""Whole studies: folders and workers that are refused."""

import pytest

from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.tune import tune
from testbudget.rewards.errors import UserError
from testbudget.traces.tables import read_trace

SETTINGS = StudySettings(tests_per_problem=2, trials=1, permutations=2)


def test_a_folder_with_other_files_is_refused_and_unchanged(imported, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        tune(read_trace(imported), SETTINGS, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(UserError, match="must be a directory but"):
        tune(read_trace(imported), SETTINGS, tmp_path / "notes.txt")


def test_a_number_of_workers_below_one_is_refused(imported, tmp_path):
    with pytest.raises(UserError, match="workers must be at least 1 but got 0"):
        tune(read_trace(imported), SETTINGS, tmp_path, workers=0)


def test_progress_is_reported_after_each_trial(imported, tmp_path):
    counts = []
    result = tune(
        read_trace(imported), StudySettings(**{**dict(SETTINGS), "trials": 2}), tmp_path, counts.append
    )
    assert counts == [0, 1, 2]
    assert len(result.trials) == 2

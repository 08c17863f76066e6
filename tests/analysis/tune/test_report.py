"""A study as tables, as Parquet and as JSON."""

import json

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from testbudget.analysis.tune.report import print_study, study_records, write_trials
from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.tune import tune
from testbudget.traces.tables import read_trace

SETTINGS = {"selections": ("majority", "calibrated"), "trials": 4, "permutations": 2}


@pytest.fixture(scope="module")
def result(imported, tmp_path_factory):
    settings = StudySettings(tests_per_problem=2, **SETTINGS)
    return tune(read_trace(imported), settings, tmp_path_factory.mktemp("study"))


def printed(result) -> str:
    console = Console(width=140, record=True)
    print_study(result, console)
    return " ".join(console.export_text().split())


def test_the_printed_table_shows_training_and_held_out_problems(result):
    text = printed(result)
    assert "2 permutations of their tests. 6 problems were held out." in text
    for words in ("training (14)", "held out (6)", "On held-out problems, tuning is worth"):
        assert words in text
    (tuned,) = result.chosen
    assert f"{100 * tuned.training.accuracy.value:.1f}" in text


def test_the_printed_front_names_its_quantity(imported, tmp_path):
    settings = StudySettings(pareto="executions", **SETTINGS)
    assert "in both accuracy and executions" in printed(tune(read_trace(imported), settings, tmp_path))


def test_the_file_of_trials_holds_every_trial(result, tmp_path):
    write_trials(result, tmp_path / "trials.parquet")
    rows = pq.read_table(tmp_path / "trials.parquet").to_pylist()
    assert [row["number"] for row in rows] == [0, 1, 2, 3]
    assert [row["accuracy"] for row in rows] == [trial.accuracy for trial in result.trials]
    assert [row["state"] for row in rows] == 4 * ["complete"]
    assert all(len(row["accuracy_by_permutation"]) == 2 for row in rows)


def test_records_are_json_and_hold_both_sides(result):
    record = json.loads(json.dumps(study_records(result), allow_nan=False))
    (tuned,) = result.chosen
    (shown,) = record["chosen"]
    assert (shown["selection"], shown["policy"]) == (tuned.choice.selection, tuned.choice.policy)
    assert shown["held_out"]["vs_untuned"]["value"] == tuned.held_out.vs_untuned.value
    assert shown["training"]["spent"]["gpu_seconds"] is None  # NaN: not measured
    assert record["problems"] == {"training": 14, "held_out": 6}
    assert len(record["trials"]) == 4

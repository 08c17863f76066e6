"""``testbudget tune`` from the command line: what it prints and writes, and what it refuses."""

import dataclasses
import json

import optuna
import pyarrow.parquet as pq
import pytest

from testbudget.cli.main import main
from testbudget.traces.tables import read_trace, write_trace

QUICK = ["--permutations", "2", "--trials", "4", "--selection", "majority,calibrated"]
CAP = ["--tests-per-problem", "2"]


def failure(capsys, *arguments) -> str:
    assert main(["tune", *map(str, arguments)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("testbudget: ")
    assert message.count("\n") == 1
    return message


def test_tune_prints_both_sides_and_writes_a_job_trials_and_the_study(
    imported, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["tune", str(imported), *CAP, *QUICK]) == 0
    printed = capsys.readouterr().out
    out = tmp_path / "runs" / "tune" / "run"
    assert "training (14)" in printed
    assert "held out (6)" in printed
    assert "On held-out problems, tuning is worth" in printed
    assert {path.name for path in out.iterdir()} == {
        *("job.yaml", "report.html", "trials.parquet", "study.journal", "study.lock")
    }
    rows = pq.read_table(out / "trials.parquet").to_pylist()
    assert len(rows) == 4
    best = max(rows, key=lambda row: row["accuracy"])
    assert f"{best['selection']}, {best['policy']}" in (out / "job.yaml").read_text()
    assert f"{100 * best['accuracy']:.1f}" in printed
    assert main(["run", str(out / "job.yaml"), "--out", str(tmp_path / "tuned")]) == 0


def test_optuna_opens_the_file_of_the_study(imported, tmp_path):
    assert main(["tune", str(imported), *CAP, *QUICK, "--out", str(tmp_path / "out")]) == 0
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "out" / "study.journal"))
    study = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))
    assert len(study.trials) == 4
    assert study.user_attrs["settings"]["tests_per_problem"] == 2


def test_a_front_has_a_job_for_each_of_its_choices(imported, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["tune", str(imported), "--pareto", "executions", *QUICK, "--out", str(out)]) == 0
    assert "in both accuracy and executions" in capsys.readouterr().out
    assert sorted(out.glob("job*.yaml"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tests-per-problem", "many"], "--tests-per-problem must be a number but got 'many'"),
        (["--tests-per-problem", "8"], "at most the 7 that were recorded of each problem but got 8"),
        (["--tests-per-problem", "0"], "must be at least 1 test in all"),
        (["--pareto", "usd"], "--pareto must be one of tests, tokens"),
        (["--pareto", "gpu_seconds"], "some gpu_seconds are unknown"),
        ([*CAP, "--trials", "0"], "--trials must be at least 1 but got 0"),
        ([*CAP, "--permutations", "1.5"], "--permutations must be a whole number but got '1.5'"),
        ([*CAP, "--held-out", "1"], "--held-out must be less than 1 but got 1"),
        ([*CAP, "--held-out", "0.01"], "at least 2 problems on either side"),
        ([*CAP, "--selection", "best"], "--selection must be one of"),
        ([*CAP, "--policies", "best"], "--policies must be one of"),
        ([*CAP, "--policies", "greedy"], "no hidden states"),
        ([*CAP, "--workers", "0"], "--workers must be at least 1 but got 0"),
        ([], "tune needs exactly one of --tests-per-problem, --pareto and --wanted"),
        ([*CAP, "--seed", "-1"], "--seed must be at least 0 but got -1"),
    ],
)
def test_a_flag_that_makes_no_sense(capsys, imported, tmp_path, arguments, sentence):
    assert sentence in failure(capsys, imported, *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_json_is_one_document_with_the_scores_of_the_choice(imported, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["tune", str(imported), *CAP, *QUICK, "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (chosen,) = document["chosen"]
    low, high = chosen["held_out"]["accuracy"]["interval"]
    assert low <= chosen["held_out"]["accuracy"]["value"] <= high
    assert len(document["trials"]) == 4
    assert document["jobs"] == [str(out / "job.yaml")]


def test_a_directory_that_is_no_run_and_a_run_without_labels(capsys, imported, tmp_path):
    assert "must be a finished run" in failure(capsys, tmp_path, *CAP)
    trace = read_trace(imported)
    bare = {problem: dataclasses.replace(seen, correct=None) for problem, seen in trace.problems.items()}
    write_trace(dataclasses.replace(trace, directory=tmp_path, problems=bare))
    arguments = [tmp_path, *CAP, "--trials", "2", "--out", tmp_path / "out"]
    assert main(["tune", *map(str, arguments)]) == 0
    assert "agreement" in capsys.readouterr().out


def test_a_folder_of_other_things_is_not_written_into(capsys, imported, tmp_path):
    before = {path.name: path.read_bytes() for path in imported.iterdir()}
    assert "holds other files" in failure(capsys, imported, *CAP, "--out", imported)
    assert {path.name: path.read_bytes() for path in imported.iterdir()} == before
    (tmp_path / "file").write_text("mine")
    assert "must be a directory but" in failure(capsys, imported, *CAP, "--out", tmp_path / "file")

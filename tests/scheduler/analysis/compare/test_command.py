"""``testbudget compare`` from the command line: what it prints and writes, and what it refuses."""

from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from scheduler.cli import main
from scheduler.tables import read_trace, write_trace

QUICK = ["--orders", "2", "--tests-per-problem", "1,2.5"]


def failure(capsys, *arguments) -> str:
    assert main(["compare", *map(str, arguments)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("testbudget: ")
    assert message.count("\n") == 1
    return message


def test_compare_prints_and_writes_every_cell(voted, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    assert main(["compare", str(voted), *QUICK, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "run: 15 problems, 2 orders of their tests, selection majority." in printed
    assert "calibrated:0.6" in printed
    rows = pq.read_table(tmp_path / "out" / "cells.parquet").to_pylist()
    lines = ["", "off", "on", "oracle", "blurred:0.6", "calibrated:0.6"]
    assert [(row["tests_per_problem"], row["predictor"] or "") for row in rows] == [
        (cap, line) for cap in (1, 2.5) for line in lines
    ]
    for row in rows:
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
        assert f"{100 * row['accuracy']:.1f} [{100 * row['accuracy_low']:.1f}, " in printed
        assert row["tests"] <= row["tests_per_problem"] + 1 / 15
        assert len(row["fifths_gain"]) == 5
    page = (tmp_path / "out" / "compare.html").read_text()
    assert page.count("<svg") == 2
    assert page.count("greedy oracle") >= 2


def test_by_default_caps_are_those_that_the_run_has_and_nothing_is_written_into_it(
    voted, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = sorted(voted.iterdir())
    assert main(["compare", str(voted), "--orders", "1", "--policies", "uniform"]) == 0
    cells = pq.read_table(tmp_path / "runs" / "compare" / "run" / "cells.parquet")
    assert cells["tests_per_problem"].to_pylist() == [1, 2, 3, 5, 8]  # nine tests per problem were recorded
    assert sorted(voted.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--orders", "many"], "--orders takes a whole number but got 'many'"),
        (["--orders", "1.5"], "--orders takes a whole number but got '1.5'"),
        (["--orders", "0"], "orders must be at least 1 but got 0"),
        (["--tests-per-problem", "1,,2"], "--tests-per-problem takes numbers but got ''"),
        (["--tests-per-problem", "inf"], "--tests-per-problem takes numbers but got 'inf'"),
        (["--tests-per-problem", "1,99"], "the 135 tests that were recorded"),
        (["--policies", "best"], "policy must be one of"),
        (["--predictors", "magic"], "predictors must be among"),
        (["--selection", "best"], "selection must be one of"),
    ],
)
def test_a_flag_that_makes_no_sense(capsys, voted, tmp_path, arguments, sentence):
    assert sentence in failure(capsys, voted, *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_directory_that_is_no_run(capsys, tmp_path):
    assert "must be a finished run" in failure(capsys, tmp_path)


def test_a_run_without_labels_or_hidden_states(capsys, voted, tmp_path):
    trace = read_trace(voted)
    bare = {problem: replace(seen, correct=None) for problem, seen in trace.problems.items()}
    for name, lacking, sentence in (
        ("labels", replace(trace, problems=bare), "must say which candidates are right"),
        ("states", replace(trace, hidden_states=None), "'on' needs hidden states"),
    ):
        (tmp_path / name).mkdir()
        write_trace(replace(lacking, directory=tmp_path / name))
        assert sentence in failure(capsys, tmp_path / name, *QUICK, "--out", tmp_path / "out")


def test_a_run_without_a_test_per_problem(capsys, voted, tmp_path):
    trace = read_trace(voted)
    few = {problem: replace(seen, tests={}, verdicts={}) for problem, seen in trace.problems.items()}
    (tmp_path / "few").mkdir()
    write_trace(replace(trace, directory=tmp_path / "few", problems={**few, "p/0": trace.problems["p/0"]}))
    assert "the 9 tests that were recorded of 15 problems but 1 come to 15" in failure(
        capsys, tmp_path / "few"
    )


def test_an_output_that_is_a_file(capsys, voted, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert "must be a directory but" in failure(capsys, voted, "--out", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"

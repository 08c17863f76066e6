"""``testbudget compare`` from the command line: what it prints and writes, and what it refuses."""

import contextlib
import io
import json
import re
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from testbudget.cli.main import main
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.registry import policy_class
from testbudget.traces.tables import read_trace, write_trace
from tests.pages import blocks_of, cells_of
from tests.runs import exporting

QUICK = ["--permutations", "2", "--tests-per-problem", "1,2.5"]
GREEDY = [
    *QUICK,
    "--policies",
    "greedy",
    "--selection",
    "majority",
    "--predictors",
    "none,learned,noisy-calibrated:0.6",
]


def failure(capsys, *arguments) -> str:
    assert main(["compare", *map(str, arguments)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("testbudget: ")
    assert message.count("\n") == 1
    return message


def grid_of(folder) -> list[dict]:
    return pq.read_table(folder / "grid.parquet").to_pylist()


def test_compare_writes_the_grid_and_prints_its_figures(voted, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    assert main(["compare", str(voted), *GREEDY, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "run: 15 problems, 2 permutations of their tests." in printed
    rows = grid_of(tmp_path / "out")
    combinations = [
        ("majority", "uniform", None),
        ("majority", "greedy", "none"),
        ("majority", "greedy", "learned"),
    ]
    combinations += [("majority", "greedy", "noisy-calibrated:0.6"), ("consensus", "uniform", None)]
    assert [
        (row["tests_per_problem"], row["selection"], row["policy"], row["predictor"]) for row in rows
    ] == [(cap, *one) for cap in (1, 2.5) for one in combinations]
    for row in rows:
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
        assert row["vs_reference_low"] <= row["vs_reference"] <= row["vs_reference_high"]
        assert row["tests"] <= row["tests_per_problem"] + 1 / 15
        assert len(row["quintiles_vs_uniform"]) == 5
        shown, half = 100 * row["vs_uniform"], 50 * (row["vs_uniform_high"] - row["vs_uniform_low"])
        if row["policy"] == "uniform":
            shown, half = 100 * row["accuracy"], 50 * (row["accuracy_high"] - row["accuracy_low"])
        assert f"{shown:.1f} ±{half:.1f}" in printed.replace("+", "")
    file = tmp_path / "out" / "compare.html"
    assert len(blocks_of(file, "lines")) == 1 + 2 * 2
    page = " ".join(cells_of(file))
    for row in rows:
        assert f"{100 * row['accuracy']:.1f} [{100 * row['accuracy_low']:.1f}, " in page


@pytest.fixture(scope="module")
def everything(voted, tmp_path_factory):
    """Directory in which all that a run allows was compared, and what was printed."""
    directory, printed = tmp_path_factory.mktemp("everything"), io.StringIO()
    before = sorted(voted.iterdir())
    with contextlib.chdir(directory), contextlib.redirect_stdout(printed):
        assert main(["compare", str(voted), "--permutations", "2"]) == 0
    assert sorted(voted.iterdir()) == before
    return directory, printed.getvalue()


def test_the_first_table_names_the_best_combination_at_each_cap(everything):
    directory, printed = everything
    rows = grid_of(directory / "runs" / "compare" / "run")
    first = printed[printed.index("as reference with") : printed.index("Spending of the best combination")]
    for cap in (1, 2, 3, 5, 8):
        best = max(
            (row for row in rows if row["tests_per_problem"] == cap and not row["knows_truth"]),
            key=lambda row: row["accuracy"],
        )
        name = " ".join(filter(None, (best["selection"] + ",", best["policy"], best["predictor"])))
        assert re.search(
            rf"{cap:g} .* {name} +{100 * best['accuracy']:.1f} +\{100 * best['vs_reference']:+.1f}", first
        )


def test_by_default_all_that_the_run_allows_is_compared_and_nothing_is_written_into_it(everything):
    rows = grid_of(everything[0] / "runs" / "compare" / "run")
    # Nine tests per problem were recorded.
    assert {row["tests_per_problem"] for row in rows} == {1, 2, 3, 5, 8}
    assert {row["selection"] for row in rows} == {"majority", "consensus", "calibrated"}
    assert {row["policy"] for row in rows} == set(POLICY_NAMES)
    assert {row["predictor"] for row in rows} == {None, "learned", "oracle"}


def test_json_holds_accuracy_interval_and_cost_of_every_combination(voted, tmp_path, capsys):
    assert main(["compare", str(voted), *GREEDY, "--out", str(tmp_path / "out"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = grid_of(tmp_path / "out")
    assert len(document["grid"]) == len(rows)
    for cell, row in zip(document["grid"], rows, strict=True):
        names = ("tests_per_problem", "selection", "policy", "predictor")
        assert [cell[name] for name in names] == [row[name] for name in names]
        assert cell["accuracy"] == {
            "value": row["accuracy"],
            "interval": [row["accuracy_low"], row["accuracy_high"]],
        }
        assert cell["spent"]["tests"] == row["tests"]


@pytest.mark.parametrize("form", ["write_one_by_one", "write_packed"])
def test_an_imported_run_gives_the_figures_of_the_one_that_it_was_exported_from(recorded, tmp_path, form):
    file = getattr(exporting, form)(exporting.exported(recorded.directory), tmp_path / "votes.npz")
    assert main(["import", "votes", str(file), "--out", str(tmp_path / "run")]) == 0
    # Without dynamic policies: p_wrong depends on the fold of a problem by its text, which is not exported.
    policies = ",".join(name for name in POLICY_NAMES if policy_class(name).static)
    arguments = ["--permutations", "3", "--predictors", "none,oracle", "--policies", policies]
    found = []
    for name, run in (("one", recorded.directory), ("two", tmp_path / "run")):
        assert main(["compare", str(run), *arguments, "--out", str(tmp_path / name)]) == 0
        found.append(grid_of(tmp_path / name))
    assert found[0] == found[1]


def test_of_votes_alone_what_they_allow_is_compared(recorded, tmp_path, capsys):
    problems = {
        problem: {name: arrays[name] for name in ("votes", "correct")}
        for problem, arrays in exporting.exported(recorded.directory).items()
    }
    file = exporting.write_one_by_one(problems, tmp_path / "votes.npz")
    assert main(["import", "votes", str(file), "--out", str(tmp_path / "run")]) == 0
    out = ["--out", str(tmp_path / "out")]
    assert main(["compare", str(tmp_path / "run"), "--permutations", "2", *out]) == 0
    printed = capsys.readouterr().out
    assert (
        "left out learned: the predictor 'learned' needs hidden states or predicted pass rates"
        in " ".join(printed.split())
    )
    rows = grid_of(tmp_path / "out")
    assert {row["predictor"] for row in rows} == {None, "oracle"}
    assert np.isnan([row["tokens"] for row in rows]).all()
    assert np.isfinite([row["executions"] for row in rows]).all()
    message = failure(capsys, tmp_path / "run", "--predictors", "learned", *out)
    assert "needs hidden states or predicted pass rates" in message


def test_an_imported_run_believes_what_was_predicted_of_it(recorded, tmp_path):
    problems = {
        problem: {
            "votes": arrays["votes"],
            "correct": arrays["correct"],
            "predicted_pass_rate": np.float64(rate),
        }
        for (problem, arrays), rate in zip(
            exporting.exported(recorded.directory).items(),
            np.linspace(0.1, 0.9, len(recorded.problems)),
            strict=True,
        )
    }
    file = exporting.write_packed(problems, tmp_path / "votes.npz")
    assert main(["import", "votes", str(file), "--out", str(tmp_path / "run")]) == 0
    out = ["--out", str(tmp_path / "out")]
    assert (
        main(["compare", str(tmp_path / "run"), "--permutations", "2", "--policies", "greedy", *out]) == 0
    )
    assert {row["predictor"] for row in grid_of(tmp_path / "out")} == {None, "learned", "oracle"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--permutations", "many"], "--permutations must be a whole number but got 'many'"),
        (["--permutations", "1.5"], "--permutations must be a whole number but got '1.5'"),
        (["--permutations", "0"], "--permutations must be at least 1 but got 0"),
        (["--tests-per-problem", "1,,2"], "must be values separated by commas but one of them is empty"),
        (["--tests-per-problem", "inf"], "--tests-per-problem must be a number but got 'inf'"),
        (["--tests-per-problem", "1,99"], "the 135 tests that were recorded"),
        (["--policies", "best"], "--policies must be one of"),
        (["--predictors", "magic"], "predictors must be among"),
        (["--selection", "best"], "--selection must be one of"),
    ],
)
def test_a_flag_that_makes_no_sense(capsys, voted, tmp_path, arguments, sentence):
    assert sentence in failure(capsys, voted, *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_directory_that_is_no_run(capsys, tmp_path):
    assert "must be a finished run" in failure(capsys, tmp_path)


def test_a_run_without_labels_is_compared_by_agreement(capsys, voted, tmp_path):
    trace = read_trace(voted)
    bare = {problem: replace(seen, correct=None) for problem, seen in trace.problems.items()}
    write_trace(replace(trace, problems=bare, directory=tmp_path))
    arguments = ["--policies", "uniform", "--permutations", "2", "--out", tmp_path / "out"]
    assert main(["compare", *map(str, [tmp_path, *arguments])]) == 0
    assert "agreement with the pick of all tests" in " ".join(capsys.readouterr().out.split())


def test_a_run_without_hidden_states(capsys, voted, tmp_path):
    write_trace(replace(read_trace(voted), hidden_states=None, directory=tmp_path))
    assert "'learned' needs hidden states" in failure(capsys, tmp_path, *GREEDY, "--out", tmp_path / "out")


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

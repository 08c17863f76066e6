"""``testbudget import votes``: data that comes in."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from testbudget.analysis.summary import summarise
from testbudget.cli.main import main
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.fitting.gain_models import gain_model_of_run
from testbudget.traces.learning_curves import RecordedTests, compute_learning_curves, random_permutations
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import DistinctPrograms, TestStatus
from testbudget.traces.tables import read_trace
from tests.runs.exporting import exported, write_one_by_one, write_packed

RNG = np.random.default_rng(3)
VOTES = {f"p/{k}": RNG.integers(0, 2, (4, 5)) for k in range(3)}
CORRECT = {f"p/{k}": np.array([True, False, True, False]) for k in range(3)}
BARE = {problem: {"votes": VOTES[problem], "correct": CORRECT[problem]} for problem in VOTES}

forms = pytest.mark.parametrize("write", [write_one_by_one, write_packed])


def run_of(file: Path, out: Path) -> Path:
    assert main(["import", "votes", str(file), "--out", str(out)]) == 0
    return out


def refused(capsys, file: Path, out: Path) -> str:
    """The one sentence with which a file is refused, and nothing is left behind."""
    before = sorted(out.parent.iterdir())
    assert main(["import", "votes", str(file), "--out", str(out)]) == 2
    assert sorted(out.parent.iterdir()) == before
    message = capsys.readouterr().err
    assert message.startswith(f"testbudget: {file}")
    assert message.count("\n") == 1
    return message


def saved(path: Path, **arrays) -> Path:
    np.savez(path, **{name.replace("__", "/"): array for name, array in arrays.items()})
    return path


@forms
@pytest.mark.parametrize("outputs", [True, False], ids=["with outputs", "without"])
def test_an_exported_run_comes_back_with_the_same_courses(recorded, tmp_path, write, outputs):
    original = recorded.directory
    run = run_of(write(exported(original, outputs=outputs), tmp_path / "votes.npz"), tmp_path / "run")
    for rule in map(selection_rule, ("majority", "calibrated", "outputs")):
        found = []
        for directory in (original, run):
            outputs_by_problem = read_outputs(directory) if outputs else {}
            recordings = [
                RecordedTests.of(seen, seen.correct, outputs_by_problem.get(problem))
                for problem, seen in read_trace(directory).problems.items()
            ]
            drawn = random_permutations(recordings, np.random.default_rng(1))
            found.append(compute_learning_curves(recordings, drawn, rule))
        for one, other in zip(*found, strict=True):
            np.testing.assert_array_equal(one.accuracy, other.accuracy)
            np.testing.assert_allclose(one.spent, other.spent)
    assert bool(read_outputs(run)) == outputs


def test_problems_without_texts_are_told_apart_so_that_one_can_learn_from_the_others(tmp_path):
    run = run_of(write_one_by_one(BARE, tmp_path / "votes.npz"), tmp_path / "run")
    teaching = gain_model_of_run(read_trace(run), "majority")
    assert len(teaching.fold_of) == len(BARE)


@forms
def test_both_forms_hold_the_same(recorded, tmp_path, write):
    file = write(exported(recorded.directory), tmp_path / "votes.npz")
    trace = read_trace(run_of(file, tmp_path / "run"))
    for problem, seen in read_trace(recorded.directory).problems.items():
        back = trace.problems[problem]
        np.testing.assert_array_equal(
            DistinctPrograms.among(back.candidates).inverse, DistinctPrograms.among(seen.candidates).inverse
        )
        usable = [index for index, test in back.tests.items() if test.status is TestStatus.USABLE]
        assert usable == sorted(seen.verdicts)
        assert [test.tokens for test in back.tests.values()] == [
            test.tokens for _, test in sorted(seen.tests.items())
        ]


def test_votes_and_labels_alone_are_a_run_of_distinct_programs_with_unknown_costs(tmp_path):
    run = run_of(write_one_by_one(BARE, tmp_path / "votes.npz"), tmp_path / "run")
    for problem, seen in read_trace(run).problems.items():
        assert len(DistinctPrograms.among(seen.candidates).representatives) == 4
        np.testing.assert_array_equal(seen.correct, CORRECT[problem])
        assert np.isnan(seen.predicted_pass_rate)
        for test, record in seen.verdicts.items():
            np.testing.assert_array_equal(record.verdicts == Verdict.PASSED, VOTES[problem][:, test])
            assert np.isnan(record.cpu_seconds).all()
            assert np.isnan([seen.tests[test].tokens, seen.tests[test].gpu_seconds]).all()
    spent = summarise(run).spent
    assert (spent.tests, spent.executions) == (15, 60)
    assert np.isnan([spent.tokens, spent.cpu_seconds, spent.gpu_seconds]).all()


def test_a_pair_without_a_vote_was_not_run_and_a_test_without_votes_was_of_no_use(tmp_path):
    votes = VOTES["p/0"].copy()
    votes[1, 2], votes[:, 4] = -1, -1
    run = run_of(saved(tmp_path / "v.npz", votes__a=votes, correct__a=CORRECT["p/0"]), tmp_path / "run")
    seen = read_trace(run).problems["a"]
    assert seen.verdicts[2].verdicts[1] == NOT_RUN
    assert seen.verdicts[2].cpu_seconds[1] == 0
    assert seen.tests[4].status is TestStatus.UNUSABLE
    assert 4 not in seen.verdicts


def test_predicted_pass_rates_are_kept(tmp_path):
    given = BARE["p/0"] | {"predicted_pass_rate": np.float64(0.25)}
    run = run_of(write_one_by_one({"p/0": given}, tmp_path / "votes.npz"), tmp_path / "run")
    assert read_trace(run).problems["p/0"].predicted_pass_rate == 0.25


@forms
def test_the_jobs_of_imported_runs_replay_them(recorded, tmp_path, write):
    file = write(exported(recorded.directory), tmp_path / "votes.npz")
    run = run_of(file, tmp_path / "run").rename(tmp_path / "moved")
    replayed = tmp_path / "replayed"
    assert main(["run", str(run / "job.yaml"), "--out", str(replayed)]) == 0
    one, other = summarise(run), summarise(replayed)
    assert one.spent == other.spent
    assert [problem.accuracy for problem in one.problems] == [
        problem.accuracy for problem in other.problems
    ]
    assert len((replayed / "picks.jsonl").read_text().splitlines()) == len(recorded.problems)


def test_a_replayed_run_with_unknown_costs_is_refused_a_cap_on_them(tmp_path, capsys):
    run = run_of(write_one_by_one(BARE, tmp_path / "votes.npz"), tmp_path / "run")
    job = yaml.safe_load((run / "job.yaml").read_text())
    assert job["cap"] == {"tests": 15}
    assert main(["run", str(run / "job.yaml"), "--out", str(tmp_path / "replayed")]) == 0
    for cap in ("tokens", "cpu_seconds", "gpu_seconds"):
        arguments = [
            "run",
            str(run / "job.yaml"),
            f"--cap.{cap.replace('_', '-')}",
            "100",
            "--out",
            str(tmp_path / cap),
        ]
        assert main(arguments) == 2
        assert f"cap.{cap} cannot be kept" in capsys.readouterr().err


def test_texts_that_stand_in_for_problems_are_its_own(tmp_path):
    run = run_of(write_one_by_one(BARE, tmp_path / "votes.npz"), tmp_path / "run")
    rows = [json.loads(line) for line in (run / "problems.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == list(BARE)


def test_what_is_no_such_file(capsys, tmp_path):
    out = tmp_path / "run"
    assert "No such file" in refused(capsys, tmp_path / "none.npz", out)
    np.save(tmp_path / "one.npy", np.zeros(3))
    assert "as numpy.savez writes it but" in refused(capsys, tmp_path / "one.npy", out)
    np.savez(tmp_path / "empty.npz")
    assert "at least one problem" in refused(capsys, tmp_path / "empty.npz", out)
    (tmp_path / "text.npz").write_text("votes")
    assert "pickle" not in refused(capsys, tmp_path / "text.npz", out)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_file_is_refused_in_one_sentence_or_still_good(capsys, tmp_path, seed):
    content = bytearray(write_one_by_one(BARE, tmp_path / "v.npz").read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(content), 8):
        content[place] = rng.integers(256)
    (tmp_path / "v.npz").write_bytes(content[: rng.integers(len(content) // 2, len(content) + 1)])
    if main(["import", "votes", str(tmp_path / "v.npz"), "--out", str(tmp_path / "run")]) == 2:
        assert capsys.readouterr().err.count("\n") == 1
        assert [path.name for path in tmp_path.iterdir()] == ["v.npz"]
    else:
        assert len(read_trace(tmp_path / "run").problems) > 0


def test_a_run_that_exists_is_not_touched(capsys, tmp_path):
    file = write_one_by_one(BARE, tmp_path / "votes.npz")
    run = run_of(file, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert main(["import", "votes", str(file), "--out", str(run)]) == 2
    assert "exists. Choose another --out" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before

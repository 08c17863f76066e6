"""Races in memory against those that a run holds."""

import numpy as np
import pytest
import yaml

from testbudget.analysis.summary import summarise
from testbudget.cli.main import main
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.simulation import eliminate, permuted_runs
from testbudget.traces.learning_curves import RecordedTests
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.tables import read_trace

CANDIDATES, TESTS = 30, 24
Z = 1.0


@pytest.fixture(scope="module")
def run(exporting, tmp_path_factory):
    """Problems with many wrong candidates that soon fall behind, and outputs that tell them apart."""
    folder = tmp_path_factory.mktemp("racing")
    rng = np.random.default_rng(0)
    problems = {}
    for number in range(4):
        correct = rng.random(CANDIDATES) < 0.3
        chance = np.where(correct, 0.8, 0.2)[:, np.newaxis]
        votes = (rng.random((CANDIDATES, TESTS)) < chance).astype(np.int8)
        votes[:, 5] = -1  # a test of no use
        outputs = np.where(correct[:, np.newaxis], 0, rng.integers(0, 4, (CANDIDATES, TESTS)))
        problems[f"p/{number}"] = {
            "votes": votes,
            "correct": correct,
            "outputs": outputs,
            "cpu_seconds": np.full(votes.shape, 0.25),
        }
    file = exporting.write_one_by_one(problems, folder / "votes.npz")
    assert main(["import", "votes", str(file), "--out", str(folder / "run")]) == 0
    return folder / "run"


def recordings_of(run):
    outputs_by_problem = read_outputs(run)
    return [
        RecordedTests.of(seen, seen.correct, outputs_by_problem.get(problem))
        for problem, seen in read_trace(run).problems.items()
    ]


@pytest.mark.parametrize("selection", ["majority", "consensus", "auto"])
def test_a_race_runs_what_a_run_with_racing_runs_and_picks_alike(run, tmp_path, selection):
    job = yaml.safe_load((run / "job.yaml").read_text())
    job |= {"selection": selection, "elimination": {"apply_to": "all", "z": Z}, "policy": {"name": "uniform"}}
    (run / "racing.yaml").write_text(yaml.safe_dump(job))
    assert main(["run", str(run / "racing.yaml"), "--out", str(tmp_path / "out")]) == 0
    real = summarise(tmp_path / "out")
    recordings, rule = recordings_of(run), selection_rule(selection)
    order = np.arange(TESTS)
    raced = [eliminate(recording, order, recording.evidence(order), rule, Z) for recording in recordings]
    executions = [one.executions[-1] for one in raced]
    assert executions == [problem.cost.executions for problem in real.problems]
    assert sum(executions) < 0.7 * 4 * CANDIDATES * (TESTS - 1)
    if selection != "auto":  # which also looks at the batch
        for recording, one, problem in zip(recordings, raced, real.problems, strict=True):
            assert recording.correct[rule.winners(one.evidence)].mean() == problem.accuracy


def test_nobody_falls_out_before_the_first_heat_ends(run):
    for recording in recordings_of(run):
        order = np.random.default_rng(1).permutation(TESTS)
        one = eliminate(recording, order, recording.evidence(order), selection_rule("majority"), Z)
        np.testing.assert_array_equal(one.pairs[:6], one.executions[:6])
        assert one.executions[-1] < one.pairs[-1]


def test_with_a_high_bar_a_race_is_no_race(run):
    (field,) = permuted_runs(
        recordings_of(run), [selection_rule("auto")], orders=2, counts=[3, TESTS], z=1e9, seed=0
    )
    np.testing.assert_array_equal(field.elimination.executions, field.elimination.pairs)
    np.testing.assert_array_equal(field.elimination.accuracy, field.accuracy[:, :, [3, TESTS]])

"""Elimination on recorded tests in memory, compared with elimination in a run."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from testbudget.analysis.permuted_runs import ColumnsOfTests, eliminate, permuted_runs
from testbudget.analysis.summary import summarise
from testbudget.cli.main import main
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes
from testbudget.traces.learning_curves import RecordedTests
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.tables import read_trace
from tests.runs.exporting import write_one_by_one

CANDIDATES, TESTS = 30, 24
Z = 1.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with recorded outputs and with many wrong candidates, which are eliminated early."""
    folder = tmp_path_factory.mktemp("elimination")
    rng = np.random.default_rng(0)
    problems = {}
    for number in range(4):
        correct = rng.random(CANDIDATES) < 0.3
        chance = np.where(correct, 0.8, 0.2)[:, np.newaxis]
        votes = (rng.random((CANDIDATES, TESTS)) < chance).astype(np.int8)
        votes[:, 5] = -1  # an unusable test
        outputs = np.where(correct[:, np.newaxis], 0, rng.integers(0, 4, (CANDIDATES, TESTS)))
        problems[f"p/{number}"] = {
            "votes": votes,
            "correct": correct,
            "outputs": outputs,
            "cpu_seconds": np.full(votes.shape, 0.25),
        }
    file = write_one_by_one(problems, folder / "votes.npz")
    assert main(["import", "votes", str(file), "--out", str(folder / "run")]) == 0
    return folder / "run"


def recordings_of(run):
    outputs_by_problem = read_outputs(run)
    return [
        RecordedTests.of(seen, seen.correct, outputs_by_problem.get(problem))
        for problem, seen in read_trace(run).problems.items()
    ]


@pytest.mark.parametrize("selection", ["majority", "consensus", "calibrated"])
def test_elimination_in_memory_executes_and_picks_as_a_run_does(run, tmp_path, selection):
    job = yaml.safe_load((run / "job.yaml").read_text())
    job |= {
        "selection": selection,
        "elimination": {"apply_to": "all", "z": Z},
        "policy": {"name": "uniform"},
    }
    (run / "elimination.yaml").write_text(yaml.safe_dump(job))
    assert main(["run", str(run / "elimination.yaml"), "--out", str(tmp_path / "out")]) == 0
    real = summarise(tmp_path / "out")
    recordings, rule = recordings_of(run), selection_rule(selection)
    order = np.arange(TESTS)
    columns = [
        ColumnsOfTests.of(recording, order, recording.merged_evidence(order), merge=True)
        for recording in recordings
    ]
    remaining = [eliminate(one, rule, Z) for one in columns]
    executions = [one.executions[-1] for one in remaining]
    assert executions == [problem.cost.executions for problem in real.problems]
    assert sum(executions) < 0.7 * 4 * CANDIDATES * (TESTS - 1)
    if selection != "calibrated":  # which also uses statistics of the batch
        for recording, its, one, problem in zip(recordings, columns, remaining, real.problems, strict=True):
            won = np.isin(its.column, rule.winners(one.evidence))
            assert recording.correct[won].mean() == problem.accuracy


def with_twins(recording):
    """The same with ten candidates three times over, twice as other programs and once as the same."""
    chosen = np.arange(CANDIDATES) % 10
    votes, outputs = recording.votes, recording.recorded_outputs
    assert outputs is not None
    return replace(
        recording,
        votes=Votes.from_matrix(votes.passed()[:, chosen], votes.run()[:, chosen]),
        recorded_outputs=replace(outputs, results=outputs.results[recording.programs][chosen]),
        programs=np.arange(CANDIDATES) % 20,
        correct=recording.correct[chosen],
    )


@pytest.mark.parametrize("selection", ["majority", "calibrated"])
def test_one_column_for_equal_candidates_gives_the_same_as_one_each(run, selection):
    rule = selection_rule(selection)
    for recording in map(with_twins, recordings_of(run)):
        order = np.random.default_rng(2).permutation(TESTS)
        each, merged = (
            ColumnsOfTests.of(recording, order, recording.merged_evidence(order), merge=merge)
            for merge in (False, True)
        )
        assert merged.evidence.votes.candidates < CANDIDATES == each.evidence.votes.candidates
        alone, together = eliminate(each, rule, Z), eliminate(merged, rule, Z)
        np.testing.assert_array_equal(together.executions, alone.executions)
        won = np.isin(merged.column, rule.winners(together.evidence))
        np.testing.assert_array_equal(np.flatnonzero(won), rule.winners(alone.evidence))


def test_no_candidate_is_eliminated_before_the_first_rung_ends(run):
    for recording in recordings_of(run):
        order = np.random.default_rng(1).permutation(TESTS)
        tests = ColumnsOfTests.of(recording, order, recording.merged_evidence(order), merge=True)
        one = eliminate(tests, selection_rule("majority"), Z)
        np.testing.assert_array_equal(one.pairs[:6], one.executions[:6])
        assert one.executions[-1] < one.pairs[-1]


def test_a_high_threshold_eliminates_no_candidate(run):
    (runs,) = permuted_runs(
        recordings_of(run), [selection_rule("calibrated")], permutations=2, counts=[3, TESTS], z=1e9, seed=0
    )
    np.testing.assert_array_equal(runs.elimination.executions, runs.elimination.pairs)
    np.testing.assert_array_equal(runs.elimination.accuracy, runs.accuracy[:, :, [3, TESTS]])

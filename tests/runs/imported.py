"""An imported run: problems of very different difficulty, and tests that are mostly correct."""

import dataclasses
from pathlib import Path

import numpy as np

from testbudget.scheduler.imported_run import write_imported
from testbudget.traces.hidden_states import HiddenStates, Provenance
from testbudget.traces.tables import read_trace, write_trace
from testbudget.traces.votes_file import read_votes

PROBLEMS, CANDIDATES, TESTS = 20, 6, 7


def vote_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays for ``testbudget import votes``."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for k in range(PROBLEMS):
        correct = rng.random(CANDIDATES) < k / PROBLEMS
        good = rng.random(TESTS) < 0.7
        passed = np.where(good, correct[:, np.newaxis], rng.random((CANDIDATES, TESTS)) < 0.4)
        arrays[f"votes/p/{k}"] = passed.astype(np.int8)
        arrays[f"correct/p/{k}"] = correct.astype(np.int8)
        # Wrong candidates agree and correct ones do not, so agreement alone picks wrong candidates.
        recorded_outputs = np.where(correct, 1 + np.arange(CANDIDATES), 0)
        arrays[f"outputs/p/{k}"] = np.broadcast_to(recorded_outputs[:, np.newaxis], passed.shape)
        arrays[f"tokens/p/{k}"] = rng.integers(10, 100, TESTS)
    return arrays


def write_imported_votes(folder: Path) -> Path:
    """Write the run to a folder and return its directory."""
    np.savez(folder / "votes.npz", **vote_arrays())
    write_imported(read_votes(folder / "votes.npz"), folder / "run")
    return folder / "run"


def write_with_states(run: Path, directory: Path) -> Path:
    """Copy the run to a directory, with hidden states that predict pass rates a little."""
    trace = read_trace(run)
    for file in run.iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    rates = np.array([seen.correct.mean() for seen in trace.problems.values()])
    states = np.random.default_rng(1).normal(size=(PROBLEMS, 1, 8)) + 2 * rates[:, np.newaxis, np.newaxis]
    provenance = Provenance("policy-model", "ab" * 32, 6, "transformers", "bfloat16")
    hidden_states = HiddenStates((3,), states.astype(np.float16), provenance=provenance)
    write_trace(dataclasses.replace(trace, directory=directory, hidden_states=hidden_states))
    return directory

"""Finished runs as arrays for ``testbudget import votes``, in both forms of the file."""

from pathlib import Path

import numpy as np

from testbudget.rewards.outputs import NO_RESULT, CallEnding
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import DistinctPrograms
from testbudget.traces.tables import read_trace


def exported(run: Path, *, outputs: bool = True) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of each problem by name."""
    outputs_by_problem = read_outputs(run) if outputs else {}
    problems = {}
    for problem, seen in read_trace(run).problems.items():
        programs = DistinctPrograms.among(seen.candidates).inverse
        shape = (len(programs), len(seen.tests))
        votes, seconds = np.full(shape, -1, np.int8), np.zeros(shape, np.float32)
        column = {test: position for position, test in enumerate(sorted(seen.tests))}
        for test, record in seen.verdicts.items():
            cast = np.where(record.verdicts == NOT_RUN, -1, record.verdicts == Verdict.PASSED)
            votes[:, column[test]] = cast[programs]
            seconds[:, column[test]] = record.cpu_seconds[programs]
        written = [seen.tests[test] for test in column]
        problems[problem] = {
            "votes": votes,
            "correct": seen.correct,
            "program": programs,
            "tokens": np.array([test.tokens for test in written], np.int32),
            "gpu_seconds": np.array([test.gpu_seconds for test in written]),
            "cpu_seconds": seconds,
        }
        if problem in outputs_by_problem:
            problems[problem] |= _of_outputs(outputs_by_problem[problem], programs, column)
    return problems


def _of_outputs(recorded_outputs, programs, column):
    numbers = np.array(
        [_number(position, output.ending) for position, output in enumerate(recorded_outputs.outputs)]
        + [-1]
    )
    assert NO_RESULT == -1  # index of the last number
    _, inputs = np.unique([item.digest for item in recorded_outputs.inputs], return_inverse=True)
    return {
        "outputs": numbers[recorded_outputs.results][programs].astype(np.int32),
        "input_test": np.array(
            [-1 if item.test is None else column[item.test] for item in recorded_outputs.inputs]
        ),
        "input": inputs,
    }


def _number(position: int, ending: CallEnding) -> int:
    if ending is CallEnding.OPAQUE:
        return -1
    return position if ending is CallEnding.RETURNED else -2 - position


def write_one_by_one(problems, path: Path) -> Path:
    """Write the form with one array for each problem and name."""
    arrays = {
        f"{name}/{problem}": array for problem, given in problems.items() for name, array in given.items()
    }
    np.savez_compressed(path, **arrays)
    return path


def write_packed(problems, path: Path) -> Path:
    """Write the form in which the arrays of all problems are joined."""
    given = list(problems.values())
    arrays = {
        name: np.concatenate([np.ravel(arrays[name]) for arrays in given])
        for name in given[0]
        if name != "votes"
    }
    for name, lowest in (("votes", 1), ("run", 0)):
        bits = [np.packbits(arrays["votes"] >= lowest) for arrays in given]
        arrays[name] = np.concatenate(bits)
        arrays["offsets"] = np.cumsum([0, *map(len, bits)])
    arrays["candidates"], arrays["tests"] = np.array([arrays["votes"].shape for arrays in given]).T
    if "outputs" in given[0]:
        arrays["inputs"] = np.array([arrays["outputs"].shape[1] for arrays in given])
    np.savez_compressed(path, ids=np.array(list(problems)), **arrays)
    return path

"""Imported votes as a finished run.

Such a run holds placeholders instead of texts. Two placeholders are equal if what they stand for is equal.
The run can be compared, tuned on, reported and read by the recorded back end. It cannot be re-executed, and
no model can be fitted on its texts.
"""

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import NO_RESULT, CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.rewards.problem import NOT_RUN, Problem, Verdict
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_file import save_job
from testbudget.scheduler.sections.cap import CapSection
from testbudget.scheduler.sections.problems import ProblemsSection
from testbudget.scheduler.sections.programs import CandidatesSection, TestsSection
from testbudget.traces.files import path_beside, whole_directory
from testbudget.traces.output_tables import write_outputs
from testbudget.traces.records import (
    CandidateRecord,
    DistinctPrograms,
    TestRecord,
    TestStatus,
    VerdictRecord,
)
from testbudget.traces.tables import write_trace
from testbudget.traces.trace import ProblemTrace, Trace
from testbudget.traces.votes_file import NOTHING, ImportedVotes

_ENTRY_POINT = "solution"
_PROMPT = "# The text of problem {problem!r} was not imported.\n"
_TEST = """\
import unittest

class Test(unittest.TestCase):
    def test(self):
        self.assertTrue({entry_point}({index}))
"""


def write_imported(problems: Iterable[ImportedVotes], directory: Path) -> int:
    """Write a finished run, whole or not at all, with a job file that reads it.

    Args:
        problems: the imported votes of each problem, in the order of the run.
        directory: run directory; must not exist.

    Returns:
        The number of problems.

    Raises:
        UserError: the directory exists or cannot be made; also errors that the iterable raises.
    """
    if directory.exists():
        raise UserError(f"{directory} exists. Choose another --out.")
    with ExitStack() as stack:
        try:
            partial = stack.enter_context(whole_directory(directory))
        except OSError as error:
            raise UserError(
                f"--out must be a directory that can be made but {path_beside(directory)}: {error.strerror}"
            ) from None
        seen: dict[str, ProblemTrace] = {}
        outputs_by_problem: list[tuple[str, RecordedOutputs]] = []
        for imported in problems:
            seen[imported.problem] = _problem(imported)
            if len(imported.inputs):
                outputs_by_problem.append((imported.problem, _recorded_outputs(imported)))
        write_trace(Trace(partial, seen, None, "problems.jsonl"))
        write_outputs(outputs_by_problem, partial)
        lines = [_placeholder(problem) for problem in seen]
        fields = ("id", "prompt", "entry_point")
        with (partial / "problems.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(
                json.dumps({name: getattr(line, name) for name in fields}) + "\n" for line in lines
            )
        save_job(_job(sum(len(of_problem.tests) for of_problem in seen.values())), partial / "job.yaml")
    return len(seen)


def has_no_text(problem: Problem) -> bool:
    """Return whether the problem is of an imported run: its programs and tests have no texts either."""
    return problem.prompt == _placeholder(problem.id).prompt


def _placeholder(problem: str) -> Problem:
    return Problem(problem, _PROMPT.format(problem=problem), _ENTRY_POINT)


def _job(tests: int) -> Job:
    """A job that reads the whole run; its paths are relative, so that the run can be moved."""
    return Job(
        problems=ProblemsSection(source="problems.jsonl"),
        candidates=CandidatesSection(from_run=Path()),
        tests=TestsSection(from_run=Path()),
        cap=CapSection(tests=max(tests, 1)),
        backend="recorded",
    )


def _problem(imported: ImportedVotes) -> ProblemTrace:
    candidates = [
        CandidateRecord(f"# Program {program} was not imported.\n", False, 0, float("nan"))
        for program in imported.programs.tolist()
    ]
    programs = DistinctPrograms.among(candidates).representatives
    cast = imported.votes[programs].T
    verdicts = np.where(cast == 1, np.uint8(Verdict.PASSED), np.uint8(Verdict.FAILED))
    verdicts[cast == NOTHING] = NOT_RUN
    seconds = imported.cpu_seconds[programs].T.astype(np.float32)
    seconds[(cast == NOTHING) & np.isnan(seconds)] = 0  # pairs that were not run took no time
    same_process = np.zeros(len(programs), np.bool_)
    tests, records = {}, {}
    for index, row in enumerate(verdicts):
        usable = bool((row != NOT_RUN).any())
        tests[index] = TestRecord(
            TestStatus.USABLE if usable else TestStatus.UNUSABLE,
            _TEST.format(entry_point=_ENTRY_POINT, index=index) if usable else "",
            index,
            imported.tokens[index].item(),
            imported.gpu_seconds[index].item(),
        )
        if usable:
            records[index] = VerdictRecord(row, seconds[index], same_process)
    return ProblemTrace(
        _placeholder(imported.problem).content_hash,
        imported.predicted_pass_rate,
        candidates,
        imported.correct,
        tests,
        records,
    )


def _recorded_outputs(imported: ImportedVotes) -> RecordedOutputs:
    """Recorded outputs of the distinct programs. Inputs and outputs are represented by their numbers."""
    order = np.argsort(imported.input_tests, kind="stable")  # the calls of one test are adjacent
    programs = np.unique(imported.programs, return_index=True)[1]
    given = imported.outputs[np.sort(programs)][:, order]
    numbers, results = np.unique(given, return_inverse=True)
    known = numbers != NOTHING
    renumbered = np.where(known, np.cumsum(known) - 1, NO_RESULT).astype(np.int32)
    return RecordedOutputs(
        tuple(
            RecordedCall(None if test == NOTHING else test, _ENTRY_POINT, f"[[{number}], {{}}]", number)
            for test, number in zip(
                imported.input_tests[order].tolist(),
                imported.inputs[order].tolist(),
                strict=True,
            )
        ),
        tuple(_output(number) for number in numbers[known].tolist()),
        renumbered[results].reshape(given.shape),
    )


def _output(number: int) -> CallResult:
    if number >= 0:
        return CallResult(CallEnding.RETURNED, number, f"output {number}")
    return CallResult(CallEnding.RAISED, -number, f"no value ({number})")

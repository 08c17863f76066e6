"""Outcomes from elsewhere as a finished run.

Such a run holds no programs: in place of each stands a text that only tells it from the others, and so it
is with tests and problems. It can be compared, tuned on, reported and replayed, but not executed again, and
its texts teach nothing.
"""

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import NO_RESULT, CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.rewards.problem import NOT_RUN, Problem, Verdict
from testbudget.scheduler.job import CandidatesSection, CapSection, Job, ProblemsSection, TestsSection
from testbudget.scheduler.job_file import save_job
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
    """Writes a finished run, whole or not at all, with a job file that replays it.

    Args:
        problems: in the order wanted.
        directory: of the run; must not exist.

    Returns:
        The number of problems.

    Raises:
        UserError: the directory exists or cannot be made, or whatever reading the problems raises.
    """
    if directory.exists():
        raise UserError(f"--out must not exist yet but {directory} does")
    with ExitStack() as stack:
        try:
            partial = stack.enter_context(whole_directory(directory))
        except OSError as error:
            raise UserError(
                f"--out must be a directory that can be made but {path_beside(directory)}: {error.strerror}"
            ) from None
        seen: dict[str, ProblemTrace] = {}
        outputs_by_problem: list[tuple[str, RecordedOutputs]] = []
        for outcomes in problems:
            seen[outcomes.problem] = _problem(outcomes)
            if len(outcomes.inputs):
                outputs_by_problem.append((outcomes.problem, _behaviour(outcomes)))
        write_trace(Trace(partial, seen, None, "problems.jsonl"))
        write_outputs(outputs_by_problem, partial)
        lines = [_stand_in(problem) for problem in seen]
        fields = ("id", "prompt", "entry_point")
        with (partial / "problems.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(
                json.dumps({name: getattr(line, name) for name in fields}) + "\n" for line in lines
            )
        save_job(_job(sum(len(of_problem.tests) for of_problem in seen.values())), partial / "job.yaml")
    return len(seen)


def _stand_in(problem: str) -> Problem:
    return Problem(problem, _PROMPT.format(problem=problem), _ENTRY_POINT)


def _job(tests: int) -> Job:
    """Replays all of the run; its paths are relative, so that the run can be moved."""
    return Job(
        problems=ProblemsSection(source="problems.jsonl"),
        candidates=CandidatesSection(from_run=Path()),
        tests=TestsSection(from_run=Path()),
        cap=CapSection(tests=max(tests, 1)),
        backend="replay",
    )


def _problem(outcomes: ImportedVotes) -> ProblemTrace:
    candidates = [
        CandidateRecord(f"# Program {program} was not imported.\n", False, 0, float("nan"))
        for program in outcomes.programs.tolist()
    ]
    programs = DistinctPrograms.among(candidates).representatives
    cast = outcomes.votes[programs].T
    verdicts = np.where(cast == 1, np.uint8(Verdict.PASSED), np.uint8(Verdict.FAILED))
    verdicts[cast == NOTHING] = NOT_RUN
    seconds = outcomes.cpu_seconds[programs].T.astype(np.float32)
    seconds[(cast == NOTHING) & np.isnan(seconds)] = 0  # what did not run took no time
    alone = np.zeros(len(programs), np.bool_)
    tests, records = {}, {}
    for index, row in enumerate(verdicts):
        usable = bool((row != NOT_RUN).any())
        tests[index] = TestRecord(
            TestStatus.USABLE if usable else TestStatus.UNUSABLE,
            _TEST.format(entry_point=_ENTRY_POINT, index=index) if usable else "",
            index,
            outcomes.tokens[index].item(),
            outcomes.gpu_seconds[index].item(),
        )
        if usable:
            records[index] = VerdictRecord(row, seconds[index], alone)
    return ProblemTrace(
        _stand_in(outcomes.problem).content_hash,
        outcomes.predicted_pass_rate,
        candidates,
        outcomes.correct,
        tests,
        records,
    )


def _behaviour(outcomes: ImportedVotes) -> RecordedOutputs:
    """What the distinct programs gave back. Inputs and outputs are known by their numbers alone."""
    order = np.argsort(outcomes.input_tests, kind="stable")  # the calls of one test lie together
    programs = np.unique(outcomes.programs, return_index=True)[1]
    given = outcomes.outputs[np.sort(programs)][:, order]
    numbers, results = np.unique(given, return_inverse=True)
    known = numbers != NOTHING
    renumbered = np.where(known, np.cumsum(known) - 1, NO_RESULT).astype(np.int32)
    return RecordedOutputs(
        tuple(
            RecordedCall(None if test == NOTHING else test, _ENTRY_POINT, f"[[{number}], {{}}]", number)
            for test, number in zip(
                outcomes.input_tests[order].tolist(), outcomes.inputs[order].tolist(), strict=True
            )
        ),
        tuple(_output(number) for number in numbers[known].tolist()),
        renumbered[results].reshape(given.shape),
    )


def _output(number: int) -> CallResult:
    if number >= 0:
        return CallResult(CallEnding.RETURNED, number, f"output {number}")
    return CallResult(CallEnding.RAISED, -number, f"no value ({number})")

"""Tests of finished runs with their measured quality: who passed them of right and wrong candidates."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.distill.settings import DistillSettings
from testbudget.analysis.distill.source_run import SourceRun
from testbudget.executors.generation.prompts import AnswerPurpose, PromptTemplate, prompt_template
from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.rewards.equivalence import equivalence_groups
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import NO_PROGRAM, NOT_RUN, Problem, Verdict
from testbudget.traces.records import ProblemCandidates, TestRecord, TestStatus, VerdictRecord
from testbudget.traces.trace import ProblemTrace

DEFAULT_TEMPLATE = "coderm"
"""Prompt of tests whose run names none, such as tests of a file."""


@dataclass(frozen=True)
class JudgedTest:
    """A generated test with its measured quality.

    Attributes:
        index: index of the test among those of its problem.
        record: the test as it was recorded.
        executed: True if it was run on candidates.
        right_passed: share of the right programs that passed it, in [0, 1]; NaN without any.
        wrong_rejected: share of the wrong programs that did not pass it, in [0, 1]; NaN without any.
        item: its problem with the candidates.
        writer: reads answers, and makes prompts anew.
    """

    index: int
    record: TestRecord
    executed: bool
    right_passed: float
    wrong_rejected: float
    item: ProblemCandidates = field(repr=False)
    writer: UnitTestGenerator = field(repr=False)

    @cached_property
    def prompt(self) -> str:
        """Prompt that it answers."""
        (request,) = self.writer.requests(self.item, [self.index])
        return request.prompt.text

    @cached_property
    def code(self) -> str | None:
        """The test alone; None if the answer holds none, or none by today's rules of reading.

        Reading it takes milliseconds.
        """
        if self.record.status is TestStatus.UNUSABLE:
            return None
        try:
            return self.writer.unit_test(self.item, self.index, self.record).code
        except ValueError:
            return None

    @property
    def quality(self) -> float:
        """Youden's index ``right_passed + wrong_rejected - 1``, in [-1, 1]; 0 for a test without use.

        NaN where one of the two is unknown.
        """
        return self.right_passed + self.wrong_rejected - 1


@dataclass(frozen=True, slots=True, eq=False)
class JudgedProblem:
    """A problem of a run with its tests and what they are judged by.

    Attributes:
        run: name of the run.
        problem: problem with its texts.
        judged_by: ``truth`` or ``groups``.
        probability: probability that the candidates called right are right: 1 by ground truth, else the
            p_correct of the pick.
        programs: texts of the distinct programs.
        right, wrong: bool (programs,); a program can be neither.
        passed: number of tests that each program passed, int64 (programs,).
        tests: tests in the order of their indices.
    """

    run: str
    problem: Problem
    judged_by: str
    probability: float
    programs: Sequence[str]
    right: NDArray[np.bool_]
    wrong: NDArray[np.bool_]
    passed: NDArray[np.int64]
    tests: Sequence[JudgedTest]


def judged_problems(
    run: SourceRun, problems: Sequence[Problem], settings: DistillSettings
) -> Iterator[JudgedProblem]:
    """Judge the tests of a run, problem by problem; problems without candidates are left out.

    Args:
        run: the run.
        problems: its problems with their texts.
        settings: judge, template and least probability.

    Raises:
        UserError: ground truth is asked for and a problem has none, or the template asks for no test.
    """
    writer = UnitTestGenerator(*_templates(run, settings))
    for problem in problems:
        seen = run.trace.problem(problem)
        if not seen.candidates:
            continue
        if settings.judged_by == "truth" and seen.correct is None:
            raise UserError(
                f"{run.directory} must say which candidates are correct but not of {problem.id}: "
                "leave --judged-by out, or give it as groups"
            )
        item = ProblemCandidates.of(problem, seen.candidates)
        if seen.correct is not None and settings.judged_by != "groups":
            right = seen.correct[item.distinct.representatives]
            judged_by, probability = "truth", 1.0
        else:
            pick = run.picks[problem.id]
            groups = equivalence_groups(pick.evidence)
            right = (groups == groups[pick.candidate])[item.distinct.representatives]
            judged_by, probability = "groups", pick.p_correct
        yield _judged(run.name, item, seen, right, judged_by, probability, writer)


def _judged(
    run: str,
    item: ProblemCandidates,
    seen: ProblemTrace,
    right: NDArray[np.bool_],
    judged_by: str,
    probability: float,
    writer: UnitTestGenerator,
) -> JudgedProblem:
    representatives = item.distinct.representatives.tolist()
    has_program = np.array([NO_PROGRAM not in seen.candidates[first].notes for first in representatives])
    right, wrong = right & has_program, ~right & has_program
    passed = np.zeros(len(right), np.int64)
    for record in seen.verdicts.values():
        passed += record.verdicts == Verdict.PASSED
    tests = [
        _judged_test(index, record, seen.verdicts.get(index), item, right, wrong, writer)
        for index, record in sorted(seen.tests.items())
    ]
    programs = [program.code for program in item.programs]
    return JudgedProblem(run, item.problem, judged_by, probability, programs, right, wrong, passed, tests)


def _judged_test(
    index: int,
    record: TestRecord,
    verdicts: VerdictRecord | None,
    item: ProblemCandidates,
    right: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
    writer: UnitTestGenerator,
) -> JudgedTest:
    right_passed = wrong_rejected = math.nan
    if verdicts is not None:
        passed, run = verdicts.verdicts == Verdict.PASSED, verdicts.verdicts != NOT_RUN
        right_passed = _share(passed, right & run)
        wrong_rejected = _share(~passed, wrong & run)
    return JudgedTest(index, record, verdicts is not None, right_passed, wrong_rejected, item, writer)


def _share(which: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(which[among].mean()) if among.any() else math.nan


def _templates(run: SourceRun, settings: DistillSettings) -> tuple[PromptTemplate, int, PromptTemplate]:
    """Template of tests, seed of the run, and template of tests of programs that read standard input."""
    tests = run.job.tests
    name = settings.template or (tests.model.template if tests.model else DEFAULT_TEMPLATE)
    template = _test_template(name)
    of_programs = template
    if template.purpose is not AnswerPurpose.STDIN_TEST:
        of_programs = _test_template(tests.stdin_template or "stdin")
    return template, run.job.seed, of_programs


def _test_template(name: str) -> PromptTemplate:
    template = prompt_template(name if "/" not in name else str(Path(name)))
    if template.purpose not in (AnswerPurpose.UNIT_TEST, AnswerPurpose.STDIN_TEST) or not template.chat:
        raise UserError(
            f"training data need a template of tests in the form of a chat but {template.name!r} is none: "
            "name one with --template"
        )
    return template

"""Tests of a file as a recording, from which they are granted in their order."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbudget.executors.generation.extraction.usable_tests import reason_to_reject
from testbudget.rewards.errors import UserError, fields_of
from testbudget.rewards.problem import Problem
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.traces.program_rows import NO_NAMES
from testbudget.traces.records import TestRecord, TestStatus
from testbudget.traces.rows.mistakes import log_warnings
from testbudget.traces.tests_file import TestFile, TestRow, read_test_file
from testbudget.traces.trace import ProblemTrace, Trace


def given_tests(
    path: Path, problems: Sequence[Problem], store: EvidenceStore, names: Mapping[str, str] = NO_NAMES
) -> Trace:
    """Tests of a file as the recording of a run without candidates. Each costs a test and no tokens.

    Args:
        path: file of tests.
        problems: problems of the run.
        store: records of the run so far, whose tests must be those of the file.
        names: column of the file by field, where they differ.

    Raises:
        UserError: the file cannot be read, holds no test of the problems, or has changed since the run
            began.
    """
    with fields_of("tests"):
        read = read_test_file(path, problems, names)
    without = [problem.id for problem in problems if not read.tests[problem.id]]
    warnings = [*read.warnings]
    if without:
        warnings.append(f"{path} has no test of {len(without)} problems, such as {without[0]}")
    warnings += unusable_tests(path, problems, read)
    log_warnings(warnings, f"testbudget problems SOURCE --json --tests {path}")
    traces = {problem.id: _trace(problem, read.tests[problem.id]) for problem in problems}
    for problem, trace in traces.items():
        for index, record in store.tests[problem].items():
            if index not in trace.tests or trace.tests[index].text != record.text:
                raise UserError(
                    f"{path} must be as the run began with it but test {index} of {problem} differs"
                )
    return Trace(path, traces, None)


def unusable_tests(path: Path, problems: Sequence[Problem], read: TestFile) -> list[str]:
    """Sentence on the tests of a file that no candidate can pass; none if there is no such test.

    Args:
        path: file of tests.
        problems: problems of the tests.
        read: what was read from the file.

    Raises:
        UserError: there is no other test.
    """
    count, first = 0, ""
    for problem in problems:
        for row in read.tests[problem.id]:
            test = row.test
            reason = reason_to_reject(test.code, test.kind, problem.language, problem.entry_point)
            if reason is not None:
                count += 1
                first = first or f"that of {row.place} {reason}"
    total = sum(map(len, read.tests.values()))
    if not count:
        return []
    if count == total:
        raise UserError(f"{path} must hold tests that a candidate can pass but has none: {first}")
    return [
        f"{path} has {count} of {total} tests that no candidate can pass, which count against all: {first}"
    ]


def kept_tests(recording: Trace | None, *, with_verdicts: bool) -> Mapping[str, Mapping[int, TestRecord]]:
    """Tests of a recording that are taken as they are, by problem and index.

    Args:
        recording: finished run that tests are taken from.
        with_verdicts: True if verdicts are taken from it, too. Then all tests are taken as they are: an
            answer that was not usable has no verdicts, also if it would be read otherwise today. False for
            the tests that were given as code.
    """
    traces = recording.problems if recording else {}
    given = {
        problem: {
            index: record
            for index, record in trace.tests.items()
            if with_verdicts or record.kind is not None
        }
        for problem, trace in traces.items()
    }
    return {problem: tests for problem, tests in given.items() if tests}


def _trace(problem: Problem, rows: Sequence[TestRow]) -> ProblemTrace:
    tests = {
        row.test.index: TestRecord(
            TestStatus.USABLE,
            row.test.code,
            row.test.seed,
            0.0,
            0.0,
            row.test.kind,
            json.dumps(dict(row.metadata), ensure_ascii=False, default=str) if row.metadata else "",
        )
        for row in rows
    }
    return ProblemTrace(problem.content_hash, float("nan"), [], None, tests, {})

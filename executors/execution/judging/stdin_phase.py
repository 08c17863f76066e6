"""Stdin phase: candidates run as programs that read standard input, and what they print is compared.

Each case of each pair has a process of its own, forked from the fork server of candidates. It gets the
candidate and the input, and never the expected output. Its output is read and compared in the server
process after it has ended.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbudget.executors.execution.judging import work
from testbudget.executors.execution.judging.checker import Checker
from testbudget.executors.execution.judging.engine_reasons import cpu_limit_reason, reason_of_end
from testbudget.executors.execution.judging.loopers import Loopers, StoppedProcess
from testbudget.executors.execution.judging.pair_table import Pair, PairTable, TextTable
from testbudget.executors.execution.judging.program_cache import CompiledProgram, ProgramCache
from testbudget.executors.execution.judging.program_files import (
    MAX_OUTPUT_BYTES,
    ProgramFiles,
    make_artefact,
)
from testbudget.executors.execution.languages.base import Language, Source
from testbudget.executors.execution.languages.messages import (
    LONGEST_RESULT,
    OPAQUE_RESULT,
    ResultKind,
    bounded_result,
)
from testbudget.executors.execution.languages.program_runs import ProgramEnd
from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.live_process import LimitKind, ProcessEnd
from testbudget.executors.execution.processes.process import Work
from testbudget.executors.execution.processes.result_buffer import StepResult
from testbudget.executors.execution.processes.supervisor import Supervisor
from testbudget.executors.execution.stdin_calls import stdin_call
from testbudget.executors.execution.values import LONGEST_TEXT
from testbudget.rewards.comparison import Comparison
from testbudget.rewards.printed_text import first_difference, normal_text, texts_agree
from testbudget.rewards.problem import TestKind, Verdict
from testbudget.rewards.stdin_case import StdinCase
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

_MAX_CHARACTERS = 64 << 20  # of results for a tolerance; beyond, long ones are dropped
_PASSED = VerdictReason("The output of the program is the expected one.")
_NOTHING_EXPECTED = VerdictReason("The test expects no output, so it tests nothing.")

_Found = tuple[Verdict, VerdictReason | None]


@dataclass(slots=True)
class _PairRun:
    """Progress of a pair: the number of its cases that have been run, and the verdict so far."""

    case: int = 0
    found: _Found | None = None
    files: ProgramFiles | None = None  # of a stopped process


@dataclass(slots=True)
class StdinPhase:
    """Stdin phase of a block.

    Attributes:
        language: language of the candidates.
        supervisor: watches the processes.
        fork_server: source of the candidate processes.
        program_cache: compiles those programs again that it has dropped.
        candidates: text of each candidate.
        entry_point: name that the programs were compiled with.
        programs: candidates that compile, by position in the block.
        cases: cases of each test of kind ``STDIN``, by position in the block.
        comparison: comparison of outputs.
        checker: runs the checker of the comparison, if it has one.
        pair_table: receives verdicts, calls and costs.
        calls, results: texts of all calls and of all results.
        loopers: receives processes that have reached their first limit.
        record: True to go on after a case that is not passed, as its later outputs are evidence.
    """

    language: Language
    supervisor: Supervisor
    fork_server: ForkServer
    program_cache: ProgramCache
    candidates: Sequence[str]
    entry_point: str | None
    programs: Mapping[int, CompiledProgram]
    cases: Mapping[int, Sequence[StdinCase]]
    comparison: Comparison
    checker: Checker
    pair_table: PairTable
    calls: TextTable
    results: TextTable
    loopers: Loopers
    record: bool
    _runs: dict[Pair, _PairRun] = field(default_factory=dict)
    _artefact: tuple[int, int] | None = None  # candidate and descriptor

    def judge(self, pair: Pair, *, full: bool) -> None:
        """Run the cases of a pair and set its verdict, or mark it as slow.

        Args:
            pair: an open pair.
            full: True to let it reach its full limit.
        """
        run = self._runs.setdefault(pair, _PairRun())
        cases = self.cases[pair[1]]
        while run.case < len(cases) and (run.found is None or self.record):
            case = cases[run.case]
            ended = self._run(pair, run, case, full=full)
            if ended is None:
                return
            end, files = ended
            found = self._verdict(pair, case, end, files)
            files.close()
            if found[0] != Verdict.PASSED and run.found is None:
                run.found = found if len(cases) == 1 else _of_case(found, run.case)
            run.case += 1
            if end.limit is not None:
                break
        del self._runs[pair]
        self.pair_table.close([pair], *(run.found or (Verdict.PASSED, _PASSED)))

    def close(self) -> None:
        """Give up the files that are still open."""
        for run in self._runs.values():
            if run.files is not None:
                run.files.close()
        if self._artefact is not None:
            os.close(self._artefact[1])
        self._runs, self._artefact = {}, None

    def _run(
        self, pair: Pair, run: _PairRun, case: StdinCase, *, full: bool
    ) -> tuple[ProcessEnd, ProgramFiles] | None:
        """End and files of a run; None if the pair was closed or is slow."""
        looper = self.loopers.take(pair)
        if looper is not None and run.files is not None:
            files, run.files = run.files, None
            looper.process.resume()
            limit = self.supervisor.watch(looper.process)
            (ended,) = self.supervisor.end(looper.process, limit=limit)
            rest = ended._replace(
                steps=[StepResult([], True, 0.0, 0.0)],
                cpu_seconds=max(0.0, ended.cpu_seconds - looper.cpu_seconds),
                wall_seconds=max(0.0, ended.wall_seconds - looper.wall_seconds),
            )
            self.pair_table.charge([pair], rest)
            return ended, files
        if run.files is not None:
            run.files.close()
            run.files = None
        cpu_seconds = self.pair_table.cpu_limit(pair[0])
        if cpu_seconds == 0:
            self.pair_table.close([pair], Verdict.TIMED_OUT, cpu_limit_reason(self.supervisor.limits))
            return None
        files = ProgramFiles(case.stdin)
        descriptors = (*files.descriptors, self._artefact_of(pair[0]))
        process = self.fork_server.start(Work(work.run_program(), 1, cpu_seconds, descriptors=descriptors))
        first_limit = math.inf if full else self.pair_table.first_limit(pair[1])
        limit = self.supervisor.watch(process, first_limit=None if full else lambda _: first_limit)
        if limit is LimitKind.FIRST:
            process.stop()
            so_far = process.so_far(limit)
            self.pair_table.charge([pair], so_far)
            self.pair_table.mark_slow(pair, self.pair_table[pair].cpu_seconds)
            run.files = files
            self.loopers.keep(pair, StoppedProcess(process, 0, so_far.cpu_seconds, so_far.wall_seconds))
            self._close_files_of_ended()
            return None
        (ended,) = self.supervisor.end(process, limit=limit)
        self.pair_table.charge([pair], ended)
        if limit is None:
            self.pair_table.record_finished(pair[1], ended.cpu_seconds)
        return ended, files

    def _close_files_of_ended(self) -> None:
        """Close the files of stopped processes that were not kept; the case is run afresh when wanted."""
        for pair, run in self._runs.items():
            if run.files is not None and pair not in self.loopers:
                run.files.close()
                run.files = None

    def _artefact_of(self, candidate: int) -> int:
        """Descriptor of the candidate's artefact; that of another candidate is closed."""
        if self._artefact is not None and self._artefact[0] != candidate:
            os.close(self._artefact[1])
            self._artefact = None
        if self._artefact is None:
            self._artefact = candidate, make_artefact(self._text_of(candidate))
        return self._artefact[1]

    def _text_of(self, candidate: int) -> bytes:
        """Content of a candidate's artefact.

        Raises:
            OSError: it was dropped, and the candidate does not compile any more.
        """
        program = self.programs[candidate]
        if not program.dropped:
            return program.text
        source = Source(self.candidates[candidate], TestKind.STDIN)
        (compiled,) = self.program_cache.compiled([source], self.entry_point)
        if isinstance(compiled, VerdictReason):
            raise OSError("a program that has been compiled does not compile again")
        return compiled.text

    def _verdict(self, pair: Pair, case: StdinCase, ended: ProcessEnd, files: ProgramFiles) -> _Found:
        """Verdict on a run that has ended."""
        self.pair_table[pair].loaded = True
        failure = self._failure(ended, files)
        if failure is not None:
            self._record(pair, case, _result_of(*failure))
            return failure
        given = files.output()
        if self.record:
            self._record(pair, case, [ResultKind.RETURNED, normal_text(self.comparison, given)])
        return self._compared(pair, case, given)

    def _record(self, pair: Pair, case: StdinCase, result: list[Any]) -> None:
        """Record a run as a call with a result."""
        if not self.record:
            return
        call = self.calls.position(stdin_call(case.stdin))
        self.pair_table[pair].calls.append((call, self.results.position(self._stored(json.dumps(result)))))

    def _stored(self, text: str) -> str:
        """Text that is kept of a result until the block is answered, as candidates may print much."""
        if not self.comparison.has_tolerance or len(text) > LONGEST_TEXT:
            return bounded_result(text)
        too_much = len(text) > LONGEST_RESULT and self.results.characters > _MAX_CHARACTERS
        return OPAQUE_RESULT if too_much else text

    def _failure(self, ended: ProcessEnd, files: ProgramFiles) -> _Found | None:
        """Verdict on a run that did not end as it should; None if it did."""
        limits = self.supervisor.limits
        if ended.limit is not None:
            return reason_of_end(ended, limits)
        most = min(MAX_OUTPUT_BYTES, limits.file_mib << 20)
        if files.output_bytes() >= most:
            limit = f"{most >> 20} MiB of output"
            return Verdict.ERRORED, VerdictReason(
                "The program printed more than its limit.", {DetailName.LIMIT: limit}
            )
        if ended.by_itself and ended.status == 0:
            return None
        verdict, reason = self.language.failure_reason(
            ProgramEnd(ended.status, ended.signal, files.errors())
        )
        return Verdict.ERRORED if verdict == Verdict.PASSED else verdict, reason

    def _compared(self, pair: Pair, case: StdinCase, given: str) -> _Found:
        expected = case.expected_stdout
        if expected is None:
            return Verdict.ERRORED, _NOTHING_EXPECTED
        if self.comparison.checker is not None:
            return self.checker.check(pair, case.stdin, expected, given)
        if texts_agree(self.comparison, expected, given):
            return Verdict.PASSED, _PASSED
        difference = first_difference(self.comparison, expected, given)
        if difference is None:
            return Verdict.FAILED, VerdictReason("The output differs from the expected one.")
        unit, number, left, right = difference
        return Verdict.FAILED, VerdictReason(
            f"The output differs from the expected one in {unit} {number}.",
            {DetailName.EXPECTED: left, DetailName.GIVEN: right},
        )


def _result_of(verdict: Verdict, reason: VerdictReason | None) -> list[Any]:
    """Result of a run that failed."""
    if verdict != Verdict.ERRORED:
        return [ResultKind.ENDED, verdict]
    name = reason.detail.get(DetailName.EXCEPTION, reason.sentence) if reason else ""
    return [ResultKind.RAISED, ["builtins", name]]


def _of_case(found: _Found, case: int) -> _Found:
    """Verdict with the number of the case in its reason."""
    verdict, reason = found
    if reason is None:
        return found
    return verdict, VerdictReason(f"Case {case + 1}: {reason.sentence}", reason.detail)

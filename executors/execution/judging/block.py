"""One problem's candidates on its tests: who runs when, and what follows for the verdicts.

A test is first played without any results, which shows the calls that it is going to make. Then each
candidate makes the calls of all its tests; then each test is played with the results that came out, once
for all candidates with the same results. Where that shows that a test makes other calls than foreseen,
those candidates take another turn. What cannot be judged in this way, candidate and test apart, is run with
both in one interpreter; a pass there counts only for a candidate that is innocent.
"""

import itertools
import operator
from collections.abc import Sequence
from typing import NamedTuple

from testbudget.executors.execution.judging.fork_server import CandidateForkServer
from testbudget.executors.execution.judging.pair_table import (
    Pair,
    PairTable,
    PendingPath,
    ProgramCache,
    TestOutcome,
    TextTable,
)
from testbudget.executors.execution.judging.phases import CallPhase, JudgePhase
from testbudget.executors.execution.languages.base import Language, Program, Source, StepMessage
from testbudget.executors.execution.processes.process import ProcessEnd, ProcessRunner
from testbudget.executors.execution.processes.result_buffer import (
    failure_verdict,
    message_verdict,
    parse_message,
)
from testbudget.rewards.problem import TestKind, Verdict

_MOST_TURNS = 8

_candidate_of = operator.itemgetter(0)


class BlockWork(NamedTuple):
    """A block as the runner sends it.

    Attributes:
        candidates: programs, all different.
        tests: code and kind of each.
        entry_point: name that each candidate must define, None if that is not known.
        pairs: which candidates to run on which tests.
    """

    candidates: Sequence[str]
    tests: Sequence[tuple[str, TestKind]]
    entry_point: str | None
    pairs: Sequence[Pair]


class WorkerContext(NamedTuple):
    """Where blocks are worked on.

    Attributes:
        station: where to run tests.
        nursery: where to run candidates.
        library: reads them all.
        language: that they are written in.
    """

    process_runner: ProcessRunner
    fork_server: CandidateForkServer
    library: ProgramCache
    language: Language


class BlockRun:
    """Runs one block of work.

    Args:
        workshop: where to run it.
        work: what to run.

    Attributes:
        cells: what came out, by candidate and test.
        calls, results: the texts of calls and results.
    """

    def __init__(self, context: WorkerContext, work: BlockWork) -> None:
        self.cells = PairTable(work.pairs, context.process_runner.limits)
        self.calls = TextTable()
        self.results = TextTable()
        self._process_runner = context.process_runner
        self._library = context.library
        self._language = context.language
        self._work = work
        self._runs = CallPhase(context.fork_server, work.entry_point, self.cells, self.calls, self.results)

    def run(self) -> None:
        """Come to a verdict on every pair.

        Raises:
            OSError: no process could be forked or watched.
        """
        work = self._work
        texts = [Source(text, None) for text in work.candidates]
        programs = self._library.read(
            texts + [Source(text, kind) for text, kind in work.tests], work.entry_point
        )
        candidates = dict(enumerate(programs[: len(texts)]))
        tests = dict(enumerate(programs[len(texts) :]))
        apart: list[Pair] = []
        same_process: list[Pair] = []
        for pair in work.pairs:
            candidate, test = candidates[pair[0]], tests[pair[1]]
            if candidate is None or test is None:
                self.cells.close([pair], Verdict.ERRORED)
            elif test.apart and not self._language.defines(candidate, test.others):
                apart.append(pair)
            else:
                same_process.append(pair)
        self._candidates = {index: program for index, program in candidates.items() if program}
        self._tests = {index: program for index, program in tests.items() if program}
        same_process += self._run_apart(apart)
        self._run_together(sorted(same_process))

    def make_calls(self, calls: Sequence[str]) -> None:
        """Have every candidate make each of these calls, one call for each of the work's tests."""
        texts = [Source(text, None) for text in self._work.candidates]
        programs = self._library.read(texts, self._work.entry_point)
        candidates = {index: program for index, program in enumerate(programs) if program}
        scripts = {
            pair: [self.calls.position(calls[pair[1]])]
            for pair in sorted(self._work.pairs)
            if pair[0] in candidates
        }
        self._runs.make_calls(candidates, scripts, foreseen=False)

    def _run_apart(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Come to verdicts in turns; returns the pairs that cannot be judged apart."""
        payers = {test: candidate for candidate, test in reversed(pairs)}
        insights = {test: TestOutcome() for test in payers}
        tests = JudgePhase(
            self._process_runner,
            self._language,
            self.cells,
            self.calls,
            self.results,
            {test: self._tests[test] for test in payers},
            insights,
        )
        tests.foresee(payers)
        scripts = {pair: insights[pair[1]].script for pair in sorted(pairs)}
        same_process: list[Pair] = []
        for turn in range(_MOST_TURNS):
            self._runs.make_calls(self._candidates, scripts, foreseen=turn == 0)
            tests.judge(filter(self.cells.is_open, scripts))
            further: dict[Pair, list[int]] = {}
            for pair in filter(self.cells.is_open, scripts):
                outcome = insights[pair[1]].outcome(self.cells[pair].calls)
                if isinstance(outcome, list):
                    further[pair] = outcome
                elif isinstance(outcome, PendingPath):
                    same_process.append(pair)
                elif self.cells[pair].loaded:
                    self.cells.close([pair], outcome)
                else:  # whether it loads at all was left open
                    further[pair] = scripts[pair]
            scripts = further
        return [*same_process, *scripts]

    def _run_together(self, pairs: Sequence[Pair]) -> None:
        """Run tests in the interpreter of their candidates, and confirm what passed by acquittal."""
        for pair in pairs:
            self.cells[pair].same_process = True
        if not self._language.shares_interpreter:
            self.cells.close(pairs, Verdict.UNCONFIRMED)
            return
        for candidate, group in itertools.groupby(pairs, key=_candidate_of):
            left = list(group)
            while left and not self.cells.gave_up(candidate, left):
                left = left[self._run_some_together(self._candidates[candidate], left) :]

    def _run_some_together(self, program: Program, left: Sequence[Pair]) -> int:
        """Run as many tests of a candidate as one process can; returns how many are dealt with."""
        pairs = left if program.tidy else left[:1]
        tests = [self._tests[test] for _, test in pairs]
        ended = self._runs.run(
            pairs,
            lambda cpu_seconds: self._process_runner.run(
                lambda: self._language.judge_together(
                    self._process_runner.buffer,
                    self._process_runner,
                    program,
                    tests,
                    self._work.entry_point,
                ),
                len(pairs),
                cpu_seconds,
            ),
        )
        return len(left) if ended is None else self._note_together(pairs, ended, program.innocent)

    def _note_together(self, pairs: Sequence[Pair], ended: ProcessEnd, innocent: bool) -> int:
        for reached, (pair, step) in enumerate(zip(pairs, ended.steps, strict=True)):
            if not step.finished and ended.signal == 0 and reached > 0:
                return reached  # the process was no longer fit for this test
            self.cells[pair].loaded |= ended.loaded or step.finished
            match parse_message(step.texts[0]) if step.texts else []:
                case [StepMessage.NOT_LOADED, *verdict]:
                    self.cells.close([pair], failure_verdict(*verdict))
                    continue
                case [StepMessage.VERDICT, int(verdict), doubtful]:
                    unsure = verdict == Verdict.PASSED and (doubtful or not innocent)
                    self.cells.close([pair], Verdict.UNCONFIRMED if unsure else message_verdict(verdict))
                    continue
            death = self.cells.death(pair[0], ended)
            if self.cells[pair].loaded:
                self.cells.close([pair], death)
            else:
                self.cells.close_unloaded(pair, death)
            return reached + 1
        return len(pairs)

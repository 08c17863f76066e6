"""Run of one block: the verdict of every pair of a candidate and a test.

Order of events:

1. Dry run: each test runs without results and shows the calls that it is going to make.
2. Call phase: each candidate makes the calls of all its tests.
3. Judge phase: each test is replayed on the results, once for all candidates with the same results.
4. If a replay shows that a test makes other calls than planned, steps 2 and 3 are repeated for the
   candidates concerned.
5. Pairs that cannot be judged in separate processes are judged in the same process. There a pass counts
   only if the candidate is side-effect free.
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
    TestOutcome,
    TextTable,
)
from testbudget.executors.execution.judging.phases import CallPhase, JudgePhase
from testbudget.executors.execution.judging.program_cache import ProgramCache
from testbudget.executors.execution.languages.base import Language, Program, Source, StepMessage
from testbudget.executors.execution.processes.process import ProcessEnd, ProcessRunner
from testbudget.executors.execution.processes.result_buffer import (
    failure_verdict,
    message_verdict,
    parse_message,
)
from testbudget.rewards.problem import TestKind, Verdict

_MAX_ROUNDS = 8  # of call phase and judge phase

_candidate_of = operator.itemgetter(0)


class BlockWork(NamedTuple):
    """Block as the runner sends it.

    Attributes:
        candidates: distinct programs.
        tests: code and kind of each test.
        entry_point: name that each candidate must define; None if unknown.
        pairs: pairs to run.
    """

    candidates: Sequence[str]
    tests: Sequence[tuple[str, TestKind]]
    entry_point: str | None
    pairs: Sequence[Pair]


class WorkerContext(NamedTuple):
    """Processes and caches that all blocks of a sandbox share.

    Attributes:
        process_runner: runs judge processes and compiling processes.
        fork_server: runs candidate processes.
        program_cache: compiles candidates and tests.
        language: language of candidates and tests.
    """

    process_runner: ProcessRunner
    fork_server: CandidateForkServer
    program_cache: ProgramCache
    language: Language


class BlockRun:
    """Run of one block.

    Args:
        context: processes and caches of the sandbox.
        work: the block.

    Attributes:
        pair_table: state of every pair, by candidate and test.
        calls, results: texts of all calls and of all results.
    """

    def __init__(self, context: WorkerContext, work: BlockWork) -> None:
        self.pair_table = PairTable(work.pairs, context.process_runner.limits)
        self.calls = TextTable()
        self.results = TextTable()
        self._process_runner = context.process_runner
        self._program_cache = context.program_cache
        self._language = context.language
        self._work = work
        self._call_phase = CallPhase(
            context.fork_server, work.entry_point, self.pair_table, self.calls, self.results
        )

    def run(self) -> None:
        """Set the verdict of every pair.

        Raises:
            OSError: no process could be forked or watched.
        """
        work = self._work
        texts = [Source(text, None) for text in work.candidates]
        programs = self._program_cache.compiled(
            texts + [Source(text, kind) for text, kind in work.tests], work.entry_point
        )
        candidates = dict(enumerate(programs[: len(texts)]))
        tests = dict(enumerate(programs[len(texts) :]))
        separate_process: list[Pair] = []
        same_process: list[Pair] = []
        for pair in work.pairs:
            candidate, test = candidates[pair[0]], tests[pair[1]]
            if candidate is None or test is None:
                self.pair_table.close([pair], Verdict.ERRORED)
            elif test.separate_process and not self._language.defines_any(candidate, test.other_names):
                separate_process.append(pair)
            else:
                same_process.append(pair)
        self._candidates = {index: program for index, program in candidates.items() if program}
        self._tests = {index: program for index, program in tests.items() if program}
        same_process += self._judge_in_separate_processes(separate_process)
        self._judge_in_same_process(sorted(same_process))

    def make_calls(self, calls: Sequence[str]) -> None:
        """Make every call with every candidate, in place of running the tests.

        Args:
            calls: text of one call for each test of the block.

        Raises:
            OSError: no process could be forked or watched.
        """
        texts = [Source(text, None) for text in self._work.candidates]
        programs = self._program_cache.compiled(texts, self._work.entry_point)
        candidates = {index: program for index, program in enumerate(programs) if program}
        call_plan = {
            pair: [self.calls.position(calls[pair[1]])]
            for pair in sorted(self._work.pairs)
            if pair[0] in candidates
        }
        self._call_phase.make_calls(candidates, call_plan, predicted=False)

    def _judge_in_separate_processes(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Set verdicts in rounds of calls and replays; return the pairs that need the same process."""
        charged_to = {test: candidate for candidate, test in reversed(pairs)}
        outcomes = {test: TestOutcome() for test in charged_to}
        judge_phase = JudgePhase(
            self._process_runner,
            self._language,
            self.pair_table,
            self.calls,
            self.results,
            {test: self._tests[test] for test in charged_to},
            outcomes,
        )
        judge_phase.dry_run(charged_to)
        call_plan = {pair: outcomes[pair[1]].first_calls for pair in sorted(pairs)}
        same_process: list[Pair] = []
        for number in range(_MAX_ROUNDS):
            self._call_phase.make_calls(self._candidates, call_plan, predicted=number == 0)
            judge_phase.judge(filter(self.pair_table.is_open, call_plan))
            next_plan: dict[Pair, list[int]] = {}
            for pair in filter(self.pair_table.is_open, call_plan):
                outcome = outcomes[pair[1]].after(self.pair_table[pair].calls)
                if isinstance(outcome, list):
                    next_plan[pair] = outcome
                elif isinstance(outcome, PendingPath):
                    same_process.append(pair)
                elif self.pair_table[pair].loaded:
                    self.pair_table.close([pair], outcome)
                else:  # the small share of the time limit was not enough to load the candidate
                    next_plan[pair] = call_plan[pair]
            call_plan = next_plan
        return [*same_process, *call_plan]

    def _judge_in_same_process(self, pairs: Sequence[Pair]) -> None:
        """Set verdicts by running each test in the process of its candidate."""
        for pair in pairs:
            self.pair_table[pair].same_process = True
        if not self._language.supports_same_process:
            self.pair_table.close(pairs, Verdict.UNCONFIRMED)
            return
        for candidate, group in itertools.groupby(pairs, key=_candidate_of):
            remaining = list(group)
            while remaining and not self.pair_table.close_after_timeouts(candidate, remaining):
                done = self._judge_some_in_same_process(self._candidates[candidate], remaining)
                remaining = remaining[done:]

    def _judge_some_in_same_process(self, program: Program, remaining: Sequence[Pair]) -> int:
        """Run as many tests of a candidate as one process can; return the number of finished pairs."""
        pairs = remaining if program.self_contained else remaining[:1]
        tests = [self._tests[test] for _, test in pairs]
        ended = self._call_phase.run(
            pairs,
            lambda cpu_seconds: self._process_runner.run(
                lambda: self._language.judge_in_same_process(
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
        if ended is None:
            return len(remaining)
        return self._record_same_process(pairs, ended, side_effect_free=program.side_effect_free)

    def _record_same_process(
        self, pairs: Sequence[Pair], ended: ProcessEnd, *, side_effect_free: bool
    ) -> int:
        """Set the verdicts of one process; return the number of finished pairs."""
        for reached, (pair, step) in enumerate(zip(pairs, ended.steps, strict=True)):
            if not step.finished and ended.signal == 0 and reached > 0:
                return reached  # the process could not be reused for this test
            self.pair_table[pair].loaded |= ended.loaded or step.finished
            match parse_message(step.texts[0]) if step.texts else []:
                case [StepMessage.NOT_LOADED, *verdict]:
                    self.pair_table.close([pair], failure_verdict(*verdict))
                    continue
                case [StepMessage.VERDICT, int(verdict), influenced]:
                    unconfirmed = verdict == Verdict.PASSED and (influenced or not side_effect_free)
                    self.pair_table.close(
                        [pair], Verdict.UNCONFIRMED if unconfirmed else message_verdict(verdict)
                    )
                    continue
            verdict_on_end = self.pair_table.record_end(pair[0], ended)
            if self.pair_table[pair].loaded:
                self.pair_table.close([pair], verdict_on_end)
            else:
                self.pair_table.close_unloaded(pair, verdict_on_end)
            return reached + 1
        return len(pairs)

"""Run of one block: the verdict of every pair of a candidate and a test.

Order of events:

1. Dry run: each test that seems to exchange plain data runs without results and shows the calls that it is
   going to make.
2. Call phase: each candidate makes the calls of all its tests.
3. Judge phase: each test is replayed on the results, once for all candidates with the same results.
4. If a replay shows that a test makes other calls than planned, steps 2 and 3 are repeated for the
   candidates concerned.
5. Object phase: any other pair is judged through two pipes between the test and the candidate.
6. Stdin phase: candidates run as programs on the tests of kind ``STDIN``.
7. Pairs that have reached their small first limit are run to the full one, as long as their verdicts can
   change which candidates lead, or all of them if all are wanted.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from testbudget.executors.execution.judging.call_phase import CallPhase
from testbudget.executors.execution.judging.checker import Checker
from testbudget.executors.execution.judging.engine_reasons import (
    NO_CASES,
    NO_OBJECTS,
    TOO_MANY_ROUNDS,
    cut_reason,
)
from testbudget.executors.execution.judging.joined_phase import JoinedPhase
from testbudget.executors.execution.judging.judge_phase import JudgePhase
from testbudget.executors.execution.judging.loopers import Loopers
from testbudget.executors.execution.judging.object_phase import ObjectPhase
from testbudget.executors.execution.judging.pair_table import (
    NeedsObjects,
    Pair,
    PairTable,
    PathVerdict,
    TestOutcome,
    TextTable,
)
from testbudget.executors.execution.judging.program_cache import CompiledProgram, ProgramCache
from testbudget.executors.execution.judging.standings import next_unsettled
from testbudget.executors.execution.judging.stdin_phase import StdinPhase
from testbudget.executors.execution.languages.base import Language, Program, Source
from testbudget.executors.execution.limits import Trust
from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.staying_process import StayingProcess
from testbudget.executors.execution.processes.supervisor import Supervisor
from testbudget.executors.execution.stdin_calls import input_of
from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison
from testbudget.rewards.problem import NOT_RUN, TestKind, Verdict
from testbudget.rewards.stdin_case import StdinCase, stdin_cases
from testbudget.rewards.verdict_reason import VerdictReason

_MAX_ROUNDS = 8  # of call phase and judge phase


class BlockWork(NamedTuple):
    """Block as the runner sends it.

    Attributes:
        candidates: distinct programs.
        tests: code and kind of each test.
        entry_point: name that each candidate must define; None if unknown.
        pairs: pairs to run, those of one candidate side by side.
        standing: tests that each candidate has passed before; None to run every pair to its full limit.
        comparison: comparison of outputs.
        record: True if outputs are recorded.
    """

    candidates: Sequence[str]
    tests: Sequence[tuple[str, TestKind]]
    entry_point: str | None
    pairs: Sequence[Pair]
    standing: Sequence[int] | None = None
    comparison: Comparison = DEFAULT_COMPARISON
    record: bool = False


class ProcessSources(NamedTuple):
    """Sources of the processes of a block.

    Attributes:
        judges: source of judge processes.
        candidates: source of candidate processes.
        judge_process: judges self-contained tests on plain data.
        object_judge: judges pairs through handles, as long as it is as new.
    """

    judges: ForkServer
    candidates: ForkServer
    judge_process: StayingProcess
    object_judge: StayingProcess

    def load_judge_modules(self, names: Sequence[str]) -> None:
        """Load modules in the judges' fork server, and in its processes, unless they are loaded."""
        if self.judges.load_modules(names):
            self.judge_process.dismiss()
            self.object_judge.dismiss()


class WorkerContext(NamedTuple):
    """Processes and caches that all blocks of a sandbox share.

    Attributes:
        supervisor: watches all processes.
        lean: fork servers of blocks that use no slowly imported module.
        rich: those of other blocks, which load such modules once. Each of their processes takes longer.
        program_cache: compiles candidates and tests.
        language: language of candidates and tests.
        trust: trust in the authors of the candidates.
    """

    supervisor: Supervisor
    lean: ProcessSources
    rich: ProcessSources
    program_cache: ProgramCache
    language: Language
    trust: Trust


class BlockRun:
    """Run of one block.

    Args:
        context: processes and caches of the sandbox.
        servers: sources of the block's processes.
        work: the block.

    Attributes:
        pair_table: state of every pair, by candidate and test.
        calls, results: texts of all calls and of all results.
    """

    def __init__(self, context: WorkerContext, servers: ProcessSources, work: BlockWork) -> None:
        self.pair_table = PairTable(work.pairs, context.supervisor.limits)
        self.calls = TextTable()
        self.results = TextTable()
        self._context = context
        self._work = work
        self._loopers = Loopers(context.supervisor)
        self._candidates: dict[int, CompiledProgram] = {}
        self._programs: dict[int, CompiledProgram] = {}  # candidates that read standard input
        self._tests: dict[int, CompiledProgram] = {}
        self._cases: dict[int, Sequence[StdinCase]] = {}
        self._outcomes: dict[int, TestOutcome] = {}
        self._call_plan: dict[Pair, list[int]] = {}
        self._by_objects: dict[Pair, VerdictReason | None] = {}
        self._joined: set[Pair] = set()
        self._joined_phase = JoinedPhase(
            context.language,
            context.trust,
            context.supervisor,
            servers.candidates,
            context.program_cache,
            work.candidates,
            work.tests,
            self.pair_table,
        )
        self._call_phase = CallPhase(
            context.supervisor,
            servers.candidates,
            self._candidates,
            work.entry_point,
            self.pair_table,
            self.calls,
            self.results,
            self._loopers,
        )
        self._judge_phase = JudgePhase(
            context.supervisor.limits,
            servers.judges,
            servers.judge_process,
            self.pair_table,
            self.calls,
            self.results,
            self._tests,
            self._outcomes,
        )
        self._object_phase = ObjectPhase(
            context.language,
            context.trust,
            context.supervisor,
            servers.judges,
            servers.candidates,
            servers.object_judge,
            self._candidates,
            self._tests,
            work.entry_point,
            self.pair_table,
        )
        checker = Checker(
            work.comparison.checker, context.trust, context.supervisor, servers.judges, self.pair_table
        )
        self._stdin_phase = StdinPhase(
            context.language,
            context.supervisor,
            servers.candidates,
            context.program_cache,
            work.candidates,
            work.entry_point,
            self._programs,
            self._cases,
            work.comparison,
            checker,
            self.pair_table,
            self.calls,
            self.results,
            self._loopers,
            work.record,
        )

    def run(self) -> None:
        """Set the verdict of every pair.

        Raises:
            OSError: no process could be forked or watched.
        """
        self._read_cases()
        if not self._context.language.judges_calls:
            self._joined.update(pair for pair in self._work.pairs if pair[1] not in self._cases)
        self._compile(tests=True)
        open_pairs = [pair for pair in self._work.pairs if self.pair_table.is_open(pair)]
        calling = [pair for pair in open_pairs if pair[1] not in self._cases and pair not in self._joined]
        charged_to: dict[int, int] = {}
        for pair in calling:
            candidate, test = self._candidates[pair[0]].program, self._tests[pair[1]].program
            if test.plain_calls and not self._exchange_objects(candidate, test):
                charged_to.setdefault(pair[1], pair[0])
            else:
                self._by_objects[pair] = NO_OBJECTS
        self._outcomes.update((test, TestOutcome()) for test in charged_to)
        try:
            self._judge_phase.dry_run(charged_to)
            self._call_plan.update(
                (pair, self._outcomes[pair[1]].first_calls)
                for pair in calling
                if pair not in self._by_objects
            )
            self._advance(open_pairs, full=False)
            self._settle()
        finally:
            self._loopers.end()
            self._stdin_phase.close()

    def _exchange_objects(self, candidate: Program, test: Program) -> bool:
        """Return whether what a candidate defines makes a test exchange objects with it."""
        language = self._context.language
        return language.defines_any(candidate, test.other_names) or language.defines_class(
            candidate, test.functions
        )

    def make_calls(self, calls: Sequence[str]) -> None:
        """Make every call with every candidate, in place of running the tests.

        Args:
            calls: text of one call for each test of the block.

        Raises:
            OSError: no process could be forked or watched.
        """
        inputs = dict(enumerate(map(input_of, calls)))
        self._cases.update((test, (StdinCase(text),)) for test, text in inputs.items() if text is not None)
        self._compile(tests=False)
        open_pairs = [pair for pair in self._work.pairs if self.pair_table.is_open(pair)]
        call_plan = {
            pair: [self.calls.position(calls[pair[1]])] for pair in open_pairs if pair[1] not in self._cases
        }
        self._call_phase.make_calls(call_plan, full=True)
        try:
            for pair in open_pairs:
                if pair[1] in self._cases and self._is_due(pair):
                    self._stdin_phase.judge(pair, full=True)
        finally:
            self._stdin_phase.close()

    def _read_cases(self) -> None:
        """Read the tests of kind ``STDIN``; close the pairs of those that are none."""
        for test, (text, kind) in enumerate(self._work.tests):
            if kind is TestKind.STDIN:
                try:
                    self._cases[test] = stdin_cases(text)
                except ValueError:
                    pairs = [pair for pair in self._work.pairs if pair[1] == test]
                    self.pair_table.close(pairs, Verdict.ERRORED, NO_CASES)

    def _compile(self, *, tests: bool) -> None:
        """Compile candidates, and tests if they are run; close the pairs of those that do not compile."""
        block, cases = self._work, self._cases
        pairs = [pair for pair in block.pairs if self.pair_table.is_open(pair) and pair not in self._joined]
        candidates = {
            pair: Source(block.candidates[pair[0]], TestKind.STDIN if pair[1] in cases else None)
            for pair in pairs
        }
        called = [pair for pair in pairs if tests and pair[1] not in cases]
        sources = list(
            dict.fromkeys([*candidates.values(), *(Source(*block.tests[test]) for _, test in called)])
        )
        compiled = self._context.program_cache.compiled(sources, block.entry_point)
        found = dict(zip(sources, compiled, strict=True))
        for pair, source in candidates.items():
            program = found[source]
            if isinstance(program, VerdictReason):
                self.pair_table.close([pair], Verdict.COMPILE_ERROR, program)
            else:
                (self._programs if pair[1] in cases else self._candidates)[pair[0]] = program
        for pair in called:
            test = found[Source(*block.tests[pair[1]])]
            if isinstance(test, VerdictReason):
                self.pair_table.close([pair], Verdict.ERRORED, test)
            else:
                self._tests[pair[1]] = test

    def _advance(self, pairs: Iterable[Pair], *, full: bool) -> None:
        """Judge open pairs that are neither slow nor held back, as far as their limits allow."""
        pairs = [pair for pair in pairs if self.pair_table.is_open(pair)]
        plan = {pair: self._call_plan[pair] for pair in pairs if pair in self._call_plan}
        self._judge_plain({pair: plan[pair] for pair in plan if pair not in self._by_objects}, full=full)
        for pair in pairs:
            if not self._is_due(pair):
                continue
            if pair[1] in self._cases:
                self._stdin_phase.judge(pair, full=full)
            elif pair in self._joined:
                self._joined_phase.judge(pair)
            elif pair in self._by_objects:
                self._object_phase.judge(pair, self._by_objects[pair], full=full)

    def _judge_plain(self, plan: Mapping[Pair, list[int]], *, full: bool) -> None:
        """Judge pairs on the results of calls, in rounds of calls and replays."""
        for _ in range(_MAX_ROUNDS):
            if not plan:
                return
            self._call_phase.make_calls(plan, full=full)
            plan = self._replay(plan)
            self._call_plan.update(plan)
        self._by_objects.update((pair, TOO_MANY_ROUNDS) for pair in plan if self._is_due(pair))

    def _replay(self, plan: Mapping[Pair, list[int]]) -> dict[Pair, list[int]]:
        """Replay tests on the calls made; return the calls of pairs that need another round."""
        self._judge_phase.judge(pair for pair in plan if self._was_run(pair))
        next_plan = {}
        for pair in filter(self._was_run, plan):
            state = self.pair_table[pair]
            outcome = self._outcomes[pair[1]].after(state.calls)
            if isinstance(outcome, list):
                next_plan[pair] = outcome
            elif isinstance(outcome, PathVerdict) and state.loaded:
                verdict, reason = outcome
                if state.calls and state.end_reason is not None and verdict != Verdict.PASSED:
                    reason = state.end_reason
                self.pair_table.close([pair], verdict, reason)
                self._loopers.end([pair])
            elif isinstance(outcome, NeedsObjects):
                self._loopers.end([pair])
                self.pair_table.mark_resumed(pair)
                self._by_objects[pair] = outcome.reason
        return {pair: calls for pair, calls in next_plan.items() if not self.pair_table.is_slow(pair)}

    def _was_run(self, pair: Pair) -> bool:
        """Return whether an open pair has made calls, or was cut off while it made them."""
        return (
            self.pair_table.is_open(pair)
            and pair not in self._by_objects
            and (self.pair_table[pair].loaded or self.pair_table.is_slow(pair))
        )

    def _is_due(self, pair: Pair) -> bool:
        table = self.pair_table
        return table.is_open(pair) and not table.is_slow(pair) and not table.is_held(pair[0])

    def _settle(self) -> None:
        """Run slow pairs to their full limit while that matters; close all pairs that are still open."""
        table, standing = self.pair_table, self._work.standing
        while True:
            pair = next_unsettled(table, standing)
            if pair is None:
                break
            if pair in self._by_objects or pair[1] in self._cases:
                table.mark_resumed(pair)
            else:
                self._call_phase.finish(pair, self._call_plan[pair])
                self._call_plan |= self._replay({pair: self._call_plan[pair]})
            self._advance([pair], full=True)
            self._advance([other for other in table if other[0] == pair[0]], full=False)
        for pair in table:
            if table.is_slow(pair):
                table.close([pair], Verdict.TIMED_OUT, cut_reason(table[pair].cut_at))
            else:
                table.close([pair], NOT_RUN)

"""Judge phase: tests are replayed on the results of calls, in processes that never hold a candidate."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from testbudget.executors.execution.judging import work
from testbudget.executors.execution.judging.engine_reasons import cpu_limit_reason, reason_of_end
from testbudget.executors.execution.judging.pair_table import (
    Call,
    NeedsObjects,
    Pair,
    PairTable,
    PathVerdict,
    TestOutcome,
    TextTable,
)
from testbudget.executors.execution.judging.program_cache import CompiledProgram
from testbudget.executors.execution.languages.base import CallPath
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.limits import TestLimits, next_cpu_limit
from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.live_process import ProcessEnd
from testbudget.executors.execution.processes.process import Work
from testbudget.executors.execution.processes.result_buffer import (
    StepResult,
    message_verdict,
    parse_message,
)
from testbudget.executors.execution.processes.staying_process import StayingProcess
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import VerdictReason


class _Replay(NamedTuple):
    """Test to run on a path.

    Attributes:
        charged_to: candidate that the replay is charged to.
        test: position of the test in the block.
        path: calls and results; empty for a dry run.
    """

    charged_to: int
    test: int
    path: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class JudgePhase:
    """Judge phase of a block.

    Attributes:
        limits: limits of one test.
        fork_server: source of the judge processes of tests that are not self-contained.
        judge_process: judges all others.
        pair_table: holds the calls of each pair; receives the cost of the replays.
        calls, results: texts of all calls and of all results.
        programs: tests, by position in the block.
        outcomes: known outcomes of each test; receives those of the replays.
    """

    limits: TestLimits
    fork_server: ForkServer
    judge_process: StayingProcess
    pair_table: PairTable
    calls: TextTable
    results: TextTable
    programs: Mapping[int, CompiledProgram]
    outcomes: Mapping[int, TestOutcome]

    def dry_run(self, charged_to: Mapping[int, int]) -> None:
        """Run every test without results, to find out its calls.

        Args:
            charged_to: for each test the candidate that its dry run is charged to.
        """
        self._replay([_Replay(candidate, test, ()) for test, candidate in charged_to.items()])
        for test in charged_to:
            outcome = self.outcomes[test].after(())
            if isinstance(outcome, list):
                self.outcomes[test].first_calls = outcome

    def judge(self, pairs: Iterable[Pair]) -> None:
        """Replay the tests of pairs on every path without a known outcome, once for each distinct path."""
        unknown: dict[tuple[int, tuple[Call, ...]], int] = {}
        for candidate, test in pairs:
            path = tuple(self.pair_table[candidate, test].calls)
            if self.outcomes[test].after(path) is not None:
                continue
            if self.pair_table.cpu_limit(candidate) == 0:
                reason = cpu_limit_reason(self.limits)
                self.pair_table.close([(candidate, test)], Verdict.TIMED_OUT, reason)
            else:
                unknown.setdefault((test, path), candidate)
        self._replay([_Replay(candidate, *known) for known, candidate in unknown.items()])

    def _replay(self, replays: Sequence[_Replay]) -> None:
        """Replay tests; a test that is not self-contained has a process of its own for each path."""
        shared = [replay for replay in replays if self.programs[replay.test].program.self_contained]
        alone = [[replay] for replay in replays if not self.programs[replay.test].program.self_contained]
        for batch in (shared, *alone):
            remaining: Sequence[_Replay] = batch
            while remaining:
                remaining = self._replay_some(remaining)

    def _replay_some(self, replays: Sequence[_Replay]) -> Sequence[_Replay]:
        """Replay as many tests as one process can, at least one; return the others."""
        parts = [(self.programs[replay.test].text, self._path(replay.path)) for replay in replays]
        cpu_seconds = next_cpu_limit(self.limits, len(parts), 0.0)
        judging = Work(work.judge(parts), len(parts), cpu_seconds)
        shared = self.programs[replays[0].test].program.self_contained
        ended = self.judge_process.run(judging) if shared else self.fork_server.run(judging)
        self.pair_table.charge([(replay.charged_to, replay.test) for replay in replays], ended)
        finished = sum(1 for step in ended.steps if step.finished)
        if ended.by_itself:
            for replay, step in zip(replays[:finished], ended.steps, strict=False):
                self._record(replay, step, ended)
            if finished == len(replays) or (finished and not ended.steps[finished].texts):
                return replays[finished:]  # the process could not be reused
            self._record(replays[finished], ended.steps[finished], ended)
            return replays[finished + 1 :]
        # No verdict comes from a process that was killed: all but the last test are run again.
        last = min(finished, len(replays) - 1)
        self._record(replays[last], ended.steps[last]._replace(finished=False), ended)
        return [*replays[:last], *replays[last + 1 :]]

    def _record(self, replay: _Replay, step: StepResult, ended: ProcessEnd) -> None:
        outcomes = self.outcomes[replay.test]
        match parse_message(step.texts[0]) if step.texts else []:
            case [StepMessage.VERDICT, int(verdict), int(used), reason] if step.finished:
                found = PathVerdict(message_verdict(verdict), VerdictReason.from_message(reason))
                outcomes.record(replay.path, used, found)
            case [StepMessage.MORE, int(used)] if len(step.texts) > used + 1:
                calls = [self.calls.position(text.decode()) for text in step.texts[1:]]
                outcomes.record(replay.path, used, calls)
            case [StepMessage.OBJECTS, reason] if step.finished:
                needed = NeedsObjects(VerdictReason.from_message(reason))
                outcomes.record(replay.path, len(replay.path), needed)
            case _:  # the test has ended its process
                outcomes.record(
                    replay.path, len(replay.path), PathVerdict(*reason_of_end(ended, self.limits))
                )

    def _path(self, path: tuple[Call, ...]) -> CallPath:
        return [(self.calls.texts[call], self.results.texts[result]) for call, result in path]

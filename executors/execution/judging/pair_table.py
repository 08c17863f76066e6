"""State of a block: its pairs, the texts of calls and results, and the outcomes of its tests."""

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from testbudget.executors.execution.limits import TestLimits, next_cpu_limit
from testbudget.executors.execution.processes.live_process import ProcessEnd
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import VerdictReason

_FIRST_SECONDS = 0.05  # least CPU-seconds after which a pair is cut off
_FIRST_FACTOR = 20  # on the median of the test's finished pairs
_SLOW_CANDIDATES, _SLOW_FACTOR = 2, 5  # a test that is slow for so many candidates is slow itself

Pair = tuple[int, int]
"""A candidate and a test, by position in the block."""

Call = tuple[int, int]
"""A call and its result, by position in the block's text tables."""


class TextTable:
    """Texts, each stored once and referred to by its position.

    Attributes:
        texts: stored texts in the order of their first appearance.
        characters: total length of the stored texts.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.characters = 0
        self._positions: dict[str, int] = {}

    def position(self, text: str) -> int:
        """Position of a text; a new text is stored first."""
        position = self._positions.setdefault(text, len(self.texts))
        if position == len(self.texts):
            self.texts.append(text)
            self.characters += len(text)
        return position


class PathVerdict(NamedTuple):
    """Verdict of a test on a path.

    Attributes:
        verdict: the verdict.
        reason: its reason; None where the verdict says it all.
    """

    verdict: Verdict
    reason: VerdictReason | None


class NeedsObjects(NamedTuple):
    """Finding that a test exchanges more than plain data with the candidate.

    Attributes:
        reason: what it exchanges.
    """

    reason: VerdictReason | None


PathOutcome = PathVerdict | NeedsObjects | list[int] | None
"""Outcome of a path: a verdict, or why it needs objects, or the calls to make instead; None if unknown."""


@dataclass(slots=True)
class TestOutcome:
    """Outcome of one test on every path that it was run on.

    Attributes:
        first_calls: calls to make before anything is known of a candidate, from the dry run.
    """

    __test__ = False  # pytest would collect it by its name

    first_calls: list[int] = field(default_factory=list)
    _outcomes: dict[tuple[Call, ...], PathOutcome] = field(default_factory=dict)
    _lengths: list[int] = field(default_factory=list)

    def record(self, path: tuple[Call, ...], used: int, outcome: PathOutcome) -> None:
        """Record the outcome of the first ``used`` calls and results of a path.

        If this beginning is already known to need further calls, the outcome is recorded for the whole
        path: the results of one candidate must not change the outcome for others.
        """
        beginning = path[:used]
        known = path if isinstance(self._outcomes.get(beginning), list) else beginning
        self._outcomes[known] = outcome
        if len(known) not in self._lengths:
            self._lengths = sorted([*self._lengths, len(known)])

    def after(self, calls: Sequence[Call]) -> PathOutcome:
        """Outcome of these calls and results; None if the test was not run on them."""
        for length in self._lengths:
            if length > len(calls):
                break
            outcome = self._outcomes.get(tuple(calls[:length]))
            if isinstance(outcome, list) and length < len(calls) and calls[length][0] == outcome[length]:
                continue  # the next call is the one that was needed
            if outcome is not None:
                return outcome
        return None


@dataclass(slots=True)
class PairState:
    """State of one pair.

    Attributes:
        verdict: a `Verdict`, ``NOT_RUN``, or None while undecided.
        reason: reason of the verdict.
        cpu_seconds, wall_seconds: CPU-seconds and wall-seconds charged to the pair so far.
        cut_at: CPU-seconds after which the first limit cut it off; 0 if it did not.
        same_process: True if the verdict was found in one process with the candidate.
        loaded: True if the candidate has been loaded for the test.
        calls: calls that the candidate has made for the test, with their results.
        end_reason: why the candidate process ended during the last call; None if it did not.
    """

    verdict: int | None = None
    reason: VerdictReason | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    cut_at: float = 0.0
    same_process: bool = False
    loaded: bool = False
    calls: list[Call] = field(default_factory=list)
    end_reason: VerdictReason | None = None


class PairTable:
    """State, verdict and cost of every pair of a block.

    The table also bounds the CPU-seconds that each candidate may still use.

    Args:
        pairs: pairs to run.
        limits: limits of one test.
    """

    def __init__(self, pairs: Sequence[Pair], limits: TestLimits) -> None:
        self._states = {pair: PairState() for pair in pairs}
        self._limits = limits
        self._tests = Counter(candidate for candidate, _ in pairs)
        self._spent: defaultdict[int, float] = defaultdict(float)
        self._finished: defaultdict[int, list[float]] = defaultdict(list)  # CPU-seconds, by test
        self._slow: defaultdict[int, set[int]] = defaultdict(set)  # candidates, by test
        self._timed_out: defaultdict[int, set[int]] = defaultdict(
            set
        )  # tests, also slow ones, by candidate

    def __getitem__(self, pair: Pair) -> PairState:
        return self._states[pair]

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._states)

    def close(self, pairs: Iterable[Pair], verdict: int, reason: VerdictReason | None = None) -> None:
        """Set the verdict of the given pairs that have none."""
        for pair in pairs:
            state = self._states[pair]
            if state.verdict is None:
                state.verdict, state.reason = verdict, reason
                self._timed_out[pair[0]].discard(pair[1])
                if verdict == Verdict.TIMED_OUT:
                    self._timed_out[pair[0]].add(pair[1])

    def replace(self, pair: Pair, verdict: Verdict, reason: VerdictReason | None) -> None:
        """Set the verdict of a closed pair to that found in one process with the candidate."""
        state = self._states[pair]
        state.verdict, state.reason, state.same_process = None, None, True
        self.close([pair], verdict, reason)

    def close_unloaded(self, pair: Pair, verdict: Verdict, reason: VerdictReason) -> None:
        """Close a pair whose process ended before the candidate was loaded.

        If the candidate was never loaded for any test, all of its pairs are closed.
        """
        pairs = [other for other in self._states if other[0] == pair[0]]
        self.close([pair] if any(self._states[other].loaded for other in pairs) else pairs, verdict, reason)

    def mark_slow(self, pair: Pair, seconds: float) -> None:
        """Record that a pair has reached its first limit.

        Args:
            pair: an open pair.
            seconds: CPU-seconds after which it was cut off.
        """
        self._states[pair].cut_at = seconds
        self._slow[pair[1]].add(pair[0])
        self._timed_out[pair[0]].add(pair[1])

    def record_timeout(self, pair: Pair) -> None:
        """Record that a call of an open pair has reached its full limit, before anything is made of it."""
        self._timed_out[pair[0]].add(pair[1])

    def mark_resumed(self, pair: Pair) -> None:
        """Record that a slow pair is run to its full limit."""
        self._states[pair].cut_at = 0.0
        self._timed_out[pair[0]].discard(pair[1])

    def is_slow(self, pair: Pair) -> bool:
        """Return whether an open pair was cut off by its first limit."""
        return self.is_open(pair) and self._states[pair].cut_at > 0

    def first_limit(self, test: int) -> float:
        """CPU-seconds after which a pair of this test is cut off, to be continued only if it matters."""
        finished = self._finished[test]
        limit = (
            max(_FIRST_SECONDS, _FIRST_FACTOR * statistics.median(finished)) if finished else _FIRST_SECONDS
        )
        return limit * (_SLOW_FACTOR if len(self._slow[test]) >= _SLOW_CANDIDATES else 1)

    def is_open(self, pair: Pair) -> bool:
        """Return whether a pair has no verdict."""
        return self._states[pair].verdict is None

    def is_held(self, candidate: int) -> bool:
        """Return whether the candidate has used up its ``max_timeouts``, slow pairs included."""
        return len(self._timed_out[candidate]) >= self._limits.max_timeouts

    def cpu_limit(self, candidate: int) -> int:
        """CPU-seconds that the candidate's next process may use; 0 if none may start."""
        return next_cpu_limit(self._limits, self._tests[candidate], self._spent[candidate])

    def charge(self, pairs: Sequence[Pair], ended: ProcessEnd) -> None:
        """Charge the CPU-seconds and wall-seconds of a process to its pairs, one step each.

        The charges sum to the seconds that the kernel counted. Seconds that no step reported (start and end
        of the process, further threads) go to the step at which the process was killed, or else to the last
        step. Reports that cannot be true are replaced by equal shares.
        """
        finished = sum(1 for _ in itertools.takewhile(lambda step: step.finished, ended.steps))
        reached = min(len(pairs), finished + (not finished or not ended.by_itself))
        cpu_seconds = _shares([step.cpu_seconds for step in ended.steps[:reached]], ended.cpu_seconds)
        wall_seconds = _shares([step.wall_seconds for step in ended.steps[:reached]], ended.wall_seconds)
        for pair, cpu, wall in zip(pairs, cpu_seconds, wall_seconds, strict=False):
            self._spent[pair[0]] += cpu
            self._states[pair].cpu_seconds += cpu
            self._states[pair].wall_seconds += wall

    def record_finished(self, test: int, seconds: float) -> None:
        """Record the CPU-seconds that a candidate took for a test."""
        self._finished[test].append(seconds)


def _shares(reported: list[float], total: float) -> list[float]:
    """Reported seconds, the last raised to reach the total; equal shares if they cannot be true."""
    rest = total - sum(reported)
    if not (rest >= 0 and all(seconds >= 0 for seconds in reported)):
        return [total / len(reported)] * len(reported)
    return [*reported[:-1], reported[-1] + rest]

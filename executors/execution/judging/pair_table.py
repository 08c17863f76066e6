"""State of a block: its pairs, the texts of calls and results, and the outcomes of its tests."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from testbudget.executors.execution.limits import TestLimits, next_cpu_limit
from testbudget.executors.execution.processes.process import ProcessEnd
from testbudget.rewards.problem import NOT_RUN, Verdict

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


class PendingPath(Enum):
    """State of a path that has neither a verdict nor further calls.

    Attributes:
        UNKNOWN: the test has not been run on the path.
        SAME_PROCESS: the test can be judged only in the process of the candidate.
    """

    UNKNOWN = auto()
    SAME_PROCESS = auto()


PathOutcome = Verdict | list[int] | PendingPath
"""Outcome of a path: a verdict, or the calls to make instead, or neither."""


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
        """Outcome of these calls and results; ``PendingPath.UNKNOWN`` if the test was not run on them."""
        for length in self._lengths:
            if length > len(calls):
                break
            outcome = self._outcomes.get(tuple(calls[:length]), PendingPath.UNKNOWN)
            if isinstance(outcome, list) and length < len(calls) and calls[length][0] == outcome[length]:
                continue  # the next call is the one that was needed
            if outcome is not PendingPath.UNKNOWN:
                return outcome
        return PendingPath.UNKNOWN


@dataclass(slots=True)
class PairState:
    """State of one pair.

    Attributes:
        verdict: a `Verdict`, ``NOT_RUN``, or None while undecided.
        cpu_seconds, wall_seconds: CPU-seconds and wall-seconds charged to the pair so far.
        same_process: True if the pair is judged in the same process.
        loaded: True if the candidate has been loaded for the test.
        calls: calls that the candidate has made for the test, with their results.
    """

    verdict: int | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    same_process: bool = False
    loaded: bool = False
    calls: list[Call] = field(default_factory=list)


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
        self._timeouts: Counter[int] = Counter()

    def __getitem__(self, pair: Pair) -> PairState:
        return self._states[pair]

    def close(self, pairs: Iterable[Pair], verdict: int) -> None:
        """Set the verdict of the given pairs that have none."""
        for pair in pairs:
            if self._states[pair].verdict is None:
                self._states[pair].verdict = verdict

    def close_unloaded(self, pair: Pair, verdict: Verdict) -> None:
        """Close a pair whose process ended before the candidate was loaded.

        If the candidate was never loaded for any test, all of its pairs are closed.
        """
        pairs = [other for other in self._states if other[0] == pair[0]]
        self.close([pair] if any(self._states[other].loaded for other in pairs) else pairs, verdict)

    def is_open(self, pair: Pair) -> bool:
        """Return whether a pair has no verdict."""
        return self._states[pair].verdict is None

    def close_after_timeouts(self, candidate: int, pairs: Iterable[Pair]) -> bool:
        """Close pairs as not run if their candidate has timed out ``max_timeouts`` times.

        Returns:
            True if the pairs were closed.
        """
        if self._timeouts[candidate] < self._limits.max_timeouts:
            return False
        self.close(pairs, NOT_RUN)
        return True

    def cpu_limit(self, candidate: int) -> int:
        """CPU-seconds that the candidate's next process may use; 0 if none may start."""
        return next_cpu_limit(self._limits, self._tests[candidate], self._spent[candidate])

    def record_end(self, candidate: int, ended: ProcessEnd) -> Verdict:
        """Record that a process ended while it ran a candidate; return the verdict on the pair.

        A timeout counts towards ``max_timeouts``.
        """
        self._timeouts[candidate] += ended.timed_out
        return Verdict.TIMED_OUT if ended.timed_out else Verdict.KILLED

    def charge(self, pairs: Sequence[Pair], ended: ProcessEnd) -> None:
        """Charge the CPU-seconds and wall-seconds of a process to its pairs, one step each.

        The charges sum to the seconds that the kernel counted. Seconds that no step reported (start and end
        of the process, further threads) go to the step at which the process was killed, or else to the last
        step. Reports that cannot be true are replaced by equal shares.
        """
        finished = sum(1 for _ in itertools.takewhile(lambda step: step.finished, ended.steps))
        reached = min(len(pairs), finished + 1 if ended.signal or not finished else finished)
        cpu_seconds = _shares([step.cpu_seconds for step in ended.steps[:reached]], ended.cpu_seconds)
        wall_seconds = _shares([step.wall_seconds for step in ended.steps[:reached]], ended.wall_seconds)
        for pair, cpu, wall in zip(pairs, cpu_seconds, wall_seconds, strict=False):
            self._spent[pair[0]] += cpu
            self._states[pair].cpu_seconds += cpu
            self._states[pair].wall_seconds += wall


def _shares(reported: list[float], total: float) -> list[float]:
    """Reported seconds, the last raised to reach the total; equal shares if they cannot be true."""
    rest = total - sum(reported)
    if not (rest >= 0 and all(seconds >= 0 for seconds in reported)):
        return [total / len(reported)] * len(reported)
    return [*reported[:-1], reported[-1] + rest]

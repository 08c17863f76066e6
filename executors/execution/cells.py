"""The cells of a block, one for each pair of candidate and test: what is known of them, what they cost."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from executors.execution.limits import Limits, allowance
from executors.execution.process import Ended
from rewards.problem import NOT_RUN, Verdict

Pair = tuple[int, int]
"""A candidate and a test of the block, by position."""

Call = tuple[int, int]
"""A call and its result, by position in the block's books of texts."""


@dataclass(slots=True)
class Cell:
    """What came out of one candidate on one test.

    Attributes:
        verdict: a Verdict, ``NOT_RUN``, or None as long as it is open.
        calls: the calls that the candidate has made for the test.
        loaded: whether the candidate has been loaded for the test.
        together: whether both had to share an interpreter.
    """

    verdict: int | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    together: bool = False
    loaded: bool = False
    calls: list[Call] = field(default_factory=list)


class Cells:
    """All cells of a block, and what each candidate may still use.

    Args:
        pairs: which candidates are run on which tests.
        limits: of one test.
    """

    def __init__(self, pairs: Sequence[Pair], limits: Limits) -> None:
        self._cells = {pair: Cell() for pair in pairs}
        self._limits = limits
        self._tests = Counter(candidate for candidate, _ in pairs)
        self._spent: defaultdict[int, float] = defaultdict(float)
        self._timeouts: Counter[int] = Counter()

    def __getitem__(self, pair: Pair) -> Cell:
        return self._cells[pair]

    def close(self, pairs: Iterable[Pair], verdict: int) -> None:
        """Give a verdict on those pairs that have none yet."""
        for pair in pairs:
            if self._cells[pair].verdict is None:
                self._cells[pair].verdict = verdict

    def close_unloaded(self, pair: Pair, verdict: Verdict) -> None:
        """Close a pair whose candidate did not live to be loaded; all of its pairs if it never did."""
        pairs = [other for other in self._cells if other[0] == pair[0]]
        self.close([pair] if any(self._cells[other].loaded for other in pairs) else pairs, verdict)

    def is_open(self, pair: Pair) -> bool:
        """Whether there is no verdict on a pair."""
        return self._cells[pair].verdict is None

    def gave_up(self, candidate: int, pairs: Iterable[Pair]) -> bool:
        """Close what is left of a candidate that has run into its time limit too often."""
        if self._timeouts[candidate] < self._limits.timeouts:
            return False
        self.close(pairs, NOT_RUN)
        return True

    def allowance(self, candidate: int) -> int:
        """CPU seconds that the candidate's next process may use; 0 when none may start."""
        return allowance(self._limits, self._tests[candidate], self._spent[candidate])

    def death(self, candidate: int, ended: Ended) -> Verdict:
        """The verdict on what a candidate's process was at when it ended."""
        self._timeouts[candidate] += ended.out_of_time
        return Verdict.TIMED_OUT if ended.out_of_time else Verdict.KILLED

    def charge(self, pairs: Sequence[Pair], ended: Ended) -> None:
        """Make the seconds of a process's steps, one a pair, add up to what the kernel has counted.

        What no step has claimed, as starting and ending the process and further threads, goes to the step
        in which the process was ended, or else to the last. Claims that cannot be true are replaced by
        equal shares.
        """
        finished = sum(1 for _ in itertools.takewhile(lambda step: step.finished, ended.steps))
        reached = min(len(pairs), finished + 1 if ended.signal or not finished else finished)
        cpu_seconds = _completed([step.cpu_seconds for step in ended.steps[:reached]], ended.cpu_seconds)
        wall_seconds = _completed([step.wall_seconds for step in ended.steps[:reached]], ended.wall_seconds)
        for pair, cpu, wall in zip(pairs, cpu_seconds, wall_seconds, strict=False):
            self._spent[pair[0]] += cpu
            self._cells[pair].cpu_seconds += cpu
            self._cells[pair].wall_seconds += wall


def _completed(claims: list[float], whole: float) -> list[float]:
    """Claims with the rest of the whole added to the last; equal shares if they cannot be true."""
    rest = whole - sum(claims)
    if not (rest >= 0 and all(claim >= 0 for claim in claims)):
        return [whole / len(claims)] * len(claims)
    return [*claims[:-1], claims[-1] + rest]

"""What a block has learned: the texts of calls and results, and what follows from them for each test."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from executors.execution.cells import Call
from rewards.problem import Verdict


class Book:
    """Texts, each kept once and known by its position."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.characters = 0
        self._positions: dict[str, int] = {}

    def position(self, text: str) -> int:
        """Where the text is; it is put there if it is new."""
        position = self._positions.setdefault(text, len(self.texts))
        if position == len(self.texts):
            self.texts.append(text)
            self.characters += len(text)
        return position


class Open(Enum):
    """What can be known of a path besides a verdict, or the calls that lead further."""

    UNKNOWN = auto()
    TOGETHER = auto()


Outcome = Verdict | list[int] | Open
"""What follows from a path: the verdict, or the calls to make instead, or neither."""


@dataclass(slots=True)
class Insight:
    """What is known of one test from playing it.

    Attributes:
        script: the calls to start from.
    """

    script: list[int] = field(default_factory=list)
    _outcomes: dict[tuple[Call, ...], Outcome] = field(default_factory=dict)
    _lengths: list[int] = field(default_factory=list)

    def add(self, path: tuple[Call, ...], used: int, outcome: Outcome) -> None:
        """Note what follows from the first ``used`` calls and results of a path.

        If they are known to lead on, it follows from the whole path instead: what one candidate has left
        must not undo what others rest on.
        """
        beginning = path[:used]
        known = path if isinstance(self._outcomes.get(beginning), list) else beginning
        self._outcomes[known] = outcome
        if len(known) not in self._lengths:
            self._lengths = sorted([*self._lengths, len(known)])

    def outcome(self, calls: Sequence[Call]) -> Outcome:
        """What follows from these calls and results."""
        for length in self._lengths:
            if length > len(calls):
                break
            outcome = self._outcomes.get(tuple(calls[:length]), Open.UNKNOWN)
            if isinstance(outcome, list) and length < len(calls) and calls[length][0] == outcome[length]:
                continue  # the path has gone on as it had to
            if outcome is not Open.UNKNOWN:
                return outcome
        return Open.UNKNOWN

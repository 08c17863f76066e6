"""All that a selection rule may look at: the votes of a problem's tests, and what candidates gave back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rewards.behaviour import Behaviour, Ending
from rewards.votes import Votes

UNKNOWN = -1
"""Stands in ``Outputs.results`` where nothing is known: the call was not made, or its value is opaque."""


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What every candidate gave back on a problem's distinct inputs, in the order in which they came.

    Attributes:
        results: int32 (inputs, candidates), equal for equal outputs, or ``UNKNOWN``.
        returned: bool (inputs, candidates), whether it is a value: nothing was raised, no limit was hit.
        known: intp (tests + 1,), how many of the inputs are known after so many tests. Those before the
            first test were run alone, without an expected value.
    """

    results: NDArray[np.int32]
    returned: NDArray[np.bool_]
    known: NDArray[np.intp]

    @classmethod
    def of(cls, behaviour: Behaviour, programs: NDArray[np.intp], tests: Sequence[int]) -> Self:
        """The outputs on the inputs that some tests use, and on those that were run alone.

        An input that several tests use counts once, where it comes first.

        Args:
            behaviour: of a problem's distinct programs.
            programs: shape (candidates,), the row of each candidate's program in the behaviour. Candidates
                that are the same program all count.
            tests: indices of the tests, in the order of their votes.
        """
        came = {test: place for place, test in enumerate(tests, start=1)}
        came_with = np.asarray(
            [0 if item.test is None else came.get(item.test, -1) for item in behaviour.inputs], np.intp
        )
        order = np.argsort(came_with, kind="stable")
        order = order[came_with[order] >= 0]
        digests = np.asarray([item.digest for item in behaviour.inputs], np.uint64)
        first = order[np.sort(np.unique(digests[order], return_index=True)[1])]
        endings = np.asarray([*(output.ending for output in behaviour.outputs), Ending.OPAQUE])
        results = behaviour.results.T[first]
        opaque = endings[results] == Ending.OPAQUE
        returned = endings[results] == Ending.RETURNED
        known = np.searchsorted(came_with[first], np.arange(len(tests) + 1), side="right")
        return cls(np.where(opaque, np.int32(UNKNOWN), results)[:, programs], returned[:, programs], known)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What many problems together say of their tests, by number of tests; a single problem says it poorly.

    Attributes:
        passable: float64 (tests + 1,), how many of its tests the best candidate of a problem passes: a mean
            share over problems. Right candidates pass good tests, so where all fail many, tests are wrong.
        indifference: float64 (tests + 1,), how often other candidates pass, for each time that those pass
            whose outputs most candidates agree with. Agreement needs no expected values, so where this is
            near 1 the tests do not tell right from wrong. Drawn towards a quarter, more so in a small
            batch.
        consistency: float64 (tests + 1,), which share of the tests that anybody passes the best candidate
            passes. Where tests contradict each other nobody passes most of them, so many are wrong.
        trusted_weight: float64 (tests + 1,), how much agreement may count beside tests passed: the most
            with which picks by the first half of the tests still pass nearly as many of the others as
            with the best weight. Infinite before the second test.
    """

    passable: NDArray[np.float64]
    indifference: NDArray[np.float64]
    consistency: NDArray[np.float64]
    trusted_weight: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of one problem's candidates.

    Attributes:
        votes: of the tests so far.
        outputs: of the same candidates and tests; None where nobody recorded them.
        batch: of the problems that this one came with, up to at least as many tests; None if it came alone.
    """

    votes: Votes
    outputs: Outputs | None = None
    batch: Batch | None = None

    def first(self, tests: int) -> "Evidence":
        """What was known after so many of the tests."""
        outputs = self.outputs
        if outputs is not None:
            inputs = outputs.known[tests]
            outputs = Outputs(
                outputs.results[:inputs], outputs.returned[:inputs], outputs.known[: tests + 1]
            )
        votes = Votes.from_matrix(self.votes.passed()[:tests], self.votes.run()[:tests])
        return replace(self, votes=votes, outputs=outputs)

    def of_tests(self, tests: NDArray[np.intp]) -> "Evidence":
        """What some of the tests alone show, in the order given.

        An input that several tests use belongs to the one that it came with.
        """
        outputs = self.outputs
        if outputs is not None:
            came = np.diff(outputs.known, prepend=0)
            inputs = np.split(np.arange(outputs.known[-1]), outputs.known[:-1])
            chosen = np.concatenate([[0], tests + 1])
            outputs = Outputs(
                outputs.results[np.concatenate([inputs[part] for part in chosen])],
                outputs.returned[np.concatenate([inputs[part] for part in chosen])],
                np.cumsum(came[chosen]),
            )
        votes = Votes.from_matrix(self.votes.passed()[tests], self.votes.run()[tests])
        return replace(self, votes=votes, outputs=outputs)

    def of(self, candidates: NDArray[np.intp]) -> "Evidence":
        """What is known of some of the candidates."""
        outputs = self.outputs
        if outputs is not None:
            outputs = replace(
                outputs,
                results=outputs.results[:, candidates],
                returned=outputs.returned[:, candidates],
            )
        votes = Votes.from_matrix(self.votes.passed()[:, candidates], self.votes.run()[:, candidates])
        return replace(self, votes=votes, outputs=outputs)

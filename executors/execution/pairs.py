"""Single pairs of a candidate and a test, gathered into blocks so that equal texts are handled once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewards.problem import TestKind, UnitTest

MOST_TESTS = 32
_MOST_CANDIDATES, _FEWEST_CANDIDATES = 64, 8
_BLOCKS_PER_RUNNER = 4


@dataclass(frozen=True, slots=True)
class Pair:
    """One program and one test to run it on.

    Attributes:
        candidate: a whole program.
        test: the test program, without the candidate.
        kind: how the test is run.
        language: of both.
        entry_point: name of the function or class under test; None for whatever the test calls.
    """

    candidate: str
    test: str
    kind: TestKind
    language: str = "python"
    entry_point: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Distinct candidates and distinct tests, and where among them the pairs are.

    Attributes:
        language: of all candidates and tests.
        entry_point: of all candidates.
        candidates: their texts.
        tests: a test's index is its position here.
        positions: intp (pairs,), where each pair stands in the sequence that was gathered.
        rows, columns: intp (pairs,), each pair's candidate and test. Equal pairs have the same two.
    """

    language: str
    entry_point: str | None
    candidates: tuple[str, ...]
    tests: tuple[UnitTest, ...]
    positions: NDArray[np.intp]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @property
    def wanted(self) -> NDArray[np.bool_]:
        """Bool (candidates, tests): which combinations are pairs."""
        mask = np.zeros((len(self.candidates), len(self.tests)), np.bool_)
        mask[self.rows, self.columns] = True
        return mask


def gather(pairs: Sequence[Pair], runners: int = 1) -> list[Block]:
    """Put every pair into a block with others that share its candidate or its test.

    A block has at most 64 candidates, fewer where there would not be enough blocks for all runners, and
    at most 32 tests.

    Args:
        pairs: what is to be run, in any order.
        runners: how many share the work.

    Returns:
        Blocks in the order of their first pairs. Each position is in exactly one of them.
    """
    candidates = _Numbering()
    tests = _Numbering()
    rows = [candidates.number((pair.language, pair.entry_point, pair.candidate)) for pair in pairs]
    columns = [tests.number((pair.language, pair.entry_point, pair.test, pair.kind)) for pair in pairs]
    fair = -(-len(candidates.known) // (runners * _BLOCKS_PER_RUNNER))
    most_candidates = min(_MOST_CANDIDATES, max(_FEWEST_CANDIDATES, fair))

    components = _components(rows, columns, len(candidates.known))
    row_ranks = _ranks_within(components)
    component_of_test = [0] * len(tests.known)
    for row, column in zip(rows, columns, strict=True):
        component_of_test[column] = components[row]
    column_ranks = _ranks_within(component_of_test)

    tiles: dict[_Tile, list[int]] = {}
    for position, (row, column) in enumerate(zip(rows, columns, strict=True)):
        tile = _Tile(components[row], row_ranks[row] // most_candidates, column_ranks[column] // MOST_TESTS)
        tiles.setdefault(tile, []).append(position)
    return [_block(pairs, positions) for positions in tiles.values()]


class _Tile(NamedTuple):
    """A part of a component of bounded size."""

    component: int
    stripe_of_candidates: int
    stripe_of_tests: int


class _Numbering:
    """Numbers things in the order in which they are first seen."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], int] = {}

    def number(self, key: tuple[object, ...]) -> int:
        return self.known.setdefault(key, len(self.known))


def _components(rows: Sequence[int], columns: Sequence[int], candidates: int) -> list[int]:
    """For each candidate the first candidate that it is connected with, through tests they share."""
    above = list(range(candidates))

    def first(row: int) -> int:
        while above[row] != row:
            above[row] = above[above[row]]
            row = above[row]
        return row

    seen_with: dict[int, int] = {}
    for row, column in zip(rows, columns, strict=True):
        one, other = first(row), first(seen_with.setdefault(column, row))
        above[max(one, other)] = min(one, other)
    return [first(row) for row in range(candidates)]


def _ranks_within(components: Sequence[int]) -> list[int]:
    """The position of each element among those of its component."""
    sizes: dict[int, int] = {}
    ranks = []
    for component in components:
        ranks.append(sizes.get(component, 0))
        sizes[component] = ranks[-1] + 1
    return ranks


def _block(pairs: Sequence[Pair], positions: Sequence[int]) -> Block:
    candidates: dict[str, int] = {}
    tests: dict[tuple[str, TestKind], int] = {}
    rows = []
    columns = []
    for position in positions:
        pair = pairs[position]
        rows.append(candidates.setdefault(pair.candidate, len(candidates)))
        columns.append(tests.setdefault((pair.test, pair.kind), len(tests)))
    return Block(
        pairs[positions[0]].language,
        pairs[positions[0]].entry_point,
        tuple(candidates),
        tuple(UnitTest("", index, code, kind=kind) for (code, kind), index in tests.items()),
        np.array(positions, np.intp),
        np.array(rows, np.intp),
        np.array(columns, np.intp),
    )

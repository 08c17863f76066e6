"""Pairs of a candidate and a test, grouped into blocks.

A block holds each distinct candidate and test once, so that equal texts are compiled and run once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison
from testbudget.rewards.problem import TestKind, UnitTest

MAX_TESTS = 32
"""Maximum number of tests in a block."""

_MAX_CANDIDATES, _MIN_CANDIDATES = 64, 8
_BLOCKS_PER_RUNNER = 4


@dataclass(frozen=True, slots=True)
class PairRequest:
    """Pair of a candidate and a test to be run.

    Attributes:
        candidate: a whole program.
        test: code of the test, as in ``UnitTest.code``.
        kind: form of the test.
        language: language of both programs.
        entry_point: name of the function or class under test; None if unknown.
        comparison: comparison of expected and given outputs.
    """

    candidate: str
    test: str
    kind: TestKind
    language: str = "python"
    entry_point: str | None = None
    comparison: Comparison = DEFAULT_COMPARISON


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Distinct candidates and tests of some pairs, and the position of each pair among them.

    Attributes:
        language: language of all programs.
        entry_point: entry point of all candidates.
        comparison: comparison of expected and given outputs, of all tests.
        candidates: program texts.
        tests: the tests; the index of each is its position.
        positions: intp (pairs,), position of each pair.
        rows, columns: intp (pairs,), candidate and test of each pair. Equal pairs have equal values.
    """

    language: str
    entry_point: str | None
    comparison: Comparison
    candidates: tuple[str, ...]
    tests: tuple[UnitTest, ...]
    positions: NDArray[np.intp]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @property
    def wanted(self) -> NDArray[np.bool_]:
        """Mask of the combinations that are pairs, bool (candidates, tests)."""
        mask = np.zeros((len(self.candidates), len(self.tests)), np.bool_)
        mask[self.rows, self.columns] = True
        return mask

    def halves(self) -> list["Block"]:
        """Two blocks of the same programs, each with half of the pairs."""
        parts = np.array_split(np.arange(len(self.positions)), 2)
        return [
            replace(
                self,
                positions=self.positions[part],
                rows=self.rows[part],
                columns=self.columns[part],
            )
            for part in parts
        ]


def group_into_blocks(
    pairs: Sequence[PairRequest], runners: int = 1, positions: Sequence[int] | None = None
) -> list[Block]:
    """Group pairs that share candidates or tests into blocks.

    A block has at most 32 tests and at most 64 candidates. It has fewer candidates, down to 8, if there
    would otherwise be less than 4 blocks per runner. Pairs that share nothing are in one block while there
    is room, since a block costs more than a pair.

    Args:
        pairs: the pairs to run, in any order.
        runners: number of runners that share the blocks.
        positions: position of each pair (default: from 0).

    Returns:
        Blocks in the order of their first pairs. Each pair is in exactly one of them.
    """
    candidates = _Numbering()
    tests = _Numbering()
    shared = [(pair.language, pair.entry_point, pair.comparison) for pair in pairs]
    rows = [candidates.number((*key, pair.candidate)) for key, pair in zip(shared, pairs, strict=True)]
    columns = [tests.number((*key, pair.test, pair.kind)) for key, pair in zip(shared, pairs, strict=True)]
    fair = -(-len(candidates.known) // (runners * _BLOCKS_PER_RUNNER))
    max_candidates = min(_MAX_CANDIDATES, max(_MIN_CANDIDATES, fair))

    components = _components(rows, columns, len(candidates.known))
    row_ranks = _ranks_within(components)
    component_of_test = [0] * len(tests.known)
    for row, column in zip(rows, columns, strict=True):
        component_of_test[column] = components[row]
    column_ranks = _ranks_within(component_of_test)
    keys = dict(zip((components[row] for row in rows), shared, strict=True))
    packs = _packs(keys, Counter(components), Counter(component_of_test), max_candidates)

    by_block: dict[_BlockKey, list[int]] = {}
    for index, (row, column) in enumerate(zip(rows, columns, strict=True)):
        component = components[row]
        candidate_range = row_ranks[row] // max_candidates
        test_range = column_ranks[column] // MAX_TESTS
        key = _BlockKey(packs.get(component, component), candidate_range, test_range)
        by_block.setdefault(key, []).append(index)
    places = np.array(range(len(pairs)) if positions is None else positions, np.intp)
    return [_block(pairs, indices, places) for indices in by_block.values()]


class _BlockKey(NamedTuple):
    """Key of a block: a range of the candidates and of the tests of some components."""

    first_component: int
    candidate_range: int
    test_range: int


def _packs(
    keys: Mapping[int, object], candidates: Mapping[int, int], tests: Mapping[int, int], max_candidates: int
) -> dict[int, int]:
    """First component of the block of each component that fits into one, with others of the same key.

    Args:
        keys: what all pairs of a block must share, by component.
        candidates, tests: number of candidates and of tests of each component.
        max_candidates: maximum number of candidates of a block.
    """
    packs: dict[int, int] = {}
    open_packs: dict[object, tuple[int, int, int]] = {}  # first component, candidates and tests so far
    for component, key in keys.items():
        rows, columns = candidates[component], tests[component]
        if rows > max_candidates or columns > MAX_TESTS:
            continue
        first, packed_rows, packed_columns = open_packs.get(key, (component, 0, 0))
        if packed_rows + rows > max_candidates or packed_columns + columns > MAX_TESTS:
            first, packed_rows, packed_columns = component, 0, 0
        packs[component] = first
        open_packs[key] = first, packed_rows + rows, packed_columns + columns
    return packs


class _Numbering:
    """Numbers of keys in the order of their first occurrence, from 0."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], int] = {}

    def number(self, key: tuple[object, ...]) -> int:
        return self.known.setdefault(key, len(self.known))


def _components(rows: Sequence[int], columns: Sequence[int], candidates: int) -> list[int]:
    """Connected component of each candidate through shared tests: number of its first candidate."""
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
    """Position of each element among the elements of its component."""
    sizes: dict[int, int] = {}
    ranks = []
    for component in components:
        ranks.append(sizes.get(component, 0))
        sizes[component] = ranks[-1] + 1
    return ranks


def _block(pairs: Sequence[PairRequest], indices: Sequence[int], positions: NDArray[np.intp]) -> Block:
    candidates: dict[str, int] = {}
    tests: dict[tuple[str, TestKind], int] = {}
    rows = []
    columns = []
    for index in indices:
        pair = pairs[index]
        rows.append(candidates.setdefault(pair.candidate, len(candidates)))
        columns.append(tests.setdefault((pair.test, pair.kind), len(tests)))
    first = pairs[indices[0]]
    return Block(
        first.language,
        first.entry_point,
        first.comparison,
        tuple(candidates),
        tuple(UnitTest("", index, code, kind=kind) for (code, kind), index in tests.items()),
        positions[indices],
        np.array(rows, np.intp),
        np.array(columns, np.intp),
    )

"""Results of a block joined with those of its pairs that were executed again, to their full limit."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.rewards.outputs import (
    NO_RESULT,
    RecordedOutputs,
    join_outputs,
    select_outputs,
    spread_over_candidates,
)
from testbudget.traces.pair_reasons import distinct_reasons


def with_settled(
    block: BlockVerdicts, settled: BlockVerdicts, again: NDArray[np.bool_], tests: Sequence[int]
) -> BlockVerdicts:
    """Verdicts of a block after some of its pairs were executed again. Their cost is added.

    Args:
        block: the block.
        settled: verdicts on the candidates that have such a pair, and on the tests that have one.
        again: bool (candidates, tests), pairs of the block that were executed again.
        tests: index of each test of the block.
    """
    pairs = np.nonzero(again)
    rows, columns = np.flatnonzero(again.any(axis=1)), np.flatnonzero(again.any(axis=0))
    cells = np.searchsorted(rows, pairs[0]), np.searchsorted(columns, pairs[1])

    def replaced(name: str) -> NDArray[Any]:
        grid: NDArray[Any] = getattr(block, name).copy()
        grid[pairs] = getattr(settled, name)[cells]
        return grid

    def added(name: str) -> NDArray[Any]:
        grid: NDArray[Any] = getattr(block, name).copy()
        grid[pairs] += getattr(settled, name)[cells]
        return grid

    reasons, numbers = distinct_reasons([*block.reasons, *settled.reasons])
    reason_of = block.reason_of.copy()
    found = settled.reason_of[cells]
    reason_of[pairs] = np.where(found < 0, found, found + len(block.reasons))
    outputs = block.recorded_outputs
    if outputs is not None and settled.recorded_outputs is not None and settled.recorded_outputs.inputs:
        spread = spread_over_candidates(settled.recorded_outputs, rows, len(again))
        outputs = _overlaid(outputs, spread, tests)
    return replace(
        block,
        **{name: replaced(name) for name in ("verdicts", "same_process", "cut_at", "lost")},
        **{name: added(name) for name in ("cpu_seconds", "wall_seconds")},
        reasons=reasons,
        reason_of=numbers[reason_of],
        recorded_outputs=outputs,
    )


def _overlaid(below: RecordedOutputs, above: RecordedOutputs, tests: Sequence[int]) -> RecordedOutputs:
    """Outputs of the same candidates from two executions; where both have one, that of the second."""
    both = join_outputs([below, above])
    places: dict[tuple[object, ...], int] = {}
    kept: list[int] = []  # position of the first input of each place
    results: list[NDArray[np.int32]] = []
    seen: Counter[tuple[object, ...]] = Counter()
    for position, given in enumerate(both.inputs):
        if position == len(below.inputs):
            seen.clear()
        call = (given.test, given.function, given.arguments)
        place = places.setdefault((*call, seen[call]), len(kept))
        seen[call] += 1
        column = both.results[:, position]
        if place == len(kept):
            kept.append(position)
            results.append(column)
        else:
            results[place] = np.where(column == NO_RESULT, results[place], column)
    tests_of = [both.inputs[position].test for position in kept]
    order = sorted(range(len(kept)), key=lambda place: tests.index(tests_of[place]))  # stable
    inputs = tuple(both.inputs[kept[place]] for place in order)
    table = np.stack([results[place] for place in order], axis=1)
    return select_outputs(RecordedOutputs(inputs, both.outputs, table))

"""The fields that policies play on: what the first tests of every problem come to, in many orders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rewards.racing import end_of_heat
from rewards.selection import SelectionRule
from rewards.selection.batch import batch_of
from scheduler.analysis.compare.racing import Raced, race
from scheduler.analysis.compare.simulation import Course, Recording, courses, random_orders, show
from scheduler.ledger import QUANTITIES


@dataclass(frozen=True, slots=True, eq=False)
class Races:
    """What racing makes of all problems in all orders, after chosen counts of tests.

    Attributes:
        pairs: int32 (orders, problems, counts), of candidates and tests with a verdict.
        executions: int32 (orders, problems, counts), of distinct programs that could still win.
        accuracy: float64 (orders, problems, counts), of the picks.
    """

    pairs: NDArray[np.int32]
    executions: NDArray[np.int32]
    accuracy: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """All problems in all orders under one selection rule.

    Arrays over tests have one entry for each number of them, from 0 on; behind its last test a problem
    stays as it was.

    Attributes:
        rule: picks.
        courses: by order, then by problem.
        accuracy: float64 (orders, problems, tests + 1), of the pick after so many tests.
        spent: float64 (orders, problems, tests + 1, ``QUANTITIES``), what they cost; one array for all.
        races: as a race, after chosen counts of tests.
    """

    rule: SelectionRule
    courses: list[list[Course]]
    accuracy: NDArray[np.float64]
    spent: NDArray[np.float64]
    races: Races


def fields(
    recordings: Sequence[Recording],
    rules: Sequence[SelectionRule],
    *,
    orders: int,
    counts: Sequence[int],
    z: float | None,
    seed: int,
) -> list[Field]:
    """The field of each rule, all in the same orders.

    Args:
        recordings: of the problems.
        rules: pick.
        orders: how many random orders of the tests.
        counts: numbers of tests after which races are looked at, at least one.
        z: of the races; see ``rewards.racing.still_racing``.
        seed: of the orders.
    """
    most = max(recording.tests for recording in recordings)
    each = (orders, len(recordings))
    spent = np.empty((*each, most + 1, len(QUANTITIES)))
    # Nobody leaves a race during a heat, so the tests up to its end change nothing of what the first ones
    # come to. But the batch after so many votes is then of all problems, as it is without a race, also of
    # those some of whose first tests have no vote.
    raced_tests = end_of_heat(max(counts) - 1)
    made = [_empty(rule, spent, len(counts)) for rule in rules]
    for order in range(orders):
        drawn = random_orders(recordings, np.random.default_rng([seed, order]))
        shown = show(recordings, drawn)
        for field in made:
            field.courses.append(courses(recordings, drawn, field.rule, shown))
            races = [
                race(recording, tests[:raced_tests], replace(seen.evidence, batch=None), field.rule, z)
                for recording, tests, seen in zip(recordings, drawn, shown, strict=True)
            ]
            for problem, (course, raced) in enumerate(zip(field.courses[-1], races, strict=True)):
                steps = np.minimum(np.arange(most + 1), recordings[problem].tests)
                field.accuracy[order, problem] = course.accuracy[steps]
                field.races.executions[order, problem] = raced.executions[steps[counts]]
                field.races.pairs[order, problem] = raced.pairs[steps[counts]]
            field.races.accuracy[order] = _picks(recordings, races, field.rule, counts)
        for problem, course in enumerate(made[0].courses[-1]):
            steps = np.minimum(np.arange(most + 1), recordings[problem].tests)
            spent[order, problem] = course.spent[steps]
    return made


def _empty(rule: SelectionRule, spent: NDArray[np.float64], counts: int) -> Field:
    orders, problems, steps, _ = spent.shape
    return Field(
        rule,
        [],
        np.empty((orders, problems, steps)),
        spent,
        Races(
            np.empty((orders, problems, counts), np.int32),
            np.empty((orders, problems, counts), np.int32),
            np.empty((orders, problems, counts)),
        ),
    )


def _picks(
    recordings: Sequence[Recording], races: Sequence[Raced], rule: SelectionRule, counts: Sequence[int]
) -> NDArray[np.float64]:
    """Accuracy of the picks of races, shape (problems, counts)."""
    batch = batch_of(raced.evidence for raced in races) if rule.uses_batch else None
    accuracy = np.empty((len(races), len(counts)))
    for row, recording, raced in zip(accuracy, recordings, races, strict=True):
        voted = (raced.pairs // len(recording.correct))[np.minimum(counts, recording.tests)]
        won = rule.winners_after(replace(raced.evidence, batch=batch), voted.tolist())
        row[:] = (won & recording.correct).sum(axis=1) / won.sum(axis=1)
    return accuracy

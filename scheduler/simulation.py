"""The fields that policies play on: what the first tests of every problem come to, in many orders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.elimination import end_of_rung, rung_of, survivors
from testbudget.rewards.equivalence import impute_followers
from testbudget.rewards.outputs import UNKNOWN, Evidence
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.votes import Votes
from testbudget.traces.learning_curves import (
    LearningCurve,
    RecordedTests,
    learning_curves,
    permute_tests,
    random_permutations,
)
from testbudget.traces.records import QUANTITIES


@dataclass(frozen=True, slots=True, eq=False)
class EliminatedEvidence:
    """A problem's tests in one order, as a race.

    Attributes:
        evidence: what the tests show of those that they were run on.
        pairs: int64 (tests + 1,), of candidates and tests that were run, by number of written tests.
        executions: int64 (tests + 1,), of distinct programs that were in the race.
    """

    evidence: Evidence
    pairs: NDArray[np.int64]
    executions: NDArray[np.int64]


def eliminate(
    recording: RecordedTests,
    order: NDArray[np.intp],
    evidence: Evidence,
    rule: SelectionRule,
    z: float | None,
) -> EliminatedEvidence:
    """Drops candidates as a run does that is granted all tests of the problem at once.

    A run that is granted them in parts also looks at the start of each part, and so drops some earlier.

    Args:
        recording: of the problem.
        order: of its tests, the first ones.
        evidence: what at least these show in that order.
        rule: says who leads.
        z: see ``rewards.racing.survivors``.
    """
    voted = np.concatenate([[0], np.cumsum(recording.rows[order] >= 0)])
    evidence = evidence.first(voted[-1])
    could_run = evidence.votes.run()
    left_out = np.zeros_like(could_run)
    racing = np.ones(could_run.shape[1], np.bool_)
    rungs = [rung_of(test) for test in range(len(order))]
    starts = np.flatnonzero(np.diff(rungs)) + 1
    for known in np.unique(voted[starts]):  # heats without a vote show nothing new
        seen = impute_followers(_without(evidence.first(known), left_out[:known]))
        racing = survivors(seen, racing, rule, z)
        left_out[known:, ~racing] = True
    _, programs = np.unique(recording.programs, return_index=True)
    run = (could_run & ~left_out)[:, programs]
    executions = np.concatenate([[0], np.cumsum(run.sum(axis=1))])
    return EliminatedEvidence(
        impute_followers(_without(evidence, left_out)), voted * len(racing), executions[voted]
    )


def _without(evidence: Evidence, left_out: NDArray[np.bool_]) -> Evidence:
    """The evidence without that of some pairs, shape (tests, candidates)."""
    votes = Votes.from_matrix(evidence.votes.passed() & ~left_out, evidence.votes.run() & ~left_out)
    outputs = evidence.outputs
    if outputs is not None:
        # An input is known from its first test on, or from the start.
        came = np.searchsorted(outputs.known, np.arange(len(outputs.results)), side="right")
        unseen = np.concatenate([np.zeros((1, left_out.shape[1]), np.bool_), left_out])[came]
        outputs = replace(
            outputs,
            results=np.where(unseen, np.int32(UNKNOWN), outputs.results),
            returned=outputs.returned & ~unseen,
        )
    return replace(evidence, votes=votes, outputs=outputs)


@dataclass(frozen=True, slots=True, eq=False)
class EliminationSpending:
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
class PermutedRuns:
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
    learning_curves: list[list[LearningCurve]]
    accuracy: NDArray[np.float64]
    spent: NDArray[np.float64]
    races: EliminationSpending


def permuted_runs(
    recordings: Sequence[RecordedTests],
    rules: Sequence[SelectionRule],
    *,
    orders: int,
    counts: Sequence[int],
    z: float | None,
    seed: int,
) -> list[PermutedRuns]:
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
    raced_tests = end_of_rung(max(counts) - 1)
    made = [_empty(rule, spent, len(counts)) for rule in rules]
    for order in range(orders):
        drawn = random_permutations(recordings, np.random.default_rng([seed, order]))
        shown = permute_tests(recordings, drawn)
        for field in made:
            field.learning_curves.append(learning_curves(recordings, drawn, field.rule, shown))
            races = [
                eliminate(recording, tests[:raced_tests], replace(seen.evidence, batch=None), field.rule, z)
                for recording, tests, seen in zip(recordings, drawn, shown, strict=True)
            ]
            for problem, (course, raced) in enumerate(zip(field.learning_curves[-1], races, strict=True)):
                steps = np.minimum(np.arange(most + 1), recordings[problem].tests)
                field.accuracy[order, problem] = course.accuracy[steps]
                field.races.executions[order, problem] = raced.executions[steps[counts]]
                field.races.pairs[order, problem] = raced.pairs[steps[counts]]
            field.races.accuracy[order] = _picks(recordings, races, field.rule, counts)
        for problem, course in enumerate(made[0].learning_curves[-1]):
            steps = np.minimum(np.arange(most + 1), recordings[problem].tests)
            spent[order, problem] = course.spent[steps]
    return made


def _empty(rule: SelectionRule, spent: NDArray[np.float64], counts: int) -> PermutedRuns:
    orders, problems, steps, _ = spent.shape
    return PermutedRuns(
        rule,
        [],
        np.empty((orders, problems, steps)),
        spent,
        EliminationSpending(
            np.empty((orders, problems, counts), np.int32),
            np.empty((orders, problems, counts), np.int32),
            np.empty((orders, problems, counts)),
        ),
    )


def _picks(
    recordings: Sequence[RecordedTests],
    races: Sequence[EliminatedEvidence],
    rule: SelectionRule,
    counts: Sequence[int],
) -> NDArray[np.float64]:
    """Accuracy of the picks of races, shape (problems, counts)."""
    batch = batch_statistics(raced.evidence for raced in races) if rule.uses_batch else None
    accuracy = np.empty((len(races), len(counts)))
    for row, recording, raced in zip(accuracy, recordings, races, strict=True):
        voted = (raced.pairs // len(recording.correct))[np.minimum(counts, recording.tests)]
        won = rule.winners_after(replace(raced.evidence, batch=batch), voted.tolist())
        row[:] = (won & recording.correct).sum(axis=1) / won.sum(axis=1)
    return accuracy


# ~ """What racing would have saved: the recorded tests again, run only where something is to be learned."""

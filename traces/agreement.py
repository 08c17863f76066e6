"""Scores of runs without labels: agreement of picks with those of all recorded tests.

This is how much of what all tests would say a smaller budget already says. It needs no ground truth, and
says nothing about whether all tests are right.
"""

from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import output_groups_or_pass_sets
from testbudget.rewards.selection.batch import final_statistics
from testbudget.rewards.selection.calibrated import Calibrated
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import DistinctPrograms, evidence_of
from testbudget.traces.trace import Trace


class Score(StrEnum):
    """Share of picks that is reported: those that are correct, or those that all tests make too."""

    ACCURACY = "accuracy"
    AGREEMENT = "agreement"


def score_of(trace: Trace) -> Score:
    """Score that a run allows: accuracy if its problems have labels, agreement if none has.

    Raises:
        UserError: some problems have labels and others have none.
    """
    labelled = [seen.correct is not None for seen in trace.problems.values()]
    if all(labelled):
        return Score.ACCURACY
    if any(labelled):
        raise UserError(
            f"{trace.directory} must have labels for all problems or for none but has them for "
            f"{sum(labelled)} of {len(labelled)}"
        )
    return Score.AGREEMENT


def with_reference_picks(trace: Trace) -> Trace:
    """The run, with the picks of all its tests in place of labels if it has none.

    A candidate counts as correct if it is in the output group of a winner of the rule ``calibrated`` after
    all recorded tests, with the batch; without recorded outputs, if it passed the same tests.

    Raises:
        UserError: some problems have labels and others have none, or there are no votes.
    """
    if score_of(trace) is Score.ACCURACY:
        return trace
    if not any(seen.verdicts for seen in trace.problems.values()):
        raise UserError(f"{trace.directory} must have labels or votes but it has neither")
    outputs_by_problem = read_outputs(trace.directory)
    every = [
        evidence_of(seen.verdicts, DistinctPrograms.among(seen.candidates), outputs_by_problem.get(problem))
        for problem, seen in trace.problems.items()
    ]
    problems = {
        problem: replace(seen, correct=_like_the_winners(evidence, won))
        for (problem, seen), evidence, won in zip(
            trace.problems.items(), every, _winners(every), strict=True
        )
    }
    return replace(trace, problems=problems)


def _winners(every: list[Evidence]) -> list[NDArray[np.intp]]:
    rule = Calibrated()
    return [np.flatnonzero(rule.winners_by(one)[-1]) for one in final_statistics(every)]


def _like_the_winners(evidence: Evidence, winners: NDArray[np.intp]) -> NDArray[np.bool_]:
    groups = output_groups_or_pass_sets(evidence)
    return np.isin(groups, groups[winners])

"""Which candidate of each problem is picked, and what that is known by."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rewards.behaviour import Behaviour
from rewards.evidence import Evidence
from rewards.selection import selection_rule
from rewards.selection.batch import batch_of
from scheduler.job import Job
from scheduler.records import Distinct, evidence_of
from scheduler.solving import Solving
from scheduler.trace import ProblemTrace, Trace


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """What a selection rule says of one problem.

    Attributes:
        problem: its id.
        evidence: what the rule looked at.
        winners: candidates that it leaves tied, ascending; the first is picked.
    """

    problem: str
    evidence: Evidence
    winners: NDArray[np.intp]

    @property
    def candidate(self) -> int:
        """Index of the candidate picked."""
        return int(self.winners[0])

    @property
    def tests_passed(self) -> int:
        """By the candidate picked."""
        return int(self.evidence.votes.scores()[self.candidate])


def picks(job: Job, trace: Trace, behaviour_of: Callable[[str], Behaviour | None]) -> Iterator[Pick]:
    """The picks of a run, in the order of its problems.

    Args:
        job: says by which rule.
        trace: what the run saw.
        behaviour_of: what the distinct candidates of a problem did, None if it was not recorded.
    """
    rule = selection_rule(job.selection)

    def shown(problem: str, seen: ProblemTrace) -> Evidence:
        behaviour = behaviour_of(problem) if rule.uses_outputs else None
        return evidence_of(seen.verdicts, Distinct.among(seen.candidates), behaviour)

    batch = batch_of(itertools.starmap(shown, trace.problems.items())) if rule.uses_batch else None
    for problem, seen in trace.problems.items():
        evidence = replace(shown(problem, seen), batch=batch)
        yield Pick(problem, evidence, rule.winners(evidence))


def write_picks(
    job: Job,
    trace: Trace,
    solving: Sequence[Solving],
    behaviour_of: Callable[[str], Behaviour | None],
    path: Path,
) -> None:
    """One line of JSON per problem: which candidate was picked, on what evidence, and its code.

    Args:
        job, trace, behaviour_of: see :func:`picks`.
        solving: the same problems with the candidates' code.
        path: of the file.
    """
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        for item, pick in zip(solving, picks(job, trace, behaviour_of), strict=True):
            line = {
                "problem": pick.problem,
                "candidate": pick.candidate,
                "tests_passed": pick.tests_passed,
                "tests": pick.evidence.votes.tests,
                "tied": len(pick.winners),
                "code": item.candidates[pick.candidate].code,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    partial.replace(path)

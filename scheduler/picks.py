"""Which candidate of each problem is picked, what that is known by, and how sure it is."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.model import ConfidenceModels, p_correct_of_candidates, p_correct_of_pick
from testbudget.rewards.outputs import Evidence, RecordedOutputs
from testbudget.rewards.overoptimisation import TestEffect
from testbudget.rewards.seeds import problem_fold
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.job import Job
from testbudget.traces.files import whole_file
from testbudget.traces.records import DistinctPrograms, HarmCheckRecord, ProblemCandidates, evidence_of
from testbudget.traces.trace import ProblemTrace, Trace


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """What a selection rule says of one problem, and what can be said of that without ground truth.

    Attributes:
        problem: its id.
        evidence: all that is known of its candidates.
        winners: candidates that the rule leaves tied, ascending; the first is picked.
        probability: that the pick is right, in expectation over the winners.
        abstained: whether that is less than the job wants.
        beliefs: float64 (candidates,), the chance that each candidate is right.
        outlook: what more tests would do.
    """

    problem: str
    evidence: Evidence
    winners: NDArray[np.intp]
    probability: float
    abstained: bool
    beliefs: NDArray[np.float64]
    test_effect: TestEffect

    @property
    def candidate(self) -> int:
        """Index of the candidate picked."""
        return int(self.winners[0])

    @property
    def tests_passed(self) -> int:
        """By the candidate picked."""
        return int(self.evidence.votes.scores()[self.candidate])


def picks(
    job: Job,
    trace: Trace,
    recorded_outputs_of: Callable[[str], RecordedOutputs | None],
    confidence_models: ConfidenceModels,
) -> Iterator[Pick]:
    """The picks of a run, in the order of its problems.

    Args:
        job: says by which rule, and how sure they are to be.
        trace: what the run saw.
        behaviour_of: what the distinct candidates of a problem did, None if it was not recorded.
        calibration: says how sure they are.
    """
    rule = selection_rule(job.selection)

    def shown(problem: str, seen: ProblemTrace) -> Evidence:
        return evidence_of(
            seen.verdicts, DistinctPrograms.among(seen.candidates), recorded_outputs_of(problem)
        )

    batch = batch_statistics(itertools.starmap(shown, trace.problems.items()))
    for problem, seen in trace.problems.items():
        evidence = replace(shown(problem, seen), batch=batch)
        winners = rule.winners(evidence)
        fold, rate = problem_fold(seen.content_hash), seen.predicted_pass_rate
        probability = p_correct_of_pick(evidence, rule, winners, confidence_models, fold, rate)
        yield Pick(
            problem,
            evidence,
            winners,
            probability,
            probability < job.confidence.abstain_below,
            p_correct_of_candidates(evidence, confidence_models, fold, rate),
            TestEffect.of(
                evidence,
                rule,
                winners=winners,
                confidence_models=confidence_models,
                fold=fold,
                pass_rate=rate,
            ),
        )


def write_picks(
    item: Sequence[ProblemCandidates],
    made: Iterator[Pick],
    harm_checks: Mapping[str, HarmCheckRecord],
    path: Path,
) -> None:
    """One line of JSON per problem: which candidate was picked, on what evidence, how sure, and its code.

    Args:
        solving: the problems with the candidates' code.
        made: a pick for each.
        looks: the last at each problem that was looked at, by its id.
        path: of the file.
    """
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        for item, pick in zip(item, made, strict=True):
            line = {
                "problem": pick.problem,
                "candidate": pick.candidate,
                "tests_passed": pick.tests_passed,
                "tests": pick.evidence.votes.tests,
                "tied": len(pick.winners),
                "probability": round(pick.probability, 4),
                "abstained": pick.abstained,
                "overoptimised": pick.test_effect.harmful,
                "stopped": pick.problem in harm_checks and harm_checks[pick.problem].stops,
                "code": item.candidates[pick.candidate].code,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

"""The pick of each problem, with its evidence, p_correct and the effect of more tests, and ``picks.jsonl``.

``picks.jsonl`` in the run directory holds one JSON object per problem, in the order of the job's problems:

- ``problem``: id of the problem.
- ``candidate``: index of the pick, the first of the candidates that the selection rule leaves tied.
- ``tests_passed``, ``tests``: tests that the pick passed, of the tests executed for the problem.
- ``tied_candidates``: number of candidates that the selection rule leaves tied, the pick included.
- ``p_correct``: probability that the pick is correct, in expectation over the tied candidates.
- ``overtaken_at_most``: bound on the probability that enough more tests of this kind would hand the lead in
  tests passed to a candidate with other outputs. It holds whenever it is looked at: at 0.05 the pick stays
  in the lead with probability 0.95 at least. 1 if nothing can be said. See ``rewards.overtaking``.
- ``abstained``: true if p_correct is below ``confidence.abstain_below`` of the job, or no candidate holds a
  program.
- ``harmful``: true if more tests are likelier to harm the pick than to help: p_harm > p_gain and
  p_harm >= 0.1.
- ``closed_because``: reason why the problem got no more tests: "harmful" (a harm check closed it),
  "quarantined" (the infrastructure failed on it again and again, or workers died of it), "no_program" (no
  candidate holds one), else "cap" (no further test of it fits under the cap), else "max_tests" (it has all
  that it may get), else null (the policy granted no more).
- ``quarantined_because``: sentence on what was lost, of a quarantined problem; absent from others.
- ``metadata``: further fields of the problem's row in its source; absent if there are none.
- ``candidate_metadata``: further fields of the pick's row in ``candidates.from_file``; absent if there are
  none.
- ``code``: program text of the pick.

A problem without candidates has null in ``candidate``, ``p_correct``, ``overtaken_at_most`` and ``code``;
it is abstained.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.level import LEVEL_PROBLEMS, at_level, halves_agreement
from testbudget.rewards.confidence.model import ConfidenceModels, p_correct_of_candidates, p_correct_of_pick
from testbudget.rewards.outputs import Evidence, RecordedOutputs
from testbudget.rewards.overoptimisation import TestEffect
from testbudget.rewards.overtaking import overtaking_bound
from testbudget.rewards.seeds import problem_fold
from testbudget.rewards.selection.batch import combine_batch, is_calibrating, standing_contribution
from testbudget.rewards.selection.calibrated import Calibrated
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes
from testbudget.scheduler.forked_map import forked_map
from testbudget.scheduler.job import Job
from testbudget.traces.files import whole_file
from testbudget.traces.records import DistinctPrograms, evidence_of
from testbudget.traces.trace import ProblemTrace, Trace

_AT_ONCE = 64  # problems that a process finishes at a time
_NO_EVIDENCE = Evidence(Votes.from_matrix(np.zeros((0, 1), np.bool_)))


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """The pick of one problem.

    Attributes:
        problem: id of the problem.
        evidence: evidence of its candidates, with statistics of the batch.
        winners: candidates that the selection rule leaves tied, intp (winners,), ascending; the first is
            the pick.
        p_correct: probability that the pick is correct, in expectation over the winners; under the rule
            `calibrated` at the level of the batch, see ``rewards.confidence.level``.
        abstained: true if p_correct is below ``confidence.abstain_below``, or the pick is an answer without
            a program, whose p_correct is 0.
        p_correct_of_each: probability that each candidate is correct, float64 (candidates,).
        test_effect: p_gain and p_harm of more tests.
        overtaken_at_most: bound on the probability that more tests would take its lead.
    """

    problem: str
    evidence: Evidence
    winners: NDArray[np.intp]
    p_correct: float
    abstained: bool
    p_correct_of_each: NDArray[np.float64]
    test_effect: TestEffect
    overtaken_at_most: float

    @property
    def candidate(self) -> int:
        """Index of the pick."""
        return int(self.winners[0])

    @property
    def tests_passed(self) -> int:
        """Number of tests that the pick passed."""
        return int(self.evidence.votes.scores()[self.candidate])


class _Judged(NamedTuple):
    """The winners of a problem, and what the rest of its pick is made of."""

    winners: NDArray[np.intp]
    p_correct: float
    tests: int
    fold: int
    rate: float
    written: NDArray[np.bool_]


def picks(
    job: Job,
    trace: Trace,
    recorded_outputs_of: Callable[[str], RecordedOutputs | None],
    confidence_models: ConfidenceModels,
    *,
    keep_evidence: bool = False,
) -> Iterator[Pick]:
    """Picks of a run, in the order of its problems; a problem without candidates has none.

    Args:
        job: names the selection rule and the threshold for abstaining.
        trace: the run.
        recorded_outputs_of: outputs of the distinct candidates of a problem, by its id; None if they were
            not recorded.
        confidence_models: models of p_correct, p_gain and p_harm.
        keep_evidence: True if the caller keeps all picks: evidence is then made once and kept, and many
            picks are made in several processes.
    """
    rule = selection_rule(job.selection)
    kept: dict[str, Evidence] = {}

    def evidence_of_trace(problem: str, seen: ProblemTrace) -> Evidence:
        if problem in kept:
            return kept[problem]
        distinct = DistinctPrograms.among(seen.candidates)
        evidence = evidence_of(seen.verdicts, distinct, recorded_outputs_of(problem))
        if keep_evidence:
            kept[problem] = evidence
        return evidence

    picked = {problem: seen for problem, seen in trace.problems.items() if seen.candidates}
    if not picked:
        return
    batch = combine_batch(
        [
            standing_contribution(evidence_of_trace(*item))
            for position, item in enumerate(picked.items())
            if is_calibrating(position, len(picked))
        ]
    )
    judged: list[_Judged] = []
    for_level = []  # evidence of some problems, for the level of p_correct
    for position, (problem, seen) in enumerate(picked.items()):
        evidence = replace(evidence_of_trace(problem, seen), batch=batch)
        if rule.name == Calibrated.name and is_calibrating(position, len(picked), LEVEL_PROBLEMS):
            for_level.append(evidence)
        winners = rule.winners(evidence)
        fold, rate = problem_fold(seen.content_hash), seen.predicted_pass_rate
        p_correct = p_correct_of_pick(evidence, rule, winners, confidence_models, fold, rate)
        written = np.array([candidate.has_program for candidate in seen.candidates])
        judged.append(_Judged(winners, p_correct, evidence.votes.tests, fold, rate, written))
    level = at_level(
        np.array([one.p_correct for one in judged]),
        np.array([one.tests for one in judged]),
        halves_agreement(for_level),
    )

    def finish(position: int) -> Pick:
        """The pick of a problem; with its evidence, unless that is kept here."""
        problem, one = problems[position], judged[position]
        evidence = replace(evidence_of_trace(problem, picked[problem]), batch=batch)
        p_correct, has_program = float(level[position]), bool(one.written[one.winners[0]])
        of_each = p_correct_of_candidates(evidence, confidence_models, one.fold, one.rate)
        effect = TestEffect.of(
            evidence,
            rule,
            winners=one.winners,
            confidence_models=confidence_models,
            fold=one.fold,
            pass_rate=one.rate,
        )
        return Pick(
            problem,
            _NO_EVIDENCE if keep_evidence else evidence,
            one.winners,
            p_correct if has_program else 0.0,
            p_correct < job.confidence.abstain_below or not has_program,
            np.where(one.written, of_each, 0.0),
            effect,
            overtaking_bound(evidence, int(one.winners[0])),
        )

    problems = [*picked]
    if not keep_evidence:
        yield from map(finish, range(len(problems)))
        return
    for pick in forked_map(finish, range(len(problems)), at_once=_AT_ONCE):
        yield replace(pick, evidence=replace(kept[pick.problem], batch=batch))


def write_picks(
    trace: Trace,
    made: Iterator[Pick],
    closed_because: Sequence[str | None],
    lost_because: Mapping[str, str],
    path: Path,
) -> None:
    """Write ``picks.jsonl``, whole or not at all.

    Args:
        trace: the run.
        made: the pick of each problem that has candidates.
        closed_because: reason why each problem got no more tests; see ``Scheduler.closed_because``.
        lost_because: sentence on the last loss of work of a problem, by its id.
        path: the file.
    """
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        for (problem, seen), reason in zip(trace.problems.items(), closed_because, strict=True):
            line = _line(next(made), seen) if seen.candidates else _NO_PICK
            placed = {
                "problem": problem,
                **line,
                "closed_because": reason,
                **({"quarantined_because": lost_because.get(problem)} if reason == "quarantined" else {}),
                **_metadata(seen, line["candidate"]),
            }
            placed["code"] = placed.pop("code")
            file.write(json.dumps(placed, ensure_ascii=False) + "\n")


def _metadata(seen: ProblemTrace, pick: int | None) -> dict[str, Any]:
    """Further fields of the rows of the problem and of its pick."""
    found: dict[str, Any] = {}
    if seen.problem is not None and seen.problem.metadata:
        found["metadata"] = dict(seen.problem.metadata)
    if pick is not None and seen.candidates[pick].metadata:
        found["candidate_metadata"] = json.loads(seen.candidates[pick].metadata)
    return found


_NO_PICK: dict[str, Any] = {
    "candidate": None,
    "tests_passed": 0,
    "tests": 0,
    "tied_candidates": 0,
    "p_correct": None,
    "overtaken_at_most": None,
    "abstained": True,
    "harmful": False,
    "code": None,
}


def _line(pick: Pick, seen: ProblemTrace) -> dict[str, Any]:
    assert seen.problem is not None
    return {
        "candidate": pick.candidate,
        "tests_passed": pick.tests_passed,
        "tests": pick.evidence.votes.tests,
        "tied_candidates": len(pick.winners),
        "p_correct": round(pick.p_correct, 4),
        "overtaken_at_most": float(f"{pick.overtaken_at_most:.3g}"),
        "abstained": pick.abstained,
        "harmful": pick.test_effect.harmful,
        "code": seen.candidates[pick.candidate].candidate(seen.problem, pick.candidate).code,
    }

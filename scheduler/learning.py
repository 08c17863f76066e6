"""Finished runs as examples to learn from: hidden states, texts, and what was measured."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from difficulty.hidden_states import HiddenStates
from difficulty.targets import GAIN_COUNTS, Measured
from rewards.curves import accuracy_curve
from rewards.errors import UserError
from rewards.quality import quality
from rewards.selection import SelectionRule
from rewards.votes import Votes
from scheduler.job_file import load_job
from scheduler.problems import load_problems
from scheduler.records import Distinct, votes_of
from scheduler.tables import ReadTrace
from scheduler.trace import ProblemTrace, Trace

_ORDERS = 20  # random orders of a problem's tests behind each of its gains


@dataclass(frozen=True, slots=True)
class Examples:
    """The problems of one finished run.

    Attributes:
        directory: where the run lies.
        ids, content_hashes: of the problems, in the run's order.
        texts: their prompts; None where the run's source of problems is not at hand.
        hidden_states: one row a problem.
        measured: what the run says of each.
    """

    directory: Path
    ids: tuple[str, ...]
    content_hashes: tuple[str, ...]
    texts: tuple[str, ...] | None
    hidden_states: HiddenStates
    measured: tuple[Measured, ...]


def examples(
    directory: Path,
    read: ReadTrace,
    rule: SelectionRule | None,
    *,
    candidates: int | None = None,
    source: str | None = None,
    seed: int = 0,
) -> Examples:
    """What can be learned from a finished run.

    Args:
        directory: of the run.
        read: reads it.
        rule: picks, where the gain of tests is measured; None leaves the gains out.
        candidates: only the first so many of each problem; None takes all.
        source: where the problems' texts come from, as in ``load_problems``; None looks where the run's own
            job says.
        seed: of the random orders of tests behind the gains.

    Raises:
        UserError: the run has no labels, no hidden states, or fewer candidates; or the given source
            cannot be read or lacks a problem.
    """
    trace = read(directory)
    unlabelled = [problem for problem, seen in trace.problems.items() if seen.correct is None]
    if unlabelled:
        raise UserError(f"{directory} must have labels to learn from but problem {unlabelled[0]} has none")
    if trace.hidden_states is None:
        raise UserError(f"{directory} must hold hidden states to learn from but it has none")
    rng = np.random.default_rng(seed)
    measured = []
    for problem, seen in trace.problems.items():
        if candidates is not None and candidates > len(seen.candidates):
            raise UserError(
                f"candidates must be at most as many as each problem has in {directory} "
                f"({len(seen.candidates)} of {problem}) but got {candidates}"
            )
        measured.append(measure(seen, rule, candidates, rng))
    return Examples(
        directory,
        tuple(trace.problems),
        tuple(seen.content_hash for seen in trace.problems.values()),
        _texts(trace, source),
        trace.hidden_states,
        tuple(measured),
    )


def measure(
    seen: ProblemTrace, rule: SelectionRule | None, candidates: int | None, rng: np.random.Generator
) -> Measured:
    """What a run says of one labelled problem, by its first ``candidates`` candidates.

    Args:
        seen: what the run saw, labels included.
        rule: picks, where the gain of tests is measured; None leaves the gains out.
        candidates: None for all.
        rng: draws the orders of tests behind the gains.
    """
    assert seen.correct is not None
    correct = seen.correct[:candidates]
    distinct = Distinct.among(seen.candidates)
    votes = votes_of(seen.verdicts, Distinct(distinct.representatives, distinct.inverse[:candidates]))
    judged = quality(votes, correct)
    return Measured(
        int(correct.sum()),
        len(correct),
        len(seen.tests),
        judged.false_positive_rate,
        judged.false_negative_rate,
        {} if rule is None else _gains(votes, len(seen.tests), correct, rule, rng),
    )


def _gains(
    votes: Votes, written: int, correct: NDArray[np.bool_], rule: SelectionRule, rng: np.random.Generator
) -> dict[int, float]:
    counts = [count for count in GAIN_COUNTS if count <= written]
    curve = accuracy_curve(votes, written, correct, rule, [0, *counts], orders=_ORDERS, rng=rng)
    return dict(zip(counts, (curve[1:] - curve[0]).tolist(), strict=True))


def _texts(trace: Trace, source: str | None) -> tuple[str, ...] | None:
    """Prompts of the run's problems, looked up where they came from."""
    if source is not None:
        return _prompts(trace, source)
    try:
        return _prompts(trace, load_job(trace.directory / "job.yaml").problems.source)
    except UserError:
        return None  # a run may be shared without the texts that it was made from


def _prompts(trace: Trace, source: str) -> tuple[str, ...]:
    problems = load_problems(source, ids=list(trace.problems))
    for problem in problems:
        trace.of(problem)
    by_id = {problem.id: problem.prompt for problem in problems}
    return tuple(by_id[problem] for problem in trace.problems)

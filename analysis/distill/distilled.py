"""Training data from finished runs: tests judged, filtered, paired and split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbudget.analysis.distill.filters import FilterStep, filter_tests
from testbudget.analysis.distill.judged import JudgedProblem, judged_problems
from testbudget.analysis.distill.rows import Row, candidate_pair_rows, row_hash, test_pair_rows, test_rows
from testbudget.analysis.distill.settings import DistillSettings
from testbudget.analysis.distill.source_run import SourceRun
from testbudget.analysis.distill.split import ProblemSplit, split_problems
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.scheduler.imported_run import has_no_text
from testbudget.traces.problems import load_problems
from testbudget.traces.trace import Trace

KINDS = ("tests", "pairs", "candidates")
"""Names of the files: tests, preference pairs of tests, and preference pairs of candidates."""

SIDES = ("train", "eval")
"""Sides of the split that are written."""


@dataclass(frozen=True, slots=True, eq=False)
class DistilledData:
    """Training data, and how they came about.

    Attributes:
        rows: rows by kind and side; a list may be empty.
        problems: judged problems of all runs, those that are held out included.
        split: side of each problem.
        steps: effect of each filter, on the problems that are not held out.
        repeated: rows left out because an equal one was there.
        crossing: content hashes of problems, and of rows, that are on both sides: 0 by construction,
            counted on the rows as they are written.
    """

    rows: Mapping[tuple[str, str], list[Row]]
    problems: Sequence[JudgedProblem]
    split: ProblemSplit
    steps: Sequence[FilterStep]
    repeated: int
    crossing: int


def distil(
    runs: Sequence[SourceRun],
    settings: DistillSettings,
    *,
    sources: Mapping[Path, str],
    held_out: Sequence[Trace] = (),
) -> DistilledData:
    """Make training data of the tests of runs.

    Args:
        runs: finished runs.
        settings: filters, sizes and split.
        sources: source of the problems' texts by run directory; other runs name their source themselves.
        held_out: runs whose problems must not be trained on, near-duplicates included.

    Raises:
        UserError: the texts of a run cannot be found, it cannot be judged as asked, or no test is left.
    """
    judged = [
        problem
        for run in runs
        for problem in judged_problems(run, problem_texts(run.trace, sources), settings)
    ]
    withheld = [problem for trace in held_out for problem in problem_texts(trace, sources)]
    split = split_problems(
        [one.problem for one in judged],
        withheld,
        near_duplicate=settings.near_duplicate,
        eval_share=settings.eval_share,
        seed=settings.seed,
    )
    side = split.side
    used = [one for one in judged if side[one.problem.content_hash] != "held_out"]
    kept, executed, steps = filter_tests(used, settings)
    made = {
        "tests": test_rows(kept),
        "pairs": test_pair_rows(kept, executed, settings),
        "candidates": candidate_pair_rows(used, settings),
    }
    distinct = {kind: list({row_hash(row): row for row in rows}.values()) for kind, rows in made.items()}
    rows = {
        (kind, name): [row for row in distinct[kind] if side[row["content_hash"]] == name]
        for kind in KINDS
        for name in SIDES
    }
    if not rows["tests", "train"]:
        raise UserError(_nothing_left(steps))
    repeated = sum(len(made[kind]) - len(distinct[kind]) for kind in KINDS)
    return DistilledData(rows, judged, split, steps, repeated, _crossing(rows))


def problem_texts(trace: Trace, sources: Mapping[Path, str]) -> list[Problem]:
    """Problems of a run with their texts, from a source that is given or from its own.

    Raises:
        UserError: a problem is missing, or has another text or none.
    """
    source = sources.get(trace.directory)
    if source is None:
        problems = trace.texts()
        if any(map(has_no_text, problems)):
            raise UserError(
                f"{trace.directory} must be a run with programs and tests but only its votes were imported"
            )
        return problems
    found = {problem.id: problem for problem in load_problems(source, ids=list(trace.problems))}
    for name, seen in trace.problems.items():
        if name not in found:
            raise UserError(f"{source} must hold problem {name} of {trace.directory} but it does not")
        if found[name].content_hash != seen.content_hash:
            raise UserError(f"{source} must hold the text of {name} that {trace.directory} was made from")
    return [found[name] for name in trace.problems]


def _nothing_left(steps: Sequence[FilterStep]) -> str:
    if not steps[-1].tests:
        emptied = next(step for step in steps if step.applied and not step.tests)
        if not steps[0].tests:
            return "training data need tests but the runs hold none, or all of their problems are held out"
        flag = {
            "passes right candidates": "--no-pass-right",
            "rejects wrong candidates": "--no-reject-wrong",
            "p_correct of the pick": "a lower --min-probability",
        }.get(emptied.name)
        advice = f": try {flag}" if flag else ""
        return f"no test is left after the filter {emptied.name!r}{advice}"
    return "all problems whose tests passed the filters are to be evaluated on: lower --eval-share"


def _crossing(rows: Mapping[tuple[str, str], Sequence[Row]]) -> int:
    """Content hashes of problems, and hashes of rows, that are on both sides."""
    sides = []
    for name in SIDES:
        of_side = [row for kind in KINDS for row in rows[kind, name]]
        sides.append({row["content_hash"] for row in of_side} | {row_hash(row) for row in of_side})
    return len(sides[0] & sides[1])

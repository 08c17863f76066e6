"""Quality of the tests of runs on the same problems, with paired intervals of their differences."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.distill.source_run import SourceRun
from testbudget.analysis.quality.settings import QualitySettings
from testbudget.analysis.quality.statistics import ProblemStatistics, WrittenTests, problem_statistics
from testbudget.rewards.bootstrap import Interval, bootstrap_scores
from testbudget.rewards.errors import UserError
from testbudget.rewards.quality import TestQuality
from testbudget.rewards.seeds import hashed
from testbudget.rewards.selection.registry import selection_rule
from testbudget.traces.records import DistinctPrograms, votes_of
from testbudget.traces.trace import ProblemTrace

RATES = {
    "accuracy": "accuracy",
    "F1": "f1",
    "FAR": "false_acceptance_rate",
    "FRR": "false_rejection_rate",
    "false positive rate": "false_positive_rate",
    "false negative rate": "false_negative_rate",
}
"""Attributes of ``TestQuality`` by their names in the report."""


@dataclass(frozen=True, slots=True)
class QualityFigure:
    """One figure of all runs.

    Attributes:
        group: group of the figure in the report.
        name: its name.
        problems: number of problems that it is of.
        values: the figure of each run.
        difference: the second run's minus the first's, paired by problem; None for one run.
    """

    group: str
    name: str
    problems: int
    values: Sequence[Interval]
    difference: Interval | None


@dataclass(frozen=True, slots=True)
class QualityComparison:
    """Quality of the tests of one or two runs.

    Attributes:
        runs: names of the runs.
        problems: number of problems that all runs have, with labels.
        left_out: number of these that were left out, since a model was trained on them.
        figures: all figures, in the order of the report.
    """

    runs: Sequence[str]
    problems: int
    left_out: int
    figures: Sequence[QualityFigure]


def compare_quality(
    runs: Sequence[SourceRun], settings: QualitySettings, trained_on: frozenset[str] = frozenset()
) -> QualityComparison:
    """Measure the quality of the tests of one or two runs on the problems that they share.

    Args:
        runs: one or two finished runs with labels; two have the same candidates.
        settings: rule, numbers of tests, permutations.
        trained_on: content hashes of problems to leave out.

    Raises:
        UserError: more than two runs, no labelled problem in common, or other candidates.
    """
    if len(runs) > 2:
        raise UserError(f"report --quality compares two runs but got {len(runs)}")
    labelled = [_labelled(run) for run in runs]
    common = [name for name in labelled[0] if all(name in other for other in labelled)]
    if not common:
        raise UserError(
            "report --quality needs labelled problems with tests that all runs have, but none is"
        )
    kept = [name for name in common if name not in trained_on]
    if not kept:
        raise UserError(
            f"the model was trained on all {len(common)} problems, so none is left to judge it on"
        )
    written = [[_written(of[name]) for name in kept] for of in labelled]
    for first, second, name in zip(written[0], written[-1], kept, strict=True):
        if not np.array_equal(first.correct, second.correct):
            raise UserError(
                f"the runs must have the same candidates but differ on {_id_of(runs[0], name)}: "
                "take them by candidates.from_run"
            )
    most = max((len(one.tokens) for one in written[0]), default=0)
    together = [count for count in settings.together if count <= most]
    per_test = _mean_tokens(written[0])
    budgets = [] if math.isnan(per_test) else [count * per_test for count in together]
    rule = selection_rule(settings.selection)
    statistics = [
        [
            problem_statistics(
                one,
                rule,
                together,
                budgets,
                permutations=settings.permutations,
                rng=np.random.default_rng([settings.seed, hashed(name)]),
            )
            for one, name in zip(of_run, kept, strict=True)
        ]
        for of_run in written
    ]
    figures = _figures(statistics, together, budgets, settings.seed)
    return QualityComparison([run.name for run in runs], len(kept), len(common) - len(kept), figures)


def _figures(
    statistics: Sequence[Sequence[ProblemStatistics]],
    together: Sequence[int],
    budgets: Sequence[float],
    seed: int,
) -> list[QualityFigure]:
    def figure(group: str, name: str, table: Callable[[ProblemStatistics], Sequence[float]]) -> None:
        made = _figure(group, name, statistics, table, seed)
        if made is not None:
            figures.append(made)

    figures: list[QualityFigure] = []
    for name in RATES:
        figure("single tests", name, partial(_single, name))
    for position, count in enumerate(together):
        if count > 1:
            for name in RATES:
                figure(f"{count} tests together", name, partial(_combined, name, position))
    for position, count in enumerate(together):
        named = f"at {count} test{'s' * (count > 1)}"
        figure("accuracy of the pick", named, partial(_at_tests, position))
    for position, budget in enumerate(budgets):
        figure("accuracy of the pick", f"at {budget:,.0f} tokens", partial(_at_tokens, position))
    figure("ranking of candidates", "fidelity", lambda one: (one.fidelity, 1.0))
    figure("ranking of candidates", "top-1", lambda one: (one.top, 1.0))
    figure("ranking of candidates", "bottom-1", lambda one: (one.bottom, 1.0))
    figure("costs", "usable share", lambda one: (one.usable, one.tests))
    figure("costs", "tests per problem", lambda one: (one.tests, 1.0))
    figure("costs", "tokens per test", lambda one: (one.tokens, one.tests))
    return figures


def _single(rate: str, one: ProblemStatistics) -> tuple[float, float]:
    return _part(one.single, rate)


def _combined(rate: str, position: int, one: ProblemStatistics) -> tuple[float, float]:
    return _part(one.combined[position], rate)


def _at_tests(position: int, one: ProblemStatistics) -> tuple[float, float]:
    return one.at_tests[position], 1.0


def _at_tokens(position: int, one: ProblemStatistics) -> tuple[float, float]:
    return one.at_tokens[position], 1.0


_PARTS: Mapping[str, Callable[[TestQuality], tuple[float, float]]] = {
    "accuracy": lambda t: (t.true_positives + t.true_negatives, t.correct + t.wrong),
    "F1": lambda t: (
        2 * t.true_positives,
        2 * t.true_positives + t.false_positives + t.false_negatives,
    ),
    "FAR": lambda t: (t.false_positives, t.false_positives + t.true_positives),
    "FRR": lambda t: (t.false_negatives, t.false_negatives + t.true_negatives),
    "false positive rate": lambda t: (t.false_positives, t.wrong),
    "false negative rate": lambda t: (t.false_negatives, t.correct),
}
"""Numerator and denominator of each rate: sums over problems are divided by each other."""


def _part(counts: TestQuality | None, rate: str) -> tuple[float, float]:
    return (math.nan, math.nan) if counts is None else _PARTS[rate](counts)


def _figure(
    group: str,
    name: str,
    statistics: Sequence[Sequence[ProblemStatistics]],
    parts: Callable[[ProblemStatistics], Sequence[float]],
    seed: int,
) -> QualityFigure | None:
    """A ratio of sums over problems, for each run; None if no problem has it in all runs.

    Problems where a run lacks the figure are left out of all runs, so that differences are paired.
    """
    table = np.array([[parts(one) for one in of_run] for of_run in statistics], np.float64)
    table = table[:, ~np.isnan(table).any(axis=(0, 2))]  # (runs, problems, 2)
    if not table.shape[1]:
        return None

    def scores(positions: NDArray[np.intp]) -> NDArray[np.float64]:
        sums = table[:, positions].sum(axis=2)  # (runs, rows, 2)
        whole = sums[..., 1]
        ratios = np.divide(sums[..., 0], whole, out=np.full(whole.shape, np.nan), where=whole > 0)
        return np.concatenate([ratios, ratios[1:] - ratios[:1]])

    found = bootstrap_scores(scores, table.shape[1], seed)
    runs = len(statistics)
    return QualityFigure(group, name, table.shape[1], found[:runs], found[runs] if runs > 1 else None)


def _labelled(run: SourceRun) -> dict[str, ProblemTrace]:
    """Problems with labels and tests, by content hash."""
    return {
        seen.content_hash: seen
        for seen in run.trace.problems.values()
        if seen.correct is not None and seen.candidates and seen.tests
    }


def _written(seen: ProblemTrace) -> WrittenTests:
    indices = sorted(seen.tests)
    place = {index: position for position, index in enumerate(indices)}
    assert seen.correct is not None, "only labelled problems are asked"
    return WrittenTests(
        votes_of(seen.verdicts, DistinctPrograms.among(seen.candidates)),
        np.array([place[index] for index in sorted(seen.verdicts)], np.intp),
        np.array([seen.tests[index].tokens for index in indices], np.float64),
        seen.correct,
    )


def _mean_tokens(written: Sequence[WrittenTests]) -> float:
    return float(np.concatenate([one.tokens for one in written]).mean())


def _id_of(run: SourceRun, content_hash: str) -> str:
    return next(name for name, seen in run.trace.problems.items() if seen.content_hash == content_hash)

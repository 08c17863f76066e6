"""Filters of tests in the order of the reference recipe (arXiv 2501.01054), each with its effect.

Generate, execute, filter, reformat: kept are tests that pass every right candidate, and of these the ones
that reject the most wrong candidates. Reformatting takes the test out of its answer. It comes last, as no
other step reads the answers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from testbudget.analysis.distill.judged import JudgedProblem, JudgedTest
from testbudget.analysis.distill.settings import DistillSettings


@dataclass(frozen=True, slots=True)
class ProblemTest:
    """A test beside its problem.

    Attributes:
        of: the problem.
        test: the test.
        reformat: True to answer with the test alone, in a code block.
    """

    of: JudgedProblem
    test: JudgedTest
    reformat: bool

    @property
    def text(self) -> str:
        """Answer that a model is trained to give."""
        if not self.reformat or self.test.code is None:
            return self.test.record.text
        return fenced(self.test.code, self.of.problem.language)


@dataclass(frozen=True, slots=True)
class FilterStep:
    """Effect of one filter.

    Attributes:
        name: name of the filter.
        applied: False if it was switched off; it then shows what it would have dropped.
        dropped: tests that it drops.
        tests, problems: what is left.
        right_passed, wrong_rejected: means over the tests left; NaN where unknown.
        characters: mean length of the answers left, as the model is trained to give them.
    """

    name: str
    applied: bool
    dropped: int
    tests: int
    problems: int
    right_passed: float
    wrong_rejected: float
    characters: float


def filter_tests(
    problems: Sequence[JudgedProblem], settings: DistillSettings
) -> tuple[list[ProblemTest], list[ProblemTest], list[FilterStep]]:
    """Filter the tests of all problems.

    Returns:
        The tests that are left; all executed tests before the filters by quality, from which pairs are
        made; and the effect of each filter, in order.
    """
    tests = [ProblemTest(of, test, reformat=False) for of in problems for test in of.tests]
    steps = [_step("generated", True, 0, tests)]

    def drop(name: str, applied: bool, keep: Callable[[list[ProblemTest]], list[ProblemTest]]) -> None:
        nonlocal tests
        kept = keep(tests)
        dropped = len(tests) - len(kept)
        tests = kept if applied else tests
        steps.append(_step(name, applied, dropped, tests))

    drop("holds a test", True, lambda given: [o for o in given if o.test.record.status != "unusable"])
    drop("executed", True, lambda given: [one for one in given if one.test.executed])
    if any(one.of.judged_by == "groups" for one in tests):
        least = settings.min_probability
        drop("p_correct of the pick", True, lambda given: [o for o in given if o.of.probability >= least])
    executed = tests
    drop(
        "passes right candidates", settings.pass_right, lambda given: [o for o in given if _passes_right(o)]
    )
    drop(
        "rejects wrong candidates",
        settings.reject_wrong,
        lambda given: [one for one in given if one.test.wrong_rejected > 0],
    )
    drop("no duplicate", settings.drop_duplicates, _without_duplicates)
    most = settings.tests_per_problem
    if most is not None:
        drop("most of a problem", True, lambda given: _best(given, most, by_quality=settings.reject_wrong))
    if settings.reformat:
        tests, executed = ([replace(o, reformat=True) for o in part] for part in (tests, executed))
    steps.append(_step("reformatted", settings.reformat, 0, tests))
    return tests, executed, steps


def _passes_right(one: ProblemTest) -> bool:
    return one.test.right_passed == 1


def fenced(code: str, language: str) -> str:
    """A program as a model is to answer with it: alone, in a fenced code block."""
    return f"```{language}\n{code.strip(chr(10))}\n```"


def _without_duplicates(tests: list[ProblemTest]) -> list[ProblemTest]:
    """The first of equal tests of a problem, by the content hash of the problem, in all runs."""
    first: dict[tuple[str, str], ProblemTest] = {}
    for one in tests:
        first.setdefault((one.of.problem.content_hash, one.test.code or one.text), one)
    return list(first.values())


def _best(tests: list[ProblemTest], most: int, *, by_quality: bool) -> list[ProblemTest]:
    """At most so many tests of each problem: those that reject most wrong candidates, else the first."""
    of_problem: dict[str, list[ProblemTest]] = {}
    for one in tests:
        of_problem.setdefault(one.of.problem.content_hash, []).append(one)
    kept = []
    for ones in of_problem.values():
        ranked = sorted(ones, key=lambda one: -one.test.wrong_rejected) if by_quality else ones
        kept += ranked[:most]
    return kept


def _step(name: str, applied: bool, dropped: int, tests: Sequence[ProblemTest]) -> FilterStep:
    return FilterStep(
        name,
        applied,
        dropped,
        len(tests),
        len({one.of.problem.content_hash for one in tests}),
        _mean([one.test.right_passed for one in tests]),
        _mean([one.test.wrong_rejected for one in tests]),
        _mean([float(len(one.text)) for one in tests]),
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan

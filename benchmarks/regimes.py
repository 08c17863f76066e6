"""Labelled runs and outcome files as regimes: tests in random orders, few candidates, votes alone."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import BatchContribution, contribution_at
from testbudget.rewards.votes import Votes
from testbudget.scheduler.imported_run import write_imported
from testbudget.traces.learning_curves import RecordedTests, random_permutations
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import correct_labels
from testbudget.traces.votes_file import read_votes

_FEW = 16

EXAMPLES = Path(__file__).parents[1] / "examples"


@dataclass(frozen=True, slots=True, eq=False)
class Regime:
    """Problems with labels whose candidates and tests come from the same writers.

    Attributes:
        name: name of its file or run.
        family: name that regimes with the same candidates or writers share.
        recorded: tests of each problem.
    """

    name: str
    family: str
    recorded: list[RecordedTests]

    @property
    def tests(self) -> NDArray[np.intp]:
        """Number of tests of each problem, intp (problems,)."""
        return np.array([one.tests for one in self.recorded])


def read_regime(path: Path, families: Sequence[Sequence[str]]) -> Regime:
    """A finished run with labels, by its directory, or a file of votes.

    Args:
        path: the directory, or a file as ``testbudget import votes`` reads it.
        families: names of regimes of one family each. A regime that none of them names makes up a family
            with those whose names differ by ``_votes`` alone.
    """
    if path.is_dir():
        return Regime(f"recording {path.name}", f"recording {path.name}", _recorded(path))
    name = path.stem
    family = next(("/".join(one) for one in families if name in one), name.removesuffix("_votes"))
    with tempfile.TemporaryDirectory() as directory:
        write_imported(read_votes(path), Path(directory) / "run")
        return Regime(name, family, _recorded(Path(directory) / "run"))


def regime_parser(description: str | None) -> argparse.ArgumentParser:
    """Parser of the command line of a script that judges regimes: further files, and their families."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="further runs, files of votes, or folders")
    parser.add_argument(
        "--family", action="append", default=[], metavar="A,B", help="regimes of one family"
    )
    return parser


def regimes_of(given: argparse.Namespace) -> list[Regime]:
    """The two recordings, and the regimes that a command line names."""
    families = [one.split(",") for one in given.family]
    paths = files_of([EXAMPLES / "humaneval", EXAMPLES / "mbpp", *given.files])
    return [read_regime(path, families) for path in paths]


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files and runs themselves, and the ``.npz`` files of folders that are no runs."""
    found = []
    for path in paths:
        folder = path.is_dir() and not (path / "job.yaml").exists()
        found += sorted(path.glob("*.npz")) if folder else [path]
    return found


def with_candidates(regime: Regime, number: int, seed: int) -> Regime:
    """The regime with some random candidates of each problem."""
    recorded = []
    for position, one in enumerate(regime.recorded):
        rng = np.random.default_rng([seed, position])
        recorded.append(_with_candidates(one, np.sort(rng.permutation(len(one.correct))[:number])))
    return replace(regime, recorded=recorded)


def made_regimes(regime: Regime) -> list[Regime]:
    """Regimes made from one with its labels, to see where rules fail.

    In the first, tests that most correct candidates fail are taken away: the others tell. In the second,
    four of ten of these stay. In the third, six of ten correct candidates are taken away: the popular
    answer is wrong more often.
    """
    telling = [_with_tests(one, _right_tests(one)) for one in regime.recorded]
    some_wrong, unpopular = [], []
    for position, one in enumerate(regime.recorded):
        stay = np.random.default_rng(position).random(one.votes.tests) < 0.4
        some_wrong.append(_with_tests(one, _right_tests(one) | stay))
        kept = ~one.correct | (np.random.default_rng(position).random(len(one.correct)) < 0.4)
        unpopular.append(_with_candidates(one, np.flatnonzero(kept)) if kept.any() else one)
    return [
        replace(regime, name=f"{regime.name}, right tests alone", recorded=telling),
        replace(regime, name=f"{regime.name}, 4 of 10 wrong tests", recorded=some_wrong),
        replace(regime, name=f"{regime.name}, 4 of 10 right programs", recorded=unpopular),
    ]


def _right_tests(one: RecordedTests) -> NDArray[np.bool_]:
    """Votes of tests that most correct candidates pass, bool (votes,); all if there are none of either."""
    if not one.correct.any():
        return np.ones(one.votes.tests, np.bool_)
    right = one.votes.passed()[:, one.correct].mean(axis=1) > 0.5
    return right if right.any() else ~right


def _with_tests(one: RecordedTests, kept: NDArray[np.bool_]) -> RecordedTests:
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    voted = (one.rows >= 0) & kept[one.rows]
    votes = Votes.from_matrix(one.votes.passed()[kept], one.votes.run()[kept])
    return replace(
        one,
        votes=votes,
        indices=one.indices[voted],
        rows=number[one.rows[voted]],
        costs=one.costs[voted],
    )


def _with_candidates(one: RecordedTests, chosen: NDArray[np.intp]) -> RecordedTests:
    votes = Votes.from_matrix(one.votes.passed()[:, chosen], one.votes.run()[:, chosen])
    return replace(one, votes=votes, programs=one.programs[chosen], correct=one.correct[chosen])


def variants(regime: Regime) -> list[Regime]:
    """The regime, with 16 candidates if it has more, and without its outputs if it has any."""
    found = [regime]
    if max(len(one.correct) for one in regime.recorded) > _FEW:
        found.append(with_candidates(regime, _FEW, seed=0))
    if any(one.recorded_outputs for one in regime.recorded):
        found.append(
            replace(regime, recorded=[replace(one, recorded_outputs=None) for one in regime.recorded])
        )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class DrawnTests:
    """The tests of one problem in a random order.

    Attributes:
        recorded: the problem.
        permutation: intp (tests,), the order.
        evidence: evidence of as many of its tests as are needed, with one column for equal candidates.
        votes_of: intp (counts,), votes among the first tests, for each of the counts.
        statistics: after these votes.
        part: its part in the statistics of a batch.
    """

    recorded: RecordedTests
    permutation: NDArray[np.intp]
    evidence: Evidence
    votes_of: NDArray[np.intp]
    statistics: PrefixStatistics
    part: BatchContribution

    @classmethod
    def of(
        cls, recorded: RecordedTests, permutation: NDArray[np.intp], counts: Sequence[int]
    ) -> "DrawnTests":
        """Tests in an order; a problem with fewer tests than a count has all of them."""
        evidence = recorded.merged_evidence(permutation)
        voted = np.concatenate([[0], np.cumsum(recorded.rows[permutation] >= 0)])
        votes_of = voted[np.minimum(counts, recorded.tests)]
        evidence = evidence.first(int(votes_of.max()))
        shown = np.unique([0, *votes_of])
        statistics = PrefixStatistics(evidence, shown)
        part = contribution_at(statistics)
        rows = np.searchsorted(shown, votes_of)
        return cls(recorded, permutation, evidence, votes_of, statistics.at(rows), part)

    def accuracy(self, rule: SelectionRule, statistics: PrefixStatistics) -> NDArray[np.float64]:
        """Accuracy of the picks of a rule after each count, float64 (counts,)."""
        won = self.winners(rule, statistics)
        return np.asarray((won & self.recorded.correct).sum(axis=1) / won.sum(axis=1))

    def winners(self, rule: SelectionRule, statistics: PrefixStatistics) -> NDArray[np.bool_]:
        """Winners after each count, bool (counts, candidates)."""
        column = self.recorded.merged.column
        if rule.merges_equal:
            return rule.winners_by(statistics)[:, column]
        whole = replace(self.whole_evidence, batch=statistics.batch)
        return rule.winners_after(whole, self.votes_of.tolist())

    @property
    def whole_evidence(self) -> Evidence:
        """The evidence with a column for each candidate."""
        return replace(self.evidence.of_candidates(self.recorded.merged.column), sizes=None)


def draw(regime: Regime, order: int, counts: Sequence[int], seed: int) -> list[DrawnTests]:
    """All problems of a regime in a random order of their tests, the same for equal arguments."""
    permutations = random_permutations(regime.recorded, np.random.default_rng([seed, order]))
    return [
        DrawnTests.of(one, permutation, counts)
        for one, permutation in zip(regime.recorded, permutations, strict=True)
    ]


def _recorded(directory: Path) -> list[RecordedTests]:
    trace = read_trace(directory)
    outputs = read_outputs(directory)
    return [
        RecordedTests.of(seen, correct, outputs.get(problem))
        for (problem, seen), correct in zip(trace.problems.items(), correct_labels(trace), strict=True)
    ]


def exit_code(main: Callable[[], int]) -> int:
    """Exit code of a script; 2, with one sentence, if a file that it was given cannot be used."""
    try:
        return main()
    except UserError as error:
        print(error, file=sys.stderr)
        return 2

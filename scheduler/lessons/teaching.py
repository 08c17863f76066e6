"""Lessons for new jobs: learned from finished runs, kept in a file, given out by problem."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from policies.lessons import Lesson, Lessons
from rewards.confidence import SHIPPED, Calibration
from rewards.errors import UserError
from rewards.selection import selection_rule
from scheduler.analysis.compare.predictors import labels
from scheduler.analysis.compare.simulation import Recording, courses, random_orders, show
from scheduler.behaviours import read_behaviours
from scheduler.lessons.learning import FOLDS, Observations, learn
from scheduler.trace import Trace

ORDERS = 20
"""Random orders of each problem's tests to learn from."""


@dataclass(frozen=True, slots=True, eq=False)
class Teaching:
    """What finished runs taught.

    Attributes:
        members: lessons, one a fold, each learned without the problems of its fold.
        whole: the lesson of all problems, for those that were in none.
        fold_of: fold of each problem that was learned from, by content hash.
    """

    members: tuple[Lesson, ...]
    whole: Lesson
    fold_of: Mapping[str, int]

    def lessons_for(self, content_hashes: Iterable[str]) -> Lessons:
        """Lessons for some problems, none by what was learned on the problem itself."""
        new = len(self.members)
        lesson_of = [self.fold_of.get(content_hash, new) for content_hash in content_hashes]
        return Lessons((*self.members, self.whole), np.asarray(lesson_of, np.intp))

    def save(self, path: Path) -> None:
        """Writes a JSON file."""
        fields = {
            "whole": json.loads(self.whole.to_json()),
            "members": [json.loads(member.to_json()) for member in self.members],
            "fold_of": dict(self.fold_of),
        }
        path.write_text(json.dumps(fields), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file that ``save`` wrote.

        Raises:
            UserError: there is none, or it is something else.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            members = tuple(Lesson.from_json(json.dumps(member)) for member in fields["members"])
            whole = Lesson.from_json(json.dumps(fields["whole"]))
            fold_of = {str(content_hash): int(fold) for content_hash, fold in fields["fold_of"].items()}
            if any(not 0 <= fold < len(members) for fold in fold_of.values()):
                raise ValueError(f"folds beyond the {len(members)} lessons")
        except OSError as error:
            raise UserError(f"lessons cannot be read from {path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} must hold lessons from finished runs but {type(error).__name__}: {error}"
            ) from None
        return cls(members, whole, fold_of)


def teach(
    run: Trace,
    selection: str,
    *,
    calibration: Calibration = SHIPPED,
    orders: int = ORDERS,
    folds: int = FOLDS,
    seed: int = 0,
) -> Teaching:
    """What one finished run teaches under a selection rule.

    Bins are learned where the run predicted pass rates.

    Args:
        run: with labels.
        selection: name of the rule that will pick.
        calibration: says how doubtful a pick is.
        orders: random orders of each problem's tests.
        folds: how many; a problem's fold hangs on its content hash and the seed alone, so that a problem
            that occurs twice is in one.
        seed: of orders and folds.

    Raises:
        UserError: there is no such rule, or the run has no labels, a single problem or single tests.
    """
    seen = observe(run, selection, calibration=calibration, orders=orders, seed=seed)
    rates = np.array([problem.predicted_pass_rate for problem in run.problems.values()])
    pass_rates = None if np.isnan(rates).any() else rates
    hashes = [problem.content_hash for problem in run.problems.values()]
    fold_of = _folds(hashes, folds, seed)
    if len(fold_of) < 2:
        raise UserError(f"lessons need at least 2 problems but {run.directory} has {len(fold_of)}")
    own = np.array([fold_of[content_hash] for content_hash in hashes])
    members = [learn(seen, np.flatnonzero(own != fold), pass_rates) for fold in range(own.max() + 1)]
    return Teaching(tuple(members), learn(seen, np.arange(len(hashes)), pass_rates), fold_of)


def observe(
    run: Trace, selection: str, *, calibration: Calibration = SHIPPED, orders: int = ORDERS, seed: int = 0
) -> Observations:
    """Watches what a run's tests would have shown in random orders.

    Raises:
        UserError: there is no such rule, or the run has no labels or only single tests.
    """
    rule = selection_rule(selection)
    behaviours = read_behaviours(run.directory)
    recordings = [
        Recording.of(seen, correct, behaviours.get(problem))
        for (problem, seen), correct in zip(run.problems.items(), labels(run), strict=True)
    ]
    watched = []
    for order in range(orders):
        drawn = random_orders(recordings, np.random.default_rng([seed, order]))
        watched.append(courses(recordings, drawn, rule, show(recordings, drawn, calibration)))
    return Observations.of(watched, selection)


def _folds(content_hashes: Sequence[str], folds: int, seed: int) -> dict[str, int]:
    """Deals distinct problems out evenly, in an order that looks random and is the same everywhere."""
    salted = {one: hashlib.sha256(f"{seed}:{one}".encode()).digest() for one in content_hashes}
    return {one: place % folds for place, one in enumerate(sorted(salted, key=lambda key: salted[key]))}

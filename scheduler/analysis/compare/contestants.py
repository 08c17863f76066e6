"""Who plays: policies with what they believe and know, made anew for each order of the tests."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies import Lessons, Policy, Uniform, create_policy, policy_class
from rewards.errors import UserError
from scheduler.analysis.compare.comparison import Line
from scheduler.analysis.compare.fields import Field
from scheduler.analysis.compare.predictors import Predictor
from scheduler.lessons.learning import Observations, cross_learned


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """A line that plays on the field of its rule."""

    line: Line
    field: Field
    predictor: Predictor | None
    school: "School"

    def policy(self, order: int, available: NDArray[np.int_], seed: int) -> Policy:
        """A fresh policy for one order of the tests.

        What it was taught of a problem comes from other problems, and what it knows of a problem's curve
        from other orders.

        Args:
            order: its number.
            available: shape (problems,), tests that each problem has.
            seed: the policy's own derives from it and the order.
        """
        kind = policy_class(self.line.policy)
        rates = None if self.predictor is None else self.predictor.pass_rates[order]
        return create_policy(
            kind.name,
            len(available),
            pass_rates=rates,
            lessons=self.school.lessons(rates) if kind.uses_lessons else None,
            curves=_curves(self.field, order, available) if kind.uses_curves else None,
            max_tests=available,
            seed=seed + order,
        )


class School:
    """Teaches what a field has to teach, each problem what the problems of other folds show.

    Args:
        field: of one rule.
        seed: of the folds.
    """

    def __init__(self, field: Field, seed: int) -> None:
        self._field, self._seed = field, seed
        self._taught: dict[bytes | None, Lessons] = {}

    def lessons(self, pass_rates: NDArray[np.float64] | None) -> Lessons:
        """The lessons, learned with these predictions."""
        told = None if pass_rates is None else pass_rates.tobytes()
        if told not in self._taught:
            self._taught[told] = cross_learned(self._observed, pass_rates, seed=self._seed)
        return self._taught[told]

    @functools.cached_property
    def _observed(self) -> Observations:
        return Observations.of(self._field.courses, self._field.rule.name)


def contestants(
    field: Field, policies: Sequence[str], predictors: Sequence[Predictor], seed: int
) -> list[Contestant]:
    """The lines on one field: equal budgets first, then each policy with each predictor that it can use."""
    school, found = School(field, seed), []
    for name in dict.fromkeys([Uniform.name, *policies]):
        if not policy_class(name).uses_pass_rates:
            found.append(Contestant(Line(field.rule.name, name, None, 0.0), field, None, school))
            continue
        for one in predictors:
            line = Line(field.rule.name, name, one.name, one.correlation)
            found.append(Contestant(line, field, one, school))
    return found


def check_playable(policy: str, orders: int, available: NDArray[np.int_]) -> None:
    """Whether a policy can be had.

    Args:
        policy: its name.
        orders: of the tests.
        available: shape (problems,), tests that each problem has.

    Raises:
        UserError: there is none of that name, or it needs more than this.
    """
    kind = policy_class(policy)
    if kind.uses_curves and orders < 2:
        raise UserError(f"orders must be at least 2 for the policy '{policy}' but got {orders}")
    if kind.uses_lessons and (len(available) < 2 or available.max() < 2):
        raise UserError(
            f"the policy '{policy}' must have other problems to learn from, with at least 2 tests, but got "
            f"{len(available)} problems with at most {available.max()} tests"
        )


def _curves(field: Field, order: int, available: NDArray[np.int_]) -> NDArray[np.float64]:
    """Each problem's mean accuracy in the other orders, NaN behind its last test."""
    curves: NDArray[np.float64] = np.delete(field.accuracy, order, axis=0).mean(axis=0)
    curves[np.arange(curves.shape[1]) > available[:, np.newaxis]] = np.nan
    return curves

"""Budgets by difficulty bin, learned offline."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from policies.base import Limits
from policies.lessons import Lessons
from policies.sloped import Sloped
from rewards.errors import UserError


class Binned(Sloped):
    """All problems of a bin of predicted pass rates get the same budget, by what tests did for its like.

    The 'offline' variant of Damani et al. (arXiv 2410.04707): bins hide much of the error of single
    predictions. A bin's curve is the mean accuracy of the training problems in it; budgets are those that
    bring most at the cap at hand. Nothing goes where a bin's accuracy rises no more. As published, prices
    do not enter. The problem that a bin's last block is broken off at is the first, by position.

    Args:
        problems: number of problems.
        pass_rates: shape (problems,), predicted λ.
        lessons: learned with predicted pass rates.
        **limits: as for :class:`Policy`.

    Raises:
        UserError: for lessons without bins.
        ValueError: for a pass rate outside [0, 1], or lessons of another number of problems.
    """

    name: ClassVar[str] = "binned"
    static: ClassVar[bool] = True
    uses_pass_rates: ClassVar[bool] = True
    uses_lessons: ClassVar[bool] = True

    def __init__(
        self,
        problems: int,
        pass_rates: NDArray[np.floating],
        lessons: Lessons,
        **limits: Unpack[Limits],
    ) -> None:
        bins = [lesson.bins for lesson in lessons.lessons if lesson.bins is not None]
        if len(bins) < len(lessons.lessons):
            raise UserError(
                "the policy 'binned' needs lessons with predicted pass rates but got some without"
            )
        longest = max(one.accuracy.shape[1] for one in bins)
        curves = np.full((sum(len(one.accuracy) for one in bins), longest), np.nan)
        curve_of, first = np.zeros(problems, np.intp), 0
        lesson_of = np.asarray(lessons.lesson_of)
        if lesson_of.shape != (problems,) or np.shape(pass_rates) != (problems,):
            raise ValueError(f"lessons and pass_rates must hold one number for each of {problems} problems")
        for number, one in enumerate(bins):
            curves[first : first + len(one.accuracy), : one.accuracy.shape[1]] = one.accuracy
            own = lesson_of == number
            curve_of[own] = first + one.of(pass_rates[own])
            first += len(one.accuracy)
        super().__init__(problems, curves, curve_of, **limits)
        self._rates(pass_rates)
